//! Whether the calling thread runs a future for a tokio runtime, and so must not block.
//!
//! Being in a runtime's context says less: `spawn_blocking` threads are, and so is whoever holds an `EnterGuard`, and
//! these may block. What tells them apart is tokio's cooperative budget, which is limited while a future is polled, and
//! is lifted in `spawn_blocking` and `block_in_place`.
//!
//! A future in `tokio::task::unconstrained` has lifted it too, and what is dropped outside of a poll has none. For
//! these tokio has no question, only a refusal: its own `block_on` panics there. That panic is caught, but whatever is
//! told of panics is told of it, so the budget is asked first.

use std::task::{Context, Poll, Waker};

use ::tokio::runtime::Handle;
use ::tokio::task::coop;

use crate::quiet::quietly;

/// More than tokio grants a task for one poll, which is 128.
const MORE_THAN_A_BUDGET: u32 = 1024;

pub(super) fn runs_a_future() -> bool {
    // Mostly it is none of tokio's threads.
    let Ok(here) = Handle::try_current() else { return false };
    let cx = &mut Context::from_waker(Waker::noop());
    // Restores the budget when dropped, whatever is taken after it.
    let Poll::Ready(_restore) = coop::poll_proceed(cx) else { return true };
    let is_limited = (0..MORE_THAN_A_BUDGET).any(|_| match coop::poll_proceed(cx) {
        Poll::Ready(taken) => {
            taken.made_progress();
            false
        }
        Poll::Pending => true,
    });
    is_limited || quietly(|| here.block_on(async {})).is_none()
}
