//! Forks: whether this process is a fork, where the threads of its parent do not exist.
//!
//! A fork's child has one thread, a copy of the one that forked. The obligations of other threads (a queued task, a
//! value being initialised, a held gate) stay in the parent, and a lock that one of them held is held here for ever. So
//! in the child no wait is for such a thread, no task of the parent runs, and a task that forked does not return.
//!
//! A process may fork again, so a thread is known by its *generation*: how many forks the process had behind it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sync::stderr;

static GENERATION: AtomicU64 = AtomicU64::new(0);
/// This process, or one that it descends from, has started threads that pools or timers wait for.
static THREADS: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// The number of forks that this process has behind it, since the first [`arm`]. A thread or a wait of another
/// generation began in another process.
#[inline]
pub(crate) fn generation() -> u64 {
    // Relaxed: the one thread of a child made the change itself, before it returned from the fork.
    GENERATION.load(Ordering::Relaxed)
}

/// This process is a fork of one that had started a pool or a timer.
#[inline]
pub(crate) fn is_fork() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Notices forks from now on.
#[inline]
pub(crate) fn arm() {
    #[cfg(unix)]
    {
        static ARMED: std::sync::Once = std::sync::Once::new();
        ARMED.call_once(|| {
            // SAFETY: the function lives as long as the program (this crate is not unloaded), takes no argument and
            // does not unwind. A refusal, for want of memory, leaves forks unnoticed.
            unsafe {
                libc::pthread_atfork(None, None, Some(forked));
            }
        });
    }
}

/// Notices forks from now on, and treats each as one ([`is_fork`]): the threads of the pool or timer that the caller is
/// about to start do not exist there.
pub(crate) fn arm_for_threads() {
    THREADS.store(true, Ordering::Relaxed);
    arm();
}

#[cfg(unix)]
extern "C" fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    if THREADS.load(Ordering::Relaxed) {
        FORKED.store(true, Ordering::Relaxed);
    }
}

/// Ends the process, if it is a fork, where a task's body or a worker's initialiser has returned. Its caller would go
/// on with locks of threads that do not exist here, and with tasks queued for the parent.
///
/// As when a thread's function returns in a fork, whose last thread it is, the code is 0; after a panic it is 101.
/// Nothing else runs: no exit handler, no destructor.
#[inline]
pub(crate) fn end_of(what: &dyn Fn() -> String, panicked: bool) {
    if is_fork() {
        end_here(&what(), if panicked { 101 } else { 0 });
    }
}

#[cold]
fn end_here(what: &str, code: i32) -> ! {
    stderr::write(&format!(
        "heirloom: {what} returned in a fork of its process, where its pool has no threads; the fork ends here with code \
         {code}. To end it otherwise, call `exec` or `_exit` before it returns.\n"
    ));
    #[cfg(unix)]
    // SAFETY: `_exit` has no precondition, and does not return.
    unsafe {
        libc::_exit(code)
    }
    #[cfg(not(unix))]
    std::process::exit(code)
}

/// Aborts a fork in which a borrowing wait would end: its tasks run in the parent, and its caller relies on their
/// effects.
#[cold]
pub(crate) fn abort_wait(what: &str) -> ! {
    stderr::write(&format!(
        "heirloom: {what} was to end in a fork of its process, where no thread runs its tasks, and its caller relies on their \
         effects; the fork is aborted. Call `exec` or `_exit` inside of it.\n"
    ));
    std::process::abort()
}
