//! The footer: the request that made the page, its size, its time, and its nodes.

use std::time::Instant;

use askama::Template;

use super::Component;
use crate::error::PageError;
use crate::request::{self, Ticket};

pub(crate) struct Footer;

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<footer>
<p><b>request {{ number }}</b> · {{ components }} components · {{ milliseconds }} ms</p>
<p class="lineage">{% for name in lineage %}{% if !loop.first %} ‹ {% endif %}<span>{{ name }}</span>{% endfor %}</p>
</footer>"#
)]
struct FooterHtml {
    number: u64,
    components: usize,
    milliseconds: String,
    /// From this component up to the process.
    lineage: Vec<String>,
}

impl Component for Footer {
    fn render(self, ticket: &Ticket) -> Result<String, PageError> {
        html(ticket.number, ticket.components(), ticket.opened, request::lineage())
    }
}

pub(crate) fn html(number: u64, components: usize, opened: Instant, lineage: Vec<String>) -> Result<String, PageError> {
    let html = FooterHtml {
        number,
        components,
        milliseconds: format!("{:.1}", opened.elapsed().as_secs_f64() * 1_000.0),
        lineage,
    };
    Ok(html.render()?)
}
