//! A page: from a file to components, and from their HTML to one document.
//!
//! All of it runs below a request's scope, so `"render"` is that request's own pool.

use std::sync::Arc;

use askama::Template;
use heirloom::TaskHandle;

use crate::components::{Component, Contents, Facts, Footer, Navigation, SectionBody};
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

/// A whole page: a component whose parts are the others, rendered in parallel.
///
/// The page is one task of its request's pool, so the handler awaits once. A join of the page runs a queued part in place, on the page's
/// thread, so a short page causes fewer wakes than an `.await` of each part.
pub(crate) struct WholePage {
    pub(crate) site: Arc<Site>,
    pub(crate) view: View,
}

impl Component for WholePage {
    fn render(self, ticket: &Ticket) -> Result<String, PageError> {
        let WholePage { site, view } = self;
        let at = if let View::Page(at) = view { Some(at) } else { None };
        let navigation = ticket.component(Navigation { site: site.clone(), at })?;

        let (title, sections) = match at {
            Some(at) => read(&site, at, ticket)?,
            None => ("No such page".to_owned(), vec![missing()]),
        };
        let contents = ticket.component(Contents::of(&sections))?;
        let facts = at.map(|at| ticket.component(Facts { site: site.clone(), at })).transpose()?;
        let parts = ticket.components_of(sections.into_iter().map(SectionBody).collect())?;

        let mut body = String::new();
        for part in parts {
            body.push_str(&part.join()??);
        }
        let facts = facts.map_or(Ok(Ok(String::new())), TaskHandle::join)??;
        let (navigation, contents) = (navigation.join()??, contents.join()??);
        // The last one, because it tells how long the others took.
        let footer = ticket.component_here(Footer)?;
        layout(&site, at, &title, Parts { navigation, facts, body, footer, contents })
    }
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

/// Reads a file as a task of the shared pool, parses it, and colours its code if that is long.
fn read(site: &Site, at: usize, ticket: &Ticket) -> Result<(String, Vec<Section>), PageError> {
    let page = &site.pages[at];
    let text = ticket.on_io(|| file::read(site, page))??;
    let mut document = Document::parse(page.kind, page.name(), &text);
    ticket.colour(&mut document)?;
    Ok((document.title.unwrap_or_else(|| page.path.clone()), document.sections))
}

fn missing() -> Section {
    let mut section = Section::untitled();
    section.heading = Some("No such page".to_owned());
    let text = "<p>There is no Markdown or Rust file with this name. The navigation lists all there are.</p>";
    section.blocks.push(Block::Prose(text.into()));
    section
}
