//! The table of contents.

use askama::Template;

use super::Component;
use crate::document::Section;
use crate::error::PageError;
use crate::request::Ticket;

pub(crate) struct Contents(Vec<Entry>);

struct Entry {
    anchor: String,
    label: String,
    level: u8,
}

impl Contents {
    pub(crate) fn of(sections: &[Section]) -> Contents {
        let shown = sections.iter().filter(|section| !section.label.is_empty() && section.level <= 3);
        Contents(
            shown
                .map(|Section { anchor, label, level, .. }| Entry {
                    anchor: anchor.clone(),
                    label: label.clone(),
                    level: *level,
                })
                .collect(),
        )
    }
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<nav class="contents" aria-label="On this page">
{% if !entries.is_empty() -%}
<p>On this page</p>
{% for entry in entries -%}
<a class="l{{ entry.level }}" href="#{{ entry.anchor }}">{{ entry.label }}</a>
{% endfor -%}
{% endif -%}
</nav>"##
)]
struct ContentsHtml<'a> {
    entries: &'a [Entry],
}

impl Component for Contents {
    fn render(self, _: &Ticket) -> Result<String, PageError> {
        self.html()
    }
}

impl Contents {
    pub(crate) fn html(self) -> Result<String, PageError> {
        Ok(ContentsHtml { entries: &self.0 }.render()?)
    }
}
