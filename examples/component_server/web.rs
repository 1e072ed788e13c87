//! The addresses of the site.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use heirloom::Lineage;
use heirloom::tower::ScopeLayer;

use crate::error::PageError;
use crate::highlight;
use crate::html::escape;
use crate::observe::Observe;
use crate::page::{View, WholePage};
use crate::process;
use crate::reader::Reader;
use crate::request::{self, Ticket};
use crate::site::Site;

/// Whatever a file says, a page of it runs no script.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' https: data:; base-uri 'self'; form-action 'none'";

/// The most open requests; the next one gets 503.
pub(crate) const AT_ONCE: usize = 256;

pub(crate) fn router(site: Arc<Site>, observe: &Observe) -> Router {
    // Scopes open below the process: the runtime's thread that happens to accept a request says nothing about it.
    let scopes = ScopeLayer::new()
        .below(&Lineage::process())
        .name(|request: &Request| format!("{} {}", request.method(), request.uri().path()))
        .limit(AT_ONCE);
    let style = format!("{}{}", include_str!("style.css"), highlight::colours());
    Router::new()
        .route("/", get(home))
        .route("/tree.txt", get(async || process::tree()))
        .route("/style.css", get(async move || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], style)))
        .route("/{*path}", get(page))
        .layer(scopes)
        // The operator's pages are no requests of the site.
        .merge(observe.router())
        .with_state(site)
}

async fn home(State(site): State<Arc<Site>>) -> Response {
    // There is one: a site without pages is not opened.
    respond(site, View::Page(0)).await
}

async fn page(State(site): State<Arc<Site>>, Path(path): Path<String>) -> Response {
    let view = site.find(&path).map_or(View::Missing, View::Page);
    respond(site, view).await
}

/// Renders in the scope that the layer has opened. When the client hangs up before the end, the server drops this future, and the
/// layer's scope is cancelled with it: queued components never start, and code that is being coloured stops at the next line.
async fn respond(site: Arc<Site>, view: View) -> Response {
    let status = if matches!(view, View::Missing) { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let reader = Reader::default();
    let waits = reader.waits();
    let rendered = match request::open(reader) {
        Ok(ticket) => rendered(&ticket, WholePage { site, view }).await,
        Err(error) => Err(error),
    };
    waits.was_served();
    match rendered {
        Ok(html) => {
            (status, [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))], Html(html)).into_response()
        }
        Err(error) => failure(&error),
    }
}

async fn rendered(ticket: &Ticket, page: WholePage) -> Result<String, PageError> {
    ticket.component(page)?.await?
}

fn failure(error: &PageError) -> Response {
    let text = escape(&error.to_string());
    (StatusCode::INTERNAL_SERVER_ERROR, Html(format!("<!doctype html><title>Error</title><p>{text}</p>")))
        .into_response()
}
