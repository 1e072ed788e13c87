//! Waiting without holding up a pool: [`GivenAway`] and [`blocking`].

use std::marker::PhantomData;
use std::ptr;

use crate::pool::frame::{self, Frame};
use crate::pool::inner::Pool;
use crate::sync::os::Arc;

/// While it lives, the places of the tasks on this thread's stack are given to the next tasks. Dropping it takes them
/// back at once, without queueing for them: the one that took the place may be blocked on something this task holds.
pub(crate) struct GivenAway {
    given: usize,
    here: PhantomData<*const ()>,
}

impl GivenAway {
    /// Nothing is given where no task runs, where the pool keeps its places, or at the pool's bound of waiting tasks.
    pub(crate) fn begin() -> Self {
        let mut given = 0;
        for frame in frame::all() {
            if frame.brings_place && !frame.away.get() && frame.pool().begin_wait() {
                frame.away.set(true);
                given += 1;
            }
        }
        Self { given, here: PhantomData }
    }

    /// Whether the place that the innermost task runs in is given away at the moment.
    pub(crate) fn is_away() -> bool {
        frame::all().find(|frame| frame.brings_place).is_some_and(|frame: &Frame| frame.away.get())
    }
}

impl Drop for GivenAway {
    fn drop(&mut self) {
        // The innermost are those this one gave: what an outer wait gave is further out.
        for frame in frame::all() {
            if self.given == 0 {
                return;
            }
            if frame.brings_place && frame.away.replace(false) {
                frame.pool().end_wait();
                self.given -= 1;
            }
        }
    }
}

/// How deep tasks may run in place inside one another, so that stacks stay bounded.
const MAX_DEPTH: u32 = 32;

/// Whether the calling thread, as a worker of the pool, may run one of its tasks within the present one; then the pool.
/// `last_resort` is whether the caller would otherwise block.
pub(crate) fn may_run_in_place<'a>(pool: *const Pool, last_resort: bool) -> Option<&'a Arc<Pool>> {
    let frame = frame::innermost()?;
    if !ptr::eq(Arc::as_ptr(frame.pool()), pool) || frame.is_aside() || GivenAway::is_away() {
        return None;
    }
    if frame.depth >= MAX_DEPTH {
        let _away = GivenAway::begin();
        // Where the place cannot be given away, a deep stack is better than a wait that would never end.
        if GivenAway::is_away() || !last_resort {
            return None;
        }
    }
    Some(frame.pool())
}

/// Runs `f`, which blocks in a way heirloom cannot see, without holding up the pool of the running task: its place is
/// given to the next task meanwhile, and `f` returns into a task that goes on at once.
///
/// Outside any task this is just `f()`. The cost is a few atomic operations, and perhaps a thread, bounded by
/// [`PoolConfig::max_waiting`](crate::PoolConfig::max_waiting).
///
/// ```
/// use std::sync::mpsc;
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let one = scope.create("one");
/// one.start(PoolConfig::leased(1))?;
/// let (tx, rx) = mpsc::channel();
/// let waits = one.submit(move || heirloom::blocking(|| rx.recv()))?;
/// one.submit(move || tx.send(7))?; // runs although the only place is taken
/// assert_eq!(waits.join()?, Ok(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    let away = GivenAway::begin();
    let out = f();
    drop(away);
    out
}
