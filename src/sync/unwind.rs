//! Running user code whose panic must go no further: drops, wakers, subscribers.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`; a panic in it is swallowed, and then the answer is `None`.
pub(crate) fn swallow<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(out) => Some(out),
        Err(payload) => {
            // A payload may panic when it is dropped, and the payload of that panic too; the second one is leaked.
            if let Err(worse) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(worse);
            }
            None
        }
    }
}

/// Drops a user's value, and swallows a panic in its `Drop`.
pub(crate) fn swallow_drop<V>(value: V) {
    if std::mem::needs_drop::<V>() {
        swallow(|| drop(value));
    }
}

/// Runs `f` and returns its output; a panic that leaves `f` ends the process.
///
/// For a wait whose early end would let borrows dangle. No user code runs in `f` uncaught, and nothing in such a wait
/// is known to panic. A caller may itself be a drop that runs while its thread unwinds. That panic is further out and
/// not `f`'s, so the guard does not ask whether the thread is panicking.
pub(crate) fn abort_on_panic<R>(f: impl FnOnce() -> R) -> R {
    struct AbortIfPanic;
    impl Drop for AbortIfPanic {
        fn drop(&mut self) {
            std::process::abort();
        }
    }
    let unwound = AbortIfPanic;
    let out = f();
    std::mem::forget(unwound);
    out
}
