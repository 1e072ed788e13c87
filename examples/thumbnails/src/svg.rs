//! [`draw`]: a Markdown page as a small picture of text lines and boxes.
//!
//! It is a pure function in whole numbers, so each machine draws the same picture.

use std::fmt::Write;

use crate::markdown::{self, Block, Form};

/// The page's own units: the picture's width scales them.
const WIDTH: u32 = 600;
const MARGIN: u32 = 36;
const INDENT: u32 = 18;
/// A sheet has at least the form of an A4 page.
const HEIGHT: u32 = 848;

const STYLE: &str = "text{font:12px sans-serif;fill:#222}.h{font-weight:bold}.c{font:11px monospace;fill:#444}";

/// Returns the picture as SVG, as wide as `width` pixels, and as high as the page is long.
///
/// # Errors
/// The first error of `go_on`, which is called before each block.
pub(crate) fn draw<E>(page: &str, width: u32, mut go_on: impl FnMut() -> Result<(), E>) -> Result<String, E> {
    let mut sheet = Sheet { body: String::with_capacity(page.len() * 2), y: MARGIN };
    markdown::blocks(page, |block| {
        go_on()?;
        sheet.block(block);
        Ok(())
    })?;
    let high = (sheet.y + MARGIN).max(HEIGHT);
    let scaled = u64::from(high) * u64::from(width) / u64::from(WIDTH);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{scaled}\" viewBox=\"0 0 {WIDTH} {high}\">\n\
         <style>{STYLE}</style>\n<rect width=\"{WIDTH}\" height=\"{high}\" fill=\"#fff\"/>\n{}</svg>\n",
        sheet.body
    ))
}

struct Sheet {
    body: String,
    /// The top of the next line.
    y: u32,
}

impl Sheet {
    fn block(&mut self, block: &Block) {
        let x = MARGIN + block.depth.min(8) * INDENT;
        match block.form {
            Form::Heading(level) => {
                let size = 26 - 3 * u32::from(level.clamp(1, 5));
                self.y += size / 2;
                self.lines(&block.text, x, size, &format!(" class=\"h\" style=\"font-size:{size}px\""));
            }
            Form::Text | Form::Row => self.lines(&block.text, x, 12, ""),
            Form::Item => {
                let _ = writeln!(self.body, "<circle cx=\"{}\" cy=\"{}\" r=\"2\"/>", x - 8, self.y + 8);
                self.lines(&block.text, x, 12, "");
            }
            Form::Code => self.code(&block.text, x),
            Form::Rule => {
                let (y, end) = (self.y, WIDTH - MARGIN);
                let _ = writeln!(self.body, "<path d=\"M{x} {y}H{end}\" stroke=\"#bbb\"/>");
            }
        }
        self.y += 8;
    }

    /// Draws a text in lines, broken between words.
    fn lines(&mut self, text: &str, x: u32, size: u32, attributes: &str) {
        // A letter is a bit more than half as wide as high.
        let fits = ((WIDTH - MARGIN - x) * 19 / (10 * size)).max(1) as usize;
        let (mut line, mut long) = (String::new(), 0);
        for word in text.split_whitespace() {
            let letters = word.chars().count();
            if long > 0 && long + 1 + letters > fits {
                self.line(&line, x, size, attributes);
                line.clear();
                long = 0;
            }
            if long > 0 {
                line.push(' ');
                long += 1;
            }
            line.extend(word.chars().take(fits)); // a longer word is cut
            long += letters.min(fits);
        }
        if long > 0 {
            self.line(&line, x, size, attributes);
        }
    }

    fn code(&mut self, text: &str, x: u32) {
        let lines = text.trim_end().lines().count() as u32;
        let (y, wide, high) = (self.y, WIDTH - MARGIN - x, lines * 16 + 8);
        let _ = writeln!(self.body, "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\" fill=\"#eee\"/>");
        let fits = (wide / 7) as usize;
        for line in text.trim_end().lines() {
            let line: String = line.chars().take(fits).collect();
            self.line(&line, x + 6, 12, " class=\"c\" xml:space=\"preserve\"");
        }
        self.y += 8;
    }

    fn line(&mut self, text: &str, x: u32, size: u32, attributes: &str) {
        self.y += size + 4;
        let _ = write!(self.body, "<text x=\"{x}\" y=\"{}\"{attributes}>", self.y - 4);
        escape(text, &mut self.body);
        self.body.push_str("</text>\n");
    }
}

/// Writes a text that is no markup, in XML or in HTML. Characters that XML cannot have are left out.
pub(crate) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' => out.push_str("    "),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
}
