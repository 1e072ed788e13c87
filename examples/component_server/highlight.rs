//! Code to HTML, with one class per kind of word; the colours come with the style sheet.
//!
//! A handful of classes instead of a colour per word keeps pages small, and lets the reader's browser choose between
//! the dark and the light colours.

use std::fmt::Write;
use std::str::FromStr;
use std::sync::LazyLock;

use syntect::easy::ScopeRegionIterator;
use syntect::highlighting::{Color, Highlighter, ThemeSet};
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use crate::html::escape;

/// Loading takes milliseconds, so it happens once for all requests.
static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(SyntaxSet::load_defaults_newlines);
static CLASSES: LazyLock<Vec<(Scope, char)>> =
    LazyLock::new(|| KINDS.iter().filter_map(|(name, class)| Some((Scope::new(name).ok()?, *class))).collect());

/// Which class a kind of word has. Of two that fit, the first one counts.
const KINDS: [(&str, char); 17] = [
    ("comment", 'c'),
    ("string", 's'),
    ("constant.numeric", 'n'),
    ("constant.character", 's'),
    ("constant", 'n'),
    ("keyword.operator", 'o'),
    ("keyword", 'k'),
    ("storage", 'k'),
    ("entity.name.function", 'f'),
    ("support.function", 'f'),
    ("support.macro", 'f'),
    ("entity.name.tag", 'k'),
    ("entity.other.attribute-name", 'a'),
    ("entity.name", 't'),
    ("support.type", 't'),
    ("variable.annotation", 'a'),
    ("variable.parameter", 'p'),
];

/// A line longer than this is data rather than code, and slow to highlight.
const LONGEST_LINE: usize = 1_000;

/// The code as HTML, without an element around it. Takes a core about a millisecond for six lines, and checks before
/// each for a cancel; a cancelled call leaves the rest out.
pub(crate) fn highlight(language: &str, code: &str, goes_on: impl Fn() -> bool) -> String {
    match SYNTAXES.find_syntax_by_token(language) {
        Some(syntax) if code.lines().all(|line| line.len() <= LONGEST_LINE) => {
            // A grammar that fails leaves the code as readable as it was.
            highlight_with(syntax, code, goes_on).unwrap_or_else(|_| escape(code))
        }
        _ => escape(code),
    }
}

/// Loads everything, so that the first reader does not wait for it.
pub(crate) fn warm_up() {
    highlight("rs", "//! x\nuse a::b;\n#[c]\npub fn d<'e>(f: &'e str) -> Vec<u8> { g!(\"h\", 1, 'i') }\n", || true);
}

fn highlight_with(syntax: &SyntaxReference, code: &str, goes_on: impl Fn() -> bool) -> Result<String, syntect::Error> {
    let mut state = ParseState::new(syntax);
    let mut stack = ScopeStack::new();
    let mut html = String::with_capacity(code.len() * 2);
    let mut open = None;
    for line in code.split_inclusive('\n') {
        if !goes_on() {
            break;
        }
        let ops = state.parse_line(line, &SYNTAXES)?;
        for (text, op) in ScopeRegionIterator::new(&ops, line) {
            stack.apply(op)?;
            if text.is_empty() {
                continue;
            }
            let class = class(&stack);
            // Space looks the same in every colour.
            if class != open && !text.trim().is_empty() {
                change(&mut html, open, class);
                open = class;
            }
            html.push_str(&escape(text));
        }
    }
    change(&mut html, open, None);
    Ok(html)
}

fn change(html: &mut String, from: Option<char>, to: Option<char>) {
    if from.is_some() {
        html.push_str("</i>");
    }
    if let Some(class) = to {
        html.push_str("<i class=");
        html.push(class);
        html.push('>');
    }
}

/// The innermost scope decides, except that nothing inside a comment or a string stands out.
fn class(stack: &ScopeStack) -> Option<char> {
    let of = |scope: &Scope| CLASSES.iter().find(|(prefix, _)| prefix.is_prefix_of(*scope)).map(|(_, class)| *class);
    let mut found = stack.as_slice().iter().rev().filter_map(of);
    let innermost = found.next();
    if found.any(|class| class == 'c') { Some('c') } else { innermost }
}

/// The colours of all classes, for light and for dark.
pub(crate) fn colours() -> String {
    let themes = ThemeSet::load_defaults();
    let mut css = rules(&themes, "InspiredGitHub");
    let _ = write!(css, "@media (prefers-color-scheme: dark) {{\n{}}}\n", rules(&themes, "base16-ocean.dark"));
    css
}

fn rules(themes: &ThemeSet, theme: &str) -> String {
    let mut css = String::new();
    let Some(theme) = themes.themes.get(theme) else { return css };
    let highlighter = Highlighter::new(theme);
    let mut seen = String::new();
    for (name, class) in KINDS {
        let Ok(stack) = ScopeStack::from_str(name) else { continue };
        // The style sheet has its own colour for comments: themes hide them, and here readers come for them.
        if class != 'c' && !seen.contains(class) {
            seen.push(class);
            let Color { r, g, b, .. } = highlighter.style_for_stack(stack.as_slice()).foreground;
            let _ = writeln!(css, "pre i.{class} {{ color: #{r:02x}{g:02x}{b:02x} }}");
        }
    }
    css
}
