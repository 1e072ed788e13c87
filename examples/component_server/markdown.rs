//! Markdown to sections: one per heading, with its code blocks taken out for the highlighter.

use pulldown_cmark::{BrokenLink, CodeBlockKind, Event, Options, Parser, Tag, TagEnd, html};

use crate::document::{Block, Code, Section, anchor};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Plain,
    /// Of a Rust doc comment: code is Rust unless it says otherwise, its lines that start with `# ` are hidden, and
    /// `[Name]` alone is a link to an item, which stays text here.
    RustDoc,
}

pub(crate) fn sections(text: &str, flavour: Flavour) -> Vec<Section> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES;
    let mut writer = Writer::new(flavour);
    let to_nowhere = |_: BrokenLink<'_>| (flavour == Flavour::RustDoc).then(|| ("".into(), "".into()));
    for event in Parser::new_with_broken_link_callback(text, options, Some(to_nowhere)) {
        writer.take(event);
    }
    writer.finish()
}

/// Collects events until something is complete.
struct Writer<'a> {
    flavour: Flavour,
    done: Vec<Section>,
    section: Section,
    prose: Vec<Event<'a>>,
    /// The number of open elements. Only a heading outside of all starts a section: elsewhere it would split an element.
    depth: usize,
    inside: Inside<'a>,
    /// Whether each open link was written: a link without a target is not.
    links: Vec<bool>,
}

enum Inside<'a> {
    Text,
    Heading { level: u8, id: Option<String>, events: Vec<Event<'a>> },
    Code { language: String, text: String },
    Html(String),
}

impl<'a> Writer<'a> {
    fn new(flavour: Flavour) -> Writer<'a> {
        Writer {
            flavour,
            done: Vec::new(),
            section: Section::untitled(),
            prose: Vec::new(),
            depth: 0,
            inside: Inside::Text,
            links: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'a>) {
        match (&mut self.inside, event) {
            (_, Event::Start(Tag::Heading { level, id, .. })) if self.depth == 0 => {
                self.inside =
                    Inside::Heading { level: level as u8, id: id.map(|id| id.to_string()), events: Vec::new() };
            }
            (Inside::Heading { .. }, Event::End(TagEnd::Heading(_))) => self.end_heading(),
            (_, Event::Start(Tag::CodeBlock(kind))) => {
                self.inside = Inside::Code { language: self.language(&kind), text: String::new() };
            }
            (Inside::Code { text, .. }, Event::Text(part)) => text.push_str(&part),
            (Inside::Code { .. }, Event::End(TagEnd::CodeBlock)) => self.end_code(),
            (_, Event::Start(Tag::HtmlBlock)) => self.inside = Inside::Html(String::new()),
            (Inside::Html(text), Event::Html(part) | Event::Text(part)) => text.push_str(&part),
            (Inside::Html(_), Event::End(TagEnd::HtmlBlock)) => self.end_html(),
            (_, Event::Start(Tag::Link { dest_url, .. })) if dest_url.is_empty() => self.links.push(false),
            (_, event @ Event::Start(Tag::Link { .. })) => {
                self.links.push(true);
                self.prose(event);
            }
            (_, event @ Event::End(TagEnd::Link)) => {
                if self.links.pop().unwrap_or(true) {
                    self.prose(event);
                }
            }
            // Raw HTML is shown as text: a section must not open an element that another one closes.
            (_, Event::InlineHtml(part) | Event::Html(part)) => self.prose(Event::Text(part)),
            (_, event) => self.prose(event),
        }
    }

    fn prose(&mut self, event: Event<'a>) {
        match event {
            Event::Start(_) => self.depth += 1,
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        match &mut self.inside {
            Inside::Heading { events, .. } => events.push(event),
            _ => self.prose.push(event),
        }
    }

    fn end_heading(&mut self) {
        if let Inside::Heading { level, id, events } = std::mem::replace(&mut self.inside, Inside::Text) {
            let label = events.iter().filter_map(words).collect::<String>();
            let mut heading = String::new();
            html::push_html(&mut heading, events.into_iter());
            let next = Section {
                anchor: id.unwrap_or_else(|| anchor(&label)),
                label,
                level,
                heading: Some(heading),
                blocks: Vec::new(),
            };
            self.end_section(next);
        }
    }

    fn end_code(&mut self) {
        if let Inside::Code { language, text } = std::mem::replace(&mut self.inside, Inside::Text) {
            self.flush();
            let text = if self.flavour == Flavour::RustDoc && language == "rust" { shown_lines(&text) } else { text };
            self.section.blocks.push(Block::Code(Code {
                language,
                text,
                first_line: None,
                highlighted: true,
                coloured: None,
            }));
        }
    }

    fn end_html(&mut self) {
        if let Inside::Html(text) = std::mem::replace(&mut self.inside, Inside::Text)
            && !text.trim_start().starts_with("<!--")
        {
            let paragraph = [Event::Start(Tag::Paragraph), Event::Text(text.into()), Event::End(TagEnd::Paragraph)];
            self.prose.extend(paragraph);
        }
    }

    fn end_section(&mut self, next: Section) {
        self.flush();
        let section = std::mem::replace(&mut self.section, next);
        if section.heading.is_some() || !section.blocks.is_empty() {
            self.done.push(section);
        }
    }

    fn flush(&mut self) {
        if !self.prose.is_empty() {
            let mut text = String::new();
            html::push_html(&mut text, self.prose.drain(..));
            self.section.blocks.push(Block::Prose(text));
        }
    }

    fn finish(mut self) -> Vec<Section> {
        self.end_section(Section::untitled());
        self.done
    }

    fn language(&self, kind: &CodeBlockKind<'_>) -> String {
        let info = if let CodeBlockKind::Fenced(info) = kind { info.as_ref() } else { "" };
        let word = info.split([',', ' ', '{']).next().unwrap_or_default();
        let attribute_of_rust = ["", "no_run", "ignore", "should_panic", "compile_fail"].contains(&word);
        if self.flavour == Flavour::RustDoc && attribute_of_rust { "rust".into() } else { word.to_lowercase() }
    }
}

fn words(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Text(text) | Event::Code(text) => Some(text.to_string()),
        Event::SoftBreak | Event::HardBreak => Some(" ".into()),
        _ => None,
    }
}

fn shown_lines(text: &str) -> String {
    let hidden = |line: &str| line.trim() == "#" || line.trim_start().starts_with("# ");
    text.split_inclusive('\n').filter(|line| !hidden(line)).collect()
}
