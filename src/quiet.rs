//! Running user code whose panic must go no further: drops, wakers, subscribers.

use std::panic::{AssertUnwindSafe, catch_unwind};

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
