//! All pages, by directory.

use std::sync::Arc;

use askama::Template;

use super::Component;
use crate::error::PageError;
use crate::request::Ticket;
use crate::site::{Page, Site};

pub(crate) struct Navigation {
    pub(crate) site: Arc<Site>,
    /// The page that is shown.
    pub(crate) at: Option<usize>,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<nav class="pages" aria-label="Pages">
<a class="home" href="/">{{ title }}</a>
{% for group in groups -%}
<details{% if group.open %} open{% endif %}><summary>{{ group.directory }}</summary>
{% for page in group.pages -%}
<a href="{{ page.href }}"{% if self.shows(page) %} aria-current="page"{% endif %}>{{ page.name() }}</a>
{% endfor -%}
</details>
{% endfor -%}
<a class="tree" href="/tree">family tree</a>
</nav>"#
)]
struct NavigationHtml<'a> {
    title: &'a str,
    groups: Vec<Group<'a>>,
    current: Option<&'a str>,
}

impl NavigationHtml<'_> {
    fn shows(&self, page: &Page) -> bool {
        self.current == Some(page.path.as_str())
    }
}

struct Group<'a> {
    directory: &'a str,
    pages: &'a [Page],
    open: bool,
}

/// A site with more pages shows only the directory where its reader is; the others unfold.
const ALL_OPEN: usize = 80;

impl Component for Navigation {
    fn render(self, _: &Ticket) -> Result<String, PageError> {
        self.html()
    }
}

impl Navigation {
    pub(crate) fn html(self) -> Result<String, PageError> {
        let current = self.at.map(|at| &self.site.pages[at]);
        let groups = self.site.pages.chunk_by(|a, b| a.directory() == b.directory()).map(|pages| {
            let directory = pages[0].directory();
            let open = self.site.pages.len() <= ALL_OPEN || current.is_none_or(|page| page.directory() == directory);
            Group { directory: if directory.is_empty() { "." } else { directory }, pages, open }
        });
        let html = NavigationHtml {
            title: &self.site.title,
            groups: groups.collect(),
            current: current.map(|page| page.path.as_str()),
        };
        Ok(html.render()?)
    }
}
