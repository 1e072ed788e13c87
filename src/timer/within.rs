//! [`within`]: a future with a time limit, on any runtime.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use super::timer;

/// Returns the future's output; `None` when the deadline has come before. Waits as long as the future takes without a
/// deadline, and also where the system refuses the timer its thread.
pub(crate) async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut alarm = None;
    poll_fn(|cx| {
        if let Poll::Ready(out) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(out));
        }
        let Some(deadline) = deadline else { return Poll::Pending };
        if Instant::now() >= deadline {
            return Poll::Ready(None);
        }
        // The new deadline first: it may be for another waker.
        drop(std::mem::replace(&mut alarm, timer().at(deadline, cx.waker().clone())));
        Poll::Pending
    })
    .await
}
