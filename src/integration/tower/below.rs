//! [`Below`]: the node below which a request's scope opens.

use crate::lineage::current;
use crate::lineage::handle::Lineage;

use super::answer::Answer;
use super::hook::{Hook, Unset};

/// A node for all requests, a closure that may choose another one, and the answer where it has ended.
#[derive(Clone)]
pub struct Below<F, A> {
    pub(super) at: Lineage,
    pub(super) choose: F,
    pub(super) ended: A,
}

impl Below<Unset, Unset> {
    pub(super) fn here() -> Self {
        Self { at: Lineage(current::here()), choose: Unset, ended: Unset }
    }
}

/// Finds the parent of a request's scope, or answers the request.
pub trait OpensBelow<Req, Res> {
    fn parent(&self, request: &Req) -> Result<Lineage, Res>;
}

impl<Req, Res, F: Choose<Req>, A: Answer<Req, Res>> OpensBelow<Req, Res> for Below<F, A> {
    fn parent(&self, request: &Req) -> Result<Lineage, Res> {
        let chosen = self.choose.choose(request);
        let at = chosen.as_ref().unwrap_or(&self.at);
        let here = current::nearest();
        let parent = match here.innermost_scope() {
            Some(scope) if scope.node().is_at_or_below(at.0.node()) => Lineage(here),
            // A runtime's thread may have become a node; a request belongs to the server all the same.
            _ => at.clone(),
        };
        if A::ANSWERS
            && has_ended(&parent)
            && let Some(answer) = self.ended.answer(request)
        {
            return Err(answer);
        }
        Ok(parent)
    }
}

/// Chooses the parent of a request's scope; `None` is the layer's own.
pub trait Choose<Req> {
    fn choose(&self, request: &Req) -> Option<Lineage>;
}

impl<Req> Choose<Req> for Unset {
    fn choose(&self, _: &Req) -> Option<Lineage> {
        None
    }
}

impl<Req, F: Fn(&Req) -> Option<Lineage>> Choose<Req> for Hook<F> {
    fn choose(&self, request: &Req) -> Option<Lineage> {
        (self.0)(request)
    }
}

/// The node has ended, or a scope at or above it was closed or cancelled.
fn has_ended(at: &Lineage) -> bool {
    let node = at.0.node();
    node.is_over() || node.scope_closed() || node.is_cancelled()
}
