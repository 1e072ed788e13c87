//! The line above a page: where its file is, how long it is and when it changed.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;

use super::Component;
use crate::error::PageError;
use crate::file::{self, LONGEST};
use crate::request::Ticket;
use crate::site::Site;
use crate::visits::VISITS;

pub(crate) struct Facts {
    pub(crate) site: Arc<Site>,
    pub(crate) at: usize,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<p class="facts"><code>{{ path }}</code> · {{ size }}{% if cut %}, the first {{ longest }} shown{% endif %}{{ changed }}{% if let Some(visits) = visits %} · read {{ visits }} times{% endif %}</p>"#
)]
struct FactsHtml<'a> {
    path: &'a str,
    size: String,
    cut: bool,
    longest: String,
    changed: String,
    visits: Option<u64>,
}

impl Component for Facts {
    fn render(self, ticket: &Ticket) -> Result<String, PageError> {
        let Facts { site, at } = self;
        let facts = ticket.on_io(|| file::facts(&site, &site.pages[at]))??;
        // This wait, for the numbers on the runtime's side of the server, releases the component's permit to the next component.
        let visits = heirloom::portal()?.block_on((*VISITS.get()?).clone().count(at))?;
        html(&site, at, &facts, visits)
    }
}

pub(crate) fn html(site: &Site, at: usize, facts: &file::Facts, visits: Option<u64>) -> Result<String, PageError> {
    let age = facts.changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    let html = FactsHtml {
        path: &site.pages[at].path,
        size: size(facts.bytes),
        cut: facts.bytes > LONGEST,
        longest: size(LONGEST),
        changed: age.map(|age| format!(" · changed {} ago", rough(age.as_secs()))).unwrap_or_default(),
        visits,
    };
    Ok(html.render()?)
}

fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{:.1} KiB", bytes as f64 / 1024.0) }
}

fn rough(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
