//! Running user code whose panic must go no further: drops, wakers, subscribers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use std::task::{Context, Wake, Waker};

use crate::sync::os::Arc;

/// Runs `f`; a panic in it is swallowed, and then the answer is `None`.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(out) => Some(out),
        Err(payload) => {
            // A payload may panic when it is dropped, and what that panic carries as well; that one is leaked.
            if let Err(worse) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(worse);
            }
            None
        }
    }
}

/// As the waker; a panic in it is swallowed, so that whoever else is woken with it hears too.
pub(crate) fn quiet_waker(waker: &Waker) -> Waker {
    struct Quiet(Waker);

    impl Wake for Quiet {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            quietly(|| self.0.wake_by_ref());
        }
    }

    Waker::from(Arc::new(Quiet(waker.clone())))
}

/// Polls an event's listener with a user's waker.
pub(crate) async fn told(listener: impl Future<Output = ()>) {
    let mut listener = std::pin::pin!(listener);
    std::future::poll_fn(|cx| listener.as_mut().poll(&mut Context::from_waker(&quiet_waker(cx.waker())))).await;
}

/// Drops a user's value; nobody is there to take a panic in its `Drop`.
pub(crate) fn drop_quietly<V>(value: V) {
    if std::mem::needs_drop::<V>() {
        quietly(|| drop(value));
    }
}

/// Ends the process if it is dropped by a panic: for a wait whose early end would let borrows dangle. Nothing in such a
/// wait is known to panic.
pub(crate) struct MustNotUnwind;

impl Drop for MustNotUnwind {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}
