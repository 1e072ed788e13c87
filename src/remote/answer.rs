//! An engine's answer, as a future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::sync::os::{Arc, Mutex};
use crate::wire::engine::Answer;
use crate::wire::fault::Fault;

struct Shared<T> {
    outcome: Option<Result<T, Fault>>,
    waker: Option<Waker>,
}

/// The future of an answer.
pub(crate) struct Coming<T>(Arc<Mutex<Shared<T>>>);

/// Returns an answer, and the future of it.
pub(crate) fn channel<T: Send + 'static>() -> (Answer<T>, Coming<T>) {
    let shared = Arc::new(Mutex::new(Shared { outcome: None, waker: None }));
    let coming = Coming(Arc::clone(&shared));
    let given = move |outcome| {
        let waker = {
            let mut shared = shared.lock();
            shared.outcome = Some(outcome);
            shared.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    };
    (Answer::new(given), coming)
}

impl<T> Future for Coming<T> {
    type Output = Result<T, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut shared = self.0.lock();
        match shared.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                let before = shared.waker.replace(cx.waker().clone());
                drop(shared);
                drop(before);
                Poll::Pending
            }
        }
    }
}
