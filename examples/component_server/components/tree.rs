//! Everything that is alive while this is rendered, this request included.

use askama::Template;

use super::Component;
use crate::error::PageError;
use crate::process;
use crate::request::Ticket;

pub(crate) struct Tree;

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<section id="tree">
<h1>The family tree</h1>
<p>Every place where code stands at this moment, with the pools it owns. The request that shows this page is one of them.</p>
<div class="code"><pre tabindex="0">{{ tree }}</pre></div>
</section>
"#
)]
struct TreeHtml {
    tree: String,
}

impl Component for Tree {
    fn render(self, _: &Ticket) -> Result<String, PageError> {
        Ok(TreeHtml { tree: process::tree() }.render()?)
    }
}
