//! [`Slots`]: the bound on requests at the same time.

use std::fmt;

use crate::registry::scope::Scope;
use crate::sync::os::{Arc, AtomicU64, AtomicUsize, Ordering};
use crate::value::heirloom::Heirloom;

use super::answer::Answer;
use super::hook::Unset;

/// Bound at each counted scope, which drops it when the scope has ended and no task submitted below it is left.
static SLOT: Heirloom<Slot> = Heirloom::new("request limit");

pub(super) struct Slots {
    most: usize,
    taken: AtomicUsize,
    refused: AtomicU64,
}

impl Slots {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    fn take(self: &Arc<Self>) -> Option<Arc<Slot>> {
        // Relaxed: a slot hands no data over.
        let one_more = |taken: usize| (taken < self.most).then_some(taken + 1);
        if self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Arc::new(Slot(Arc::clone(self))))
    }
}

/// The use of a [`ScopeLayer`](super::ScopeLayer)'s limit, to be read at any time. Dropping it changes nothing.
///
/// ```
/// use heirloom::tower::{ScopeLayer, ScopeUsage};
///
/// struct Server {
///     requests: ScopeUsage,
/// }
///
/// let scopes = ScopeLayer::new().limit(1000);
/// let server = Server { requests: scopes.usage() };
/// assert_eq!((server.requests.in_use(), server.requests.limit(), server.requests.refused()), (0, 1000, 0));
/// ```
#[derive(Clone)]
pub struct ScopeUsage(pub(super) Arc<Slots>);

impl ScopeUsage {
    /// Returns the number of requests that count now: each from its start until no task that it submitted is left.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Returns the limit.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.most
    }

    /// Returns the number of requests that came above the limit.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for ScopeUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (in_use, limit, refused) = (self.in_use(), self.limit(), self.refused());
        f.debug_struct("ScopeUsage").field("in_use", &in_use).field("limit", &limit).field("refused", &refused).finish()
    }
}

/// One slot, taken. Dropping it releases the slot.
pub struct Slot(Arc<Slots>);

impl Slot {
    /// Binds the slot at the scope too. A scope below an ended node refuses the value, and submits no task either.
    pub(super) fn keep(self: &Arc<Self>, scope: &Scope) {
        let _ = SLOT.at(scope).bind(Arc::clone(self));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets a request in, or answers it.
pub trait Admit<Req, Res> {
    /// Returns `Ok(None)` where requests are not counted.
    fn admit(&self, request: &Req) -> Result<Option<Arc<Slot>>, Res>;
}

impl<Req, Res> Admit<Req, Res> for Unset {
    fn admit(&self, _: &Req) -> Result<Option<Arc<Slot>>, Res> {
        Ok(None)
    }
}

/// As many requests as there are slots.
#[derive(Clone)]
pub struct Limited<A> {
    pub(super) slots: Arc<Slots>,
    pub(super) answer: A,
}

impl<Req, Res, A: Answer<Req, Res>> Admit<Req, Res> for Limited<A> {
    fn admit(&self, request: &Req) -> Result<Option<Arc<Slot>>, Res> {
        match self.slots.take() {
            Some(slot) => Ok(Some(slot)),
            None => self.answer.answer(request).map_or(Ok(None), Err),
        }
    }
}
