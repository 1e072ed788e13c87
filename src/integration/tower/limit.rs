//! How many requests there are at once, and the answer to one too many.

use std::fmt;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::registry::scope::Scope;
use crate::sync::os::{Arc, AtomicU64, AtomicUsize, Ordering};
use crate::value::heirloom::Heirloom;

/// Kept by each scope that counts, until it has ended and nothing asked for below it is left.
static SLOT: Heirloom<Slot> = Heirloom::new("request limit");

/// The places there are.
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
        // Relaxed: nothing is handed over with a place.
        let one_more = |taken: usize| (taken < self.most).then_some(taken + 1);
        if self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Arc::new(Slot(Arc::clone(self))))
    }
}

/// How much of a [`ScopeLayer`](super::ScopeLayer)'s limit is in use: for whoever watches the server. Keeps nothing
/// going.
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
    /// How many requests count at the moment: each from its start until nothing that it asked for is left.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// How many there may be.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.most
    }

    /// How many were answered as one too many.
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

/// A place that is taken. Dropping it gives it back.
pub struct Slot(Arc<Slots>);

impl Slot {
    /// Has the scope keep the place too. One below a place that has ended cannot, and asks for nothing either.
    pub(super) fn keep(self: &Arc<Self>, scope: &Scope) {
        let _ = SLOT.bind_at(scope, Arc::clone(self));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets a request in, or answers it.
pub trait Admit<Req, Res> {
    /// `Ok(None)` where nobody counts.
    fn admit(&self, request: &Req) -> Result<Option<Arc<Slot>>, Res>;
}

/// Nobody counts.
pub struct Unlimited;

impl<Req, Res> Admit<Req, Res> for Unlimited {
    fn admit(&self, _: &Req) -> Result<Option<Arc<Slot>>, Res> {
        Ok(None)
    }
}

/// As many as there are places.
pub struct Limited<A> {
    pub(super) slots: Arc<Slots>,
    pub(super) answer: A,
}

impl<Req, Res, A: Refuse<Req, Res>> Admit<Req, Res> for Limited<A> {
    fn admit(&self, request: &Req) -> Result<Option<Arc<Slot>>, Res> {
        self.slots.take().map(Some).ok_or_else(|| self.answer.refuse(request))
    }
}

/// Answers a request too many.
pub trait Refuse<Req, Res> {
    fn refuse(&self, request: &Req) -> Res;
}

/// 503, try again in a second.
pub struct Unavailable;

impl<Req, B: Default> Refuse<Req, http::Response<B>> for Unavailable {
    fn refuse(&self, _: &Req) -> http::Response<B> {
        let mut response = http::Response::new(B::default());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }
}

/// What the user says.
pub struct Answer<F>(pub(super) F);

impl<Req, Res, F: Fn(&Req) -> Res> Refuse<Req, Res> for Answer<F> {
    fn refuse(&self, request: &Req) -> Res {
        (self.0)(request)
    }
}
