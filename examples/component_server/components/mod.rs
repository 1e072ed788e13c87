//! The components of a page. Each renders itself to HTML, in a task of its request's pool.

pub(crate) mod code;
mod contents;
pub(crate) mod facts;
pub(crate) mod footer;
mod navigation;
pub(crate) mod section;

pub(crate) use contents::Contents;
pub(crate) use facts::Facts;
pub(crate) use footer::Footer;
pub(crate) use navigation::Navigation;
pub(crate) use section::SectionBody;

use crate::error::PageError;
use crate::request::Ticket;

/// A piece of a page. It needs no other piece to be finished, except parts that it asks for itself.
pub(crate) trait Component: Send + 'static {
    fn render(self, ticket: &Ticket) -> Result<String, PageError>;
}
