//! [`CancelWord`]: the atomic word with the cancel requests of one node, thread or spawned future.

use crate::sync::os::{AtomicU64, Ordering};

/// There is a request that is not acknowledged.
pub(super) const CANCEL_REQUESTED: u64 = 1;
/// The upper bits count requests: a repeated request is seen as a new one. The bits between are the owner's flags.
const ONE_REQUEST: u64 = 1 << 5;

/// One word gives all its changes one order: of a request and a flag, the later one sees the earlier one.
///
/// A reader that registered a waker before its load misses no request: the canceller notes the request before it takes
/// the lock of the waker set, so an acquiring load after the registration sees the request, or the canceller finds the
/// waker.
pub(super) struct CancelWord(pub(super) AtomicU64);

impl CancelWord {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Notes a request. True when no other one was unacknowledged.
    pub(super) fn request(&self) -> bool {
        let request = |word: u64| Some((word | CANCEL_REQUESTED).wrapping_add(ONE_REQUEST));
        let before = match self.0.fetch_update(Ordering::SeqCst, Ordering::Relaxed, request) {
            Ok(before) | Err(before) => before,
        };
        before & CANCEL_REQUESTED == 0
    }

    /// Clears the request, with these flags. True when there was one.
    pub(super) fn acknowledge(&self, flags: u64) -> bool {
        self.0.fetch_and(!(CANCEL_REQUESTED | flags), Ordering::SeqCst) & CANCEL_REQUESTED != 0
    }

    #[inline]
    pub(super) fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire) & CANCEL_REQUESTED != 0
    }

    /// Returns how many requests were noted, acknowledged ones included.
    pub(super) fn requests(&self) -> u64 {
        self.0.load(Ordering::Acquire) / ONE_REQUEST
    }
}
