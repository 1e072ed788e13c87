//! A Rust file as sections: its `//!` text as prose, then one section per top-level chunk of code.
//!
//! A chunk begins after a blank line at the top level, so that an item stays together with its comments and
//! attributes.

use crate::document::{Block, Code, Section, anchor};
use crate::html::escape;
use crate::markdown::{self, Flavour};
use crate::rust_lines::{Line, lines};

/// A chunk longer than this is shown as several blocks, which are highlighted in parallel. A cut falls on a blank
/// line.
const BLOCK: usize = 100;

pub(crate) fn sections(name: &str, text: &str) -> Vec<Section> {
    let (docs, code_starts) = module_docs(text);
    let mut sections = titled(name, markdown::sections(&docs, Flavour::RustDoc));
    let all = lines(text);
    let mut rest = &all[code_starts..];
    while let Some(first) = rest.iter().position(|line| !line.is_blank()) {
        rest = &rest[first..];
        let end = (1..rest.len()).find(|&at| starts_chunk(rest, at)).unwrap_or(rest.len());
        sections.push(section(&rest[..end], all.len() - rest.len() + 1));
        rest = &rest[end..];
    }
    sections
}

/// Puts the file's name above its documentation, and moves the headings there down by one level.
fn titled(name: &str, mut docs: Vec<Section>) -> Vec<Section> {
    for section in &mut docs {
        section.level = (section.level + 1).min(6);
    }
    if docs.first().is_none_or(|section| section.heading.is_some()) {
        docs.insert(0, Section::untitled());
    }
    let head = &mut docs[0];
    (head.label, head.heading, head.level) = (name.to_owned(), Some(escape(name)), 1);
    docs
}

/// The text of the `//!` comment at the head of a file, and the number of lines before the code after it.
fn module_docs(text: &str) -> (String, usize) {
    let mut docs = String::new();
    let mut count = 0;
    for line in text.lines() {
        match line.strip_prefix("//!") {
            Some(said) => {
                docs.push_str(said.strip_prefix(' ').unwrap_or(said));
                docs.push('\n');
            }
            None if docs.is_empty() && line.trim().is_empty() => {}
            None => break,
        }
        count += 1;
    }
    if docs.is_empty() { (docs, 0) } else { (docs, count) }
}

fn starts_chunk(lines: &[Line<'_>], at: usize) -> bool {
    lines[at].is_top_level() && !lines[at].is_blank() && lines[at - 1].is_blank()
}

fn section(chunk: &[Line<'_>], first_line: usize) -> Section {
    let label = chunk.iter().find_map(label).unwrap_or_default();
    Section {
        anchor: if label.is_empty() { format!("line-{first_line}") } else { anchor(&label) },
        label,
        level: 2,
        heading: None,
        blocks: blocks(chunk, first_line),
    }
}

fn blocks(chunk: &[Line<'_>], first_line: usize) -> Vec<Block> {
    let used = chunk.iter().rposition(|line| !line.is_blank()).map_or(0, |last| last + 1);
    let chunk = &chunk[..used];
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < chunk.len() {
        // Not inside of a literal: the next block's highlighting starts as if nothing were open.
        let cut = |at: &usize| chunk[*at].is_blank() && chunk[*at].starts_outside_literals();
        let end = (start + BLOCK..chunk.len()).find(cut).unwrap_or(chunk.len());
        blocks.push(Block::Code(Code {
            language: "rs".into(),
            text: chunk[start..end].iter().map(|line| line.text).collect(),
            first_line: Some(first_line + start),
            highlighted: true,
            coloured: None,
        }));
        start = end;
        // The blank line that was cut at belongs to neither.
        start += usize::from(start < chunk.len());
    }
    blocks
}

/// The name, in the table of contents, of the item that this line begins.
fn label(line: &Line<'_>) -> Option<String> {
    let text = line.text.trim();
    if !line.is_top_level() || text.is_empty() || text.starts_with("//") || text.starts_with(['#', '}', ')', ']']) {
        return None;
    }
    let item = without_qualifiers(text);
    let (keyword, rest) = item.split_once(' ').unwrap_or((item, ""));
    match keyword {
        "fn" | "struct" | "enum" | "union" | "trait" | "mod" | "const" | "static" | "type" => {
            Some(format!("{keyword} {}", identifier(rest)))
        }
        "macro_rules!" => Some(format!("macro {}", identifier(rest))),
        _ if keyword == "impl" || keyword.starts_with("impl<") => Some(until_body(item)),
        _ => item.split_once('!').map(|(name, _)| format!("{name}!")),
    }
}

fn without_qualifiers(mut item: &str) -> &str {
    while let Some((word, rest)) = item.split_once(' ') {
        let qualifies = match word {
            "pub" | "async" | "unsafe" | "extern" | "\"C\"" => true,
            "const" => ["fn ", "async ", "unsafe ", "extern "].iter().any(|function| rest.starts_with(function)),
            _ => word.starts_with("pub("),
        };
        if !qualifies {
            break;
        }
        item = rest;
    }
    item
}

fn until_body(text: &str) -> String {
    let head = text.split(" where").next().unwrap_or(text);
    head.trim_end_matches(['{', '}', ' ']).to_owned()
}

fn identifier(text: &str) -> String {
    let text = text.strip_prefix("mut ").unwrap_or(text);
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}
