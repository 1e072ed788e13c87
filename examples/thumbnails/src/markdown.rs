//! A Markdown page as blocks of plain text, in the order of the page.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The form in which a block is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// From 1 on, the largest.
    Heading(u8),
    Text,
    /// An entry of a list.
    Item,
    /// Its lines stay as they are.
    Code,
    /// A row of a table.
    Row,
    Rule,
}

pub(crate) struct Block {
    pub(crate) form: Form,
    /// How many lists and quotes the block stands in.
    pub(crate) depth: u32,
    pub(crate) text: String,
}

/// Gives the blocks of a page to a closure, until one is refused.
///
/// # Errors
/// The closure's.
pub(crate) fn blocks<E>(page: &str, mut each: impl FnMut(&Block) -> Result<(), E>) -> Result<(), E> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut block = Block { form: Form::Text, depth: 0, text: String::new() };
    for event in Parser::new_ext(page, options) {
        match event {
            Event::Text(text) | Event::Code(text) => block.text.push_str(&text),
            Event::SoftBreak | Event::HardBreak => block.text.push(' '),
            Event::TaskListMarker(done) => block.text.push_str(if done { "[x] " } else { "[ ] " }),
            Event::Start(Tag::TableCell) if !block.text.is_empty() => block.text.push_str(" · "),
            Event::Start(tag) => begin(&tag, &mut block, &mut each)?,
            Event::End(tag) => end(tag, &mut block, &mut each)?,
            Event::Rule => {
                block.form = Form::Rule;
                flush(&mut block, &mut each)?;
            }
            // Markup of another language is no text of the page.
            _ => {}
        }
    }
    flush(&mut block, &mut each)
}

fn begin<E>(tag: &Tag<'_>, block: &mut Block, each: &mut impl FnMut(&Block) -> Result<(), E>) -> Result<(), E> {
    let form = match tag {
        Tag::Heading { level, .. } => Form::Heading(*level as u8),
        Tag::CodeBlock(_) => Form::Code,
        Tag::Item => Form::Item,
        Tag::TableHead | Tag::TableRow => Form::Row,
        Tag::List(_) | Tag::BlockQuote(_) => Form::Text,
        _ => return Ok(()),
    };
    flush(block, each)?; // an entry's own text ends where a block within the entry begins
    block.form = form;
    block.depth += u32::from(matches!(tag, Tag::List(_) | Tag::BlockQuote(_)));
    Ok(())
}

fn end<E>(tag: TagEnd, block: &mut Block, each: &mut impl FnMut(&Block) -> Result<(), E>) -> Result<(), E> {
    match tag {
        TagEnd::Heading(_) | TagEnd::Paragraph | TagEnd::CodeBlock | TagEnd::Item => flush(block, each),
        TagEnd::TableHead | TagEnd::TableRow => flush(block, each),
        TagEnd::List(_) | TagEnd::BlockQuote(_) => {
            flush(block, each)?;
            block.depth = block.depth.saturating_sub(1);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Hands the block out, unless it is empty, and begins the next one.
fn flush<E>(block: &mut Block, each: &mut impl FnMut(&Block) -> Result<(), E>) -> Result<(), E> {
    if !block.text.trim().is_empty() || block.form == Form::Rule {
        each(block)?;
    }
    block.text.clear();
    block.form = Form::Text;
    Ok(())
}
