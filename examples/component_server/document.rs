//! A file as the list of sections its page is made of.

use std::collections::HashMap;

use crate::highlight::highlight;
use crate::html::escape;
use crate::site::Kind;
use crate::{markdown, rust_source};

/// Highlighting takes a core about a millisecond for six lines. With more than this, one page would keep its reader
/// waiting, so the rest of its code is shown plain.
const HIGHLIGHTED_LINES: usize = 1_500;

pub(crate) struct Document {
    /// The first heading, where there is one.
    pub(crate) title: Option<String>,
    pub(crate) sections: Vec<Section>,
}

pub(crate) struct Section {
    /// Unique within the document.
    pub(crate) anchor: String,
    /// The entry in the table of contents. `None` leaves the section out.
    pub(crate) label: String,
    /// 1 to 6.
    pub(crate) level: u8,
    /// The heading to show, as HTML.
    pub(crate) heading: Option<String>,
    pub(crate) blocks: Vec<Block>,
}

pub(crate) enum Block {
    /// HTML. It may leave an element open that a later block of the same section closes.
    Prose(String),
    Code(Code),
}

pub(crate) struct Code {
    /// A name or a file extension that the highlighter may know.
    pub(crate) language: String,
    pub(crate) text: String,
    /// The number of its first line, where lines are numbered.
    pub(crate) first_line: Option<usize>,
    pub(crate) highlighted: bool,
    /// Its HTML, once it was coloured.
    pub(crate) coloured: Option<String>,
}

impl Code {
    /// Takes a core about a millisecond for six lines, and checks before each for a cancel.
    pub(crate) fn colour(&mut self, goes_on: impl Fn() -> bool) {
        if self.highlighted && self.coloured.is_none() {
            self.coloured = Some(highlight(&self.language, &self.text, goes_on));
        }
    }

    pub(crate) fn html(self) -> String {
        self.coloured.unwrap_or_else(|| escape(&self.text))
    }
}

impl Document {
    /// How many lines are to be coloured.
    pub(crate) fn lines_to_colour(&self) -> usize {
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        let codes = blocks.filter_map(|block| if let Block::Code(code) = block { Some(code) } else { None });
        codes.filter(|code| code.highlighted).map(|code| code.text.lines().count()).sum()
    }

    pub(crate) fn parse(kind: Kind, name: &str, text: &str) -> Document {
        let mut sections = match kind {
            Kind::Markdown => markdown::sections(text, markdown::Flavour::Plain),
            Kind::Rust => rust_source::sections(name, text),
        };
        let title = sections.iter().find(|section| section.heading.is_some()).map(|section| section.label.clone());
        make_anchors_unique(&mut sections);
        spend_highlighting(&mut sections);
        Document { title, sections }
    }
}

impl Section {
    pub(crate) fn codes(&mut self) -> impl Iterator<Item = &mut Code> {
        self.blocks.iter_mut().filter_map(|block| if let Block::Code(code) = block { Some(code) } else { None })
    }

    /// A section without a heading, left out of the table of contents.
    pub(crate) fn untitled() -> Section {
        Section { anchor: "top".into(), label: String::new(), level: 1, heading: None, blocks: Vec::new() }
    }
}

/// A heading's name in an address, as links written for code hosts expect it.
pub(crate) fn anchor(label: &str) -> String {
    let anchor: String = label
        .trim()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
        .flat_map(char::to_lowercase)
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect();
    if anchor.is_empty() { "section".into() } else { anchor }
}

fn make_anchors_unique(sections: &mut [Section]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for section in sections {
        let times = seen.entry(section.anchor.clone()).or_default();
        *times += 1;
        if *times > 1 {
            section.anchor = format!("{}-{}", section.anchor, *times - 1);
        }
    }
}

fn spend_highlighting(sections: &mut [Section]) {
    let mut left = HIGHLIGHTED_LINES;
    for code in sections.iter_mut().flat_map(Section::codes) {
        let lines = code.text.lines().count();
        code.highlighted = lines <= left;
        left = left.saturating_sub(lines);
    }
}
