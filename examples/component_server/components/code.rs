//! A block of code in colours.

use askama::Template;

use super::Component;
use crate::document::Code;
use crate::error::PageError;
use crate::highlight::highlight;
use crate::html::escape;
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
    fn render(self, _: &Ticket) -> Result<String, PageError> {
        let Code { language, text, first_line, highlighted } = self.0;
        let numbers = first_line.map(|first| {
            let numbers: Vec<_> = (first..first + text.lines().count()).map(|line| line.to_string()).collect();
            numbers.join("\n")
        });
        let code = if highlighted { highlight(&language, &text) } else { escape(&text) };
        Ok(CodeHtml { numbers, code }.render()?)
    }
}
