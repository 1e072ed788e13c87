//! [`within`]: a future with a time limit, on any runtime.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use super::timer;

/// The future's output; `None` when the deadline has come before. Without a deadline it waits as long as it takes, and
/// so where no thread is to be had that keeps the time.
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
        // The new one first: it may be for another waker.
        drop(std::mem::replace(&mut alarm, timer().at(deadline, cx.waker().clone())));
        Poll::Pending
    })
    .await
}
