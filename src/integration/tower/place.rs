//! [`Below`]: the place below which a request's scope opens.

use std::fmt;

use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::sync::os::Arc;

use super::limit::{Answer, Refuse, Unavailable};

/// A place for all requests, or the one that a closure chooses.
pub struct Below<F, A> {
    pub(super) at: Lineage,
    pub(super) choose: Arc<F>,
    pub(super) ended: Arc<A>,
}

impl<F, A> Clone for Below<F, A> {
    fn clone(&self) -> Self {
        Self { at: self.at.clone(), choose: Arc::clone(&self.choose), ended: Arc::clone(&self.ended) }
    }
}

impl<F, A> fmt::Debug for Below<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl Below<NoChoice, CallAnyway> {
    pub(super) fn here() -> Self {
        Self { at: Lineage(current::here()), choose: Arc::new(NoChoice), ended: Arc::new(CallAnyway) }
    }
}

/// Finds the place for a request's scope, or answers the request.
pub trait OpensBelow<Req, Res> {
    fn place(&self, request: &Req) -> Result<Lineage, Res>;
}

impl<Req, Res, F: Choose<Req>, A: AtItsEnd<Req, Res>> OpensBelow<Req, Res> for Below<F, A> {
    fn place(&self, request: &Req) -> Result<Lineage, Res> {
        let chosen = self.choose.choose(request);
        let at = chosen.as_ref().unwrap_or(&self.at);
        let here = current::nearest();
        let place = match here.innermost_scope() {
            Some(scope) if scope.node().is_at_or_below(at.0.node()) => Lineage(here),
            // A runtime's thread may have become a node; a request belongs to the server all the same.
            _ => at.clone(),
        };
        match self.ended.answer(&place, request) {
            Some(answer) => Err(answer),
            None => Ok(place),
        }
    }
}

/// Chooses a place for a request.
pub trait Choose<Req> {
    fn choose(&self, request: &Req) -> Option<Lineage>;
}

/// The layer's.
pub struct NoChoice;

impl<Req> Choose<Req> for NoChoice {
    fn choose(&self, _: &Req) -> Option<Lineage> {
        None
    }
}

/// The one that the user's closure names.
pub struct Choice<F>(pub(super) F);

impl<Req, F: Fn(&Req) -> Option<Lineage>> Choose<Req> for Choice<F> {
    fn choose(&self, request: &Req) -> Option<Lineage> {
        (self.0)(request)
    }
}

/// What to do with a request whose place has ended.
pub trait AtItsEnd<Req, Res> {
    /// The answer if the place has ended, and the service is not to be called.
    fn answer(&self, place: &Lineage, request: &Req) -> Option<Res>;
}

/// Nothing: the service is called, in a scope that accepts nothing.
pub struct CallAnyway;

impl<Req, Res> AtItsEnd<Req, Res> for CallAnyway {
    fn answer(&self, _: &Lineage, _: &Req) -> Option<Res> {
        None
    }
}

impl<Req, Res> AtItsEnd<Req, Res> for Unavailable
where
    Self: Refuse<Req, Res>,
{
    fn answer(&self, place: &Lineage, request: &Req) -> Option<Res> {
        has_ended(place).then(|| self.refuse(request))
    }
}

impl<Req, Res, F> AtItsEnd<Req, Res> for Answer<F>
where
    Self: Refuse<Req, Res>,
{
    fn answer(&self, place: &Lineage, request: &Req) -> Option<Res> {
        has_ended(place).then(|| self.refuse(request))
    }
}

/// It is over, or it, or one above it, was told to end or asked to stop.
fn has_ended(place: &Lineage) -> bool {
    let node = place.0.node();
    node.is_over() || node.scope_closed() || node.is_cancelled()
}
