//! [`CancelWord`]: the atomic word with the cancel requests of one node, thread or spawned future.

use crate::error::CancelReason;
use crate::sync::os::{AtomicU64, Ordering};

/// There is a request that is not acknowledged.
pub(super) const CANCEL_REQUESTED: u64 = 1;
/// The reason of the first request that is not acknowledged. The bits below are the owner's flags, and so are the two bits above.
const REASON: u64 = 0b11 << REASON_SHIFT;
const REASON_SHIFT: u32 = 5;
/// The upper bits count requests: a repeated request is seen as a new one.
const ONE_REQUEST: u64 = 1 << 9;

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
    pub(super) fn request(&self, reason: CancelReason) -> bool {
        let request = |word: u64| {
            let first = if word & CANCEL_REQUESTED == 0 { to_bits(reason) } else { 0 };
            Some((word | CANCEL_REQUESTED | first).wrapping_add(ONE_REQUEST))
        };
        let before = match self.0.fetch_update(Ordering::SeqCst, Ordering::Relaxed, request) {
            Ok(before) | Err(before) => before,
        };
        before & CANCEL_REQUESTED == 0
    }

    /// Clears the request, with these flags. True when there was one.
    pub(super) fn acknowledge(&self, flags: u64) -> bool {
        self.0.fetch_and(!(CANCEL_REQUESTED | REASON | flags), Ordering::SeqCst) & CANCEL_REQUESTED != 0
    }

    #[inline]
    pub(super) fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire) & CANCEL_REQUESTED != 0
    }

    /// Returns the reason of the request; `None` where there is none.
    pub(super) fn reason(&self) -> Option<CancelReason> {
        let word = self.0.load(Ordering::Acquire);
        match (word >> REASON_SHIFT) & 0b11 {
            _ if word & CANCEL_REQUESTED == 0 => None,
            0 => Some(CancelReason::Request),
            1 => Some(CancelReason::OwnerEnd),
            2 => Some(CancelReason::Deadline),
            _ => Some(CancelReason::Shutdown),
        }
    }

    /// Returns how many requests were noted, acknowledged ones included.
    pub(super) fn requests(&self) -> u64 {
        self.0.load(Ordering::Acquire) / ONE_REQUEST
    }
}

fn to_bits(reason: CancelReason) -> u64 {
    let bits = match reason {
        CancelReason::Request => 0,
        CancelReason::OwnerEnd => 1,
        CancelReason::Deadline => 2,
        CancelReason::Shutdown => 3,
    };
    bits << REASON_SHIFT
}
