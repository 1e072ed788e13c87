//! A page: from a file to components, and from their HTML to one document.
//!
//! Everything here runs in a request's scope, so `"render"` is that request's own pool.

use std::sync::Arc;

use askama::Template;

use crate::components::{Contents, Facts, Footer, Navigation, SectionBody};
use crate::document::{Block, Document, Section};
use crate::error::PageError;
use crate::file;
use crate::request::Ticket;
use crate::site::Site;

/// The meaning of an address.
pub(crate) enum View {
    /// The index of a page in the site's table.
    Page(usize),
    Missing,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
{% if let Some(base) = base %}<base href="{{ base }}">
{% endif -%}
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
</head>
<body>
<a class="skip" href="{{ base.unwrap_or_default() }}#content">Skip to the text</a>
{{ navigation|safe }}
<main id="content">
{{ facts|safe }}
{{ body|safe }}
{{ footer|safe }}
</main>
{{ contents|safe }}
</body>
</html>
"##
)]
struct Layout<'a> {
    title: &'a str,
    /// Where relative links of this page start from. It makes a difference for the page that is also shown at `/`.
    base: Option<&'a str>,
    navigation: &'a str,
    facts: &'a str,
    body: &'a str,
    footer: &'a str,
    contents: &'a str,
}

/// Renders the components in parallel and puts them together.
pub(crate) async fn render(site: Arc<Site>, view: View, ticket: Ticket) -> Result<String, PageError> {
    let at = if let View::Page(at) = view { Some(at) } else { None };
    let navigation = ticket.component(Navigation { site: site.clone(), at })?;

    let (title, sections) = match view {
        View::Page(at) => read(&site, at, &ticket).await?,
        View::Missing => ("No such page".to_owned(), vec![missing()]),
    };
    let contents = ticket.component(Contents::of(&sections))?;
    let facts = match at {
        Some(at) => Some(ticket.component(Facts { site: site.clone(), at })?),
        None => None,
    };
    let mut parts = Vec::new();
    for section in sections {
        parts.push(ticket.component(SectionBody(section))?);
    }

    let mut body = String::new();
    for part in parts {
        body.push_str(&part.await??);
    }
    let facts = match facts {
        Some(facts) => facts.await??,
        None => String::new(),
    };
    let (navigation, contents) = (navigation.await??, contents.await??);
    // The last one, because it tells how long the others took.
    let footer = ticket.component(Footer)?.await??;
    layout(&site, at, &title, Parts { navigation, facts, body, footer, contents })
}

/// The components' HTML.
pub(crate) struct Parts {
    pub(crate) navigation: String,
    pub(crate) facts: String,
    pub(crate) body: String,
    pub(crate) footer: String,
    pub(crate) contents: String,
}

pub(crate) fn layout(site: &Site, at: Option<usize>, title: &str, parts: Parts) -> Result<String, PageError> {
    let layout = Layout {
        title: &format!("{title} · {}", site.title),
        base: at.map(|at| site.pages[at].href.as_str()),
        navigation: &parts.navigation,
        facts: &parts.facts,
        body: &parts.body,
        footer: &parts.footer,
        contents: &parts.contents,
    };
    Ok(layout.render()?)
}

/// Reads a file on the shared pool and parses it on the request's own.
async fn read(site: &Arc<Site>, at: usize, ticket: &Ticket) -> Result<(String, Vec<Section>), PageError> {
    let of = site.clone();
    let text = ticket.on_io(move || file::read(&of, &of.pages[at]))?.await??;
    let of = site.clone();
    let document = ticket.on_render(move || Document::parse(of.pages[at].kind, of.pages[at].name(), &text))?.await?;
    let lines = document.lines_to_colour();
    let title = document.title.unwrap_or_else(|| site.pages[at].path.clone());
    Ok((title, ticket.colour(document.sections, lines).await?))
}

fn missing() -> Section {
    let mut section = Section::untitled();
    section.heading = Some("No such page".to_owned());
    let text = "<p>There is no Markdown or Rust file with this name. The navigation lists all there are.</p>";
    section.blocks.push(Block::Prose(text.into()));
    section
}
