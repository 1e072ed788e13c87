//! [`obliged`]: the calling thread's obligations, given up when the thread ends the process.

use std::ptr;

use crate::sync::local::WORDS;

/// The calling thread's present obligations, innermost first. The list lives in the stack frames themselves, so that it
/// can be read at process exit, when the thread's other locals are destroyed.
struct Obliged<'a> {
    outer: *const Obliged<'static>,
    give_up: &'a dyn Fn(),
}

/// Runs `f`, which fulfils an obligation. If the thread never returns from it, because it ends the process, `give_up`
/// notifies the waiters; it runs no user code.
pub(crate) fn obliged<R>(give_up: &dyn Fn(), f: impl FnOnce() -> R) -> R {
    struct Restore(*const Obliged<'static>);
    impl Drop for Restore {
        fn drop(&mut self) {
            WORDS.with(|words| words.obliged.set(self.0));
        }
    }
    let obliged = Obliged { outer: WORDS.with(|words| words.obliged.get()), give_up };
    let restore = Restore(obliged.outer);
    WORDS.with(|words| words.obliged.set(ptr::from_ref(&obliged)));
    let out = f();
    drop(restore);
    out
}

/// Gives up all obligations of the calling thread, which will not go on.
pub(crate) fn give_up_all() {
    // SAFETY: each entry is in an `obliged` call further up this thread's stack. That call has not returned: it takes
    // its entry off the list before it does, by `Restore` also when it unwinds.
    while let Some(obliged) = unsafe { WORDS.with(|words| words.obliged.get::<Obliged<'_>>()).as_ref() } {
        WORDS.with(|words| words.obliged.set(obliged.outer));
        (obliged.give_up)();
    }
}
