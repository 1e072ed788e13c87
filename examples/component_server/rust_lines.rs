//! The lines of a Rust file, each with the open braces and strings at its start.
//!
//! This knows just enough of the language to tell a brace from one in a string, a comment or a character.

pub(crate) struct Line<'a> {
    /// With its line end.
    pub(crate) text: &'a str,
    /// How many brackets are open.
    depth: usize,
    outside_literals: bool,
}

impl Line<'_> {
    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    pub(crate) fn is_top_level(&self) -> bool {
        self.depth == 0 && self.outside_literals
    }

    pub(crate) fn starts_outside_literals(&self) -> bool {
        self.outside_literals
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    LineComment,
    /// They nest.
    BlockComment(usize),
    Text,
    /// Ends at a quote with this many `#`.
    RawText(usize),
}

pub(crate) fn lines(source: &str) -> Vec<Line<'_>> {
    let mut depth = 0;
    let mut open = Open::Nothing;
    let mut lines = Vec::new();
    for text in source.split_inclusive('\n') {
        lines.push(Line { text, depth, outside_literals: open == Open::Nothing });
        let mut rest = text.as_bytes();
        let mut before = b' ';
        while let Some(&byte) = rest.first() {
            let used = step(rest, before, &mut open, &mut depth).clamp(1, rest.len());
            before = byte;
            rest = &rest[used..];
        }
        if open == Open::LineComment {
            open = Open::Nothing;
        }
    }
    lines
}

/// Handles the next token. Returns the number of bytes handled.
fn step(rest: &[u8], before: u8, open: &mut Open, depth: &mut usize) -> usize {
    match *open {
        Open::Nothing => return step_in_code(rest, before, open, depth),
        Open::LineComment => return rest.len(),
        Open::BlockComment(1) if rest.starts_with(b"*/") => *open = Open::Nothing,
        Open::BlockComment(nested) if rest.starts_with(b"*/") => *open = Open::BlockComment(nested - 1),
        Open::BlockComment(nested) if rest.starts_with(b"/*") => *open = Open::BlockComment(nested + 1),
        Open::BlockComment(_) => return 1,
        Open::Text if rest[0] == b'"' => {
            *open = Open::Nothing;
            return 1;
        }
        Open::Text => return if rest[0] == b'\\' { 2 } else { 1 },
        Open::RawText(marks) if rest[0] == b'"' && hashes(&rest[1..]) >= marks => {
            *open = Open::Nothing;
            return 1 + marks;
        }
        Open::RawText(_) => return 1,
    }
    2
}

fn step_in_code(rest: &[u8], before: u8, open: &mut Open, depth: &mut usize) -> usize {
    let in_a_word = before.is_ascii_alphanumeric() || before == b'_';
    match rest {
        [b'/', b'/', ..] => *open = Open::LineComment,
        [b'/', b'*', ..] => {
            *open = Open::BlockComment(1);
            return 2;
        }
        [b'"', ..] => *open = Open::Text,
        // Also after `b` and `c`, which are words of their own here.
        [b'r', ..] if !in_a_word || matches!(before, b'b' | b'c') => {
            let marks = hashes(&rest[1..]);
            if rest.get(1 + marks) == Some(&b'"') {
                *open = Open::RawText(marks);
                return 2 + marks;
            }
        }
        [b'\'', b'\\', escaped @ ..] => {
            // The escaped character may be a quote itself.
            let quote = escaped.iter().skip(1).position(|&byte| byte == b'\'');
            return quote.map_or(1, |at| at + 4);
        }
        // A character ends with a quote, a lifetime does not. One character is at most four bytes.
        [b'\'', first, more @ ..] => {
            let wide = more.iter().take_while(|&&byte| byte & 0xC0 == 0x80).count();
            if *first != b'\'' && more.get(wide) == Some(&b'\'') {
                return 3 + wide;
            }
        }
        [b'{' | b'(' | b'[', ..] => *depth += 1,
        [b'}' | b')' | b']', ..] => *depth = depth.saturating_sub(1),
        _ => {}
    }
    1
}

fn hashes(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| byte == b'#').count()
}
