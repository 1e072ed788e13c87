//! Blocking on a waker, with the calling thread's own parker.

use std::task::Waker;
use std::time::{Duration, Instant};

use crate::sync::has_passed;
use crate::wait::here::with_parker;
use crate::wait::spin;

/// The calling thread's waker, which wakes it in [`block_until`].
pub(crate) fn waker() -> Waker {
    with_parker(|_, waker| waker.clone())
}

/// Polls for a short time, where another CPU can make the condition true. Returns whether it is.
#[inline]
pub(crate) fn spin_until(mut done: impl FnMut() -> bool) -> bool {
    if !spin::can_spin() {
        return done();
    }
    spin::JOIN.until(|| done().then_some(()), || false).is_some() || done()
}

/// Parks until `ready` is true, or until the deadline. Returns whether it is ready.
///
/// `ready` gets a waker, and arranges for its wake before it answers false. A wake without reason does no harm: nested
/// waits of one thread share its parker.
pub(crate) fn block_until(deadline: Option<Instant>, mut ready: impl FnMut(&Waker) -> bool) -> bool {
    park_until(deadline, &mut ready)
}

/// One function for all waits: compiling a copy for each would cost more than the call.
fn park_until(deadline: Option<Instant>, ready: &mut dyn FnMut(&Waker) -> bool) -> bool {
    with_parker(|parker, waker| {
        while !ready(waker) {
            match deadline {
                None => parker.park(),
                Some(deadline) => {
                    if has_passed(deadline) {
                        return false;
                    }
                    parker.park_deadline(deadline);
                }
            }
        }
        true
    })
}

/// The moment `d` from now; `None`, for ever, when the clock cannot express it.
pub(crate) fn after(d: Duration) -> Option<Instant> {
    Instant::now().checked_add(d)
}
