//! [`obliged`]: what the calling thread makes for others, to be given up when the thread ends the process.

use std::cell::Cell;
use std::ptr;

/// What the calling thread owes at the moment, innermost first. The list lives in the stack frames themselves, so that
/// it can be read at process exit, when the thread's other locals are gone.
struct Obliged<'a> {
    outer: *const Obliged<'static>,
    give_up: &'a dyn Fn(),
}

thread_local! {
    static OBLIGED: Cell<*const Obliged<'static>> = const { Cell::new(ptr::null()) };
}

/// Runs `f`, which makes what others wait for. If the thread never comes back from it, because it ends the process,
/// `give_up` tells them; it runs no user code.
pub(crate) fn obliged<R>(give_up: &dyn Fn(), f: impl FnOnce() -> R) -> R {
    struct Restore(*const Obliged<'static>);
    impl Drop for Restore {
        fn drop(&mut self) {
            OBLIGED.set(self.0);
        }
    }
    let obliged = Obliged { outer: OBLIGED.get(), give_up };
    let restore = Restore(obliged.outer);
    OBLIGED.set(ptr::from_ref(&obliged).cast());
    let out = f();
    drop(restore);
    out
}

/// Gives up all that the calling thread owes: it will not go on.
pub(crate) fn give_up_all() {
    // SAFETY: each is further up this thread's stack, in a call that has not returned.
    while let Some(obliged) = unsafe { OBLIGED.get().as_ref() } {
        OBLIGED.set(obliged.outer);
        (obliged.give_up)();
    }
}
