//! The calling thread, as a call that blocks finds it.

use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::task::coop;

/// More than tokio's budget of a task for one poll, which is 128.
const MORE_THAN_A_BUDGET: u32 = 1024;

/// Returns the words of a refusal, where `call` would block a thread of a runtime that runs a future.
pub(crate) fn refusal(call: &str) -> Option<String> {
    runs_a_future().then(|| {
        format!("`{call}` blocks its thread, which runs a future of an async runtime; await `{call}_async` there")
    })
}

/// Returns whether the calling thread runs a future for tokio. A thread of `spawn_blocking` runs none.
///
/// Tokio's budget is limited while a future is polled. It is left as it was.
fn runs_a_future() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let cx = &mut Context::from_waker(Waker::noop());
    // Restores the budget when dropped, however much is taken after it.
    let Poll::Ready(_restore) = coop::poll_proceed(cx) else { return true };
    (0..MORE_THAN_A_BUDGET).any(|_| match coop::poll_proceed(cx) {
        Poll::Ready(taken) => {
            taken.made_progress();
            false
        }
        Poll::Pending => true,
    })
}
