//! A block of code in colours.

use askama::Template;

use super::Component;
use crate::document::Code;
use crate::error::PageError;
use crate::request::Ticket;

pub(super) struct CodeBlock(pub(super) Code);

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<div class="code">{% if let Some(numbers) = numbers %}<pre class="numbers" aria-hidden="true">{{ numbers }}</pre>{% endif %}<pre tabindex="0"><code>{{ code|safe }}</code></pre></div>
"#
)]
struct CodeHtml {
    numbers: Option<String>,
    code: String,
}

impl Component for CodeBlock {
    fn render(mut self, ticket: &Ticket) -> Result<String, PageError> {
        self.0.colour(|| ticket.goes_on());
        html(self.0)
    }
}

/// Code that was coloured before, around which a block goes.
pub(crate) fn html(code: Code) -> Result<String, PageError> {
    let numbers = code.first_line.map(|first| {
        let numbers: Vec<_> = (first..first + code.text.lines().count()).map(|line| line.to_string()).collect();
        numbers.join("\n")
    });
    Ok(CodeHtml { numbers, code: code.html() }.render()?)
}
