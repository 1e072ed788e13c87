//! The same pages without heirloom: one after another, on the thread that has the page.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rayon::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::Kind;
use crate::components::{Contents, Navigation, code, facts, footer, section};
use crate::document::{Block, Code, Document, Section};
use crate::error::PageError;
use crate::file;
use crate::page::{Parts, layout};
use crate::process;
use crate::reader::Reader;
use crate::request::SHORT;
use crate::site::Site;
use crate::tally::TALLY;
use crate::visits::Visits;

#[derive(Clone)]
struct App {
    site: Arc<Site>,
    visits: Visits,
    kind: Kind,
    /// As many as there are cores, for long pages.
    colouring: Arc<Semaphore>,
}

pub(crate) fn router(site: Arc<Site>, visits: Visits, kind: Kind) -> Router {
    let colouring = Arc::new(Semaphore::new(process::cores()));
    Router::new().route("/{*path}", get(page)).with_state(App { site, visits, kind, colouring })
}

async fn page(State(app): State<App>, Path(path): Path<String>) -> Response {
    let Some(at) = app.site.find(&path) else { return StatusCode::NOT_FOUND.into_response() };
    let reader = Reader::default();
    let waits = reader.waits();
    let runtime = Handle::current();
    let rendered = if app.kind == Kind::GlobalRayon {
        let (done, rendered) = oneshot::channel();
        rayon::spawn(move || drop(done.send(render(app, at, &reader, &runtime))));
        rendered.await.map_err(|error| error.to_string())
    } else {
        tokio::task::spawn_blocking(move || render(app, at, &reader, &runtime)).await.map_err(|error| error.to_string())
    };
    waits.was_served();
    match rendered {
        Ok(Ok(html)) => Html(html).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

fn render(app: App, at: usize, reader: &Reader, runtime: &Handle) -> Result<String, PageError> {
    let opened = Instant::now();
    let App { site, visits, kind, colouring } = app;
    let number = TALLY.request();
    let page = &site.pages[at];
    let navigation = Navigation { site: site.clone(), at: Some(at) }.html()?;
    let text = file::read(&site, page)?;
    let mut document = Document::parse(page.kind, page.name(), &text);
    let contents = Contents::of(&document.sections).html()?;
    let facts = facts::html(&site, at, &file::facts(&site, page)?, runtime.block_on(visits.count(at)))?;
    let _permit = match kind {
        // It is never closed, and could not be waited for then.
        Kind::Semaphore if document.lines_to_colour() > SHORT => runtime.block_on(colouring.acquire()).ok(),
        _ => None,
    };
    let goes_on = || {
        TALLY.line(reader.is_gone());
        true
    };
    let codes: Vec<&mut Code> = document.sections.iter_mut().flat_map(Section::codes).collect();
    if kind == Kind::GlobalRayon {
        codes.into_par_iter().for_each(|code| code.colour(goes_on));
    } else {
        codes.into_iter().for_each(|code| code.colour(goes_on));
    }
    let title = document.title.unwrap_or_else(|| page.path.clone());
    let mut body = String::new();
    let components = document.sections.len();
    for section in document.sections {
        let mut parts = String::new();
        for block in section.blocks {
            match block {
                Block::Prose(html) => parts.push_str(&html),
                Block::Code(code) => parts.push_str(&code::html(code)?),
            }
        }
        body.push_str(&section::html(&section.anchor, section.level, section.heading.as_deref(), &parts)?);
    }
    let footer = footer::html(number, components, opened, Vec::new())?;
    layout(&site, Some(at), &title, Parts { navigation, facts, body, footer, contents })
}
