//! One section: its heading, its prose, and the code blocks in it as components of their own.

use askama::Template;
use heirloom::TaskHandle;

use super::Component;
use super::code::{self, CodeBlock};
use crate::document::{Block, Section};
use crate::error::PageError;
use crate::request::Ticket;

pub(crate) struct SectionBody(pub(crate) Section);

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<section id="{{ anchor }}">
{% if let Some(heading) = heading -%}
<h{{ level }}>{{ heading|safe }}<a class="anchor" href="#{{ anchor }}" aria-hidden="true">#</a></h{{ level }}>
{% endif -%}
{{ body|safe }}</section>
"##
)]
struct SectionHtml<'a> {
    anchor: &'a str,
    level: u8,
    heading: Option<&'a str>,
    body: &'a str,
}

enum Part {
    Ready(String),
    Coming(TaskHandle<Result<String, PageError>>),
}

impl Component for SectionBody {
    fn render(self, ticket: &Ticket) -> Result<String, PageError> {
        let mut parts = Vec::new();
        for block in self.0.blocks {
            parts.push(match block {
                Block::Prose(html) => Part::Ready(html),
                Block::Code(code) if code.coloured.is_some() => Part::Ready(code::html(code)?),
                Block::Code(code) => Part::Coming(ticket.component(CodeBlock(code))?),
            });
        }
        let mut body = String::new();
        for part in parts {
            match part {
                Part::Ready(html) => body.push_str(&html),
                // With every permit of the pool taken by sections that wait like this one, their blocks still get
                // rendered: a join on a task of its own pool runs it in place or releases the permit.
                Part::Coming(block) => body.push_str(&block.join()??),
            }
        }
        html(&self.0.anchor, self.0.level, self.0.heading.as_deref(), &body)
    }
}

/// A section with its finished parts.
pub(crate) fn html(anchor: &str, level: u8, heading: Option<&str>, body: &str) -> Result<String, PageError> {
    Ok(SectionHtml { anchor, level, heading, body }.render()?)
}
