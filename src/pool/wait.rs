//! Waiting without holding up a pool: [`GivenAway`] and [`blocking`].

use std::marker::PhantomData;
use std::ptr;

use crate::pool::frame;
use crate::pool::inner::Pool;
use crate::sync::os::Arc;
use crate::threads::cache::{self, WaitsHere};

/// While it lives, the places of the tasks on this thread's stack are given to the next tasks. Dropping it takes them
/// back at once, without queueing for them: the one that took the place may be blocked on something this task holds.
pub(crate) struct GivenAway {
    given: usize,
    _waiting: Option<WaitsHere>,
    here: PhantomData<*const ()>,
}

impl GivenAway {
    /// Nothing is given where no task runs, where the pool keeps its places, or at the pool's bound of waiting tasks.
    pub(crate) fn begin() -> Self {
        let mut given = 0;
        // Counted as waiting before a place is given, so that the thread that is asked for may be one more.
        let waiting = frame::innermost().and_then(|_| cache::wait_here());
        for frame in frame::all() {
            if frame.brings_place && !frame.away.get() && frame.pool().begin_wait() {
                frame.away.set(true);
                given += 1;
            }
        }
        let waiting = waiting.filter(|_| given > 0);
        Self { given, _waiting: waiting, here: PhantomData }
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

/// Whether the calling thread, as a worker of the pool, may run one of its tasks within the present one; then the pool. It
/// may also when a task of another pool runs here in place, on top of the pool's own. `waits` is whether the caller
/// will give its place away and block otherwise.
pub(crate) fn may_run_in_place<'a>(pool: *const Pool, waits: bool) -> Option<&'a Arc<Pool>> {
    let innermost = frame::innermost()?;
    if innermost.is_aside() {
        return None;
    }
    let own = frame::all().find(|frame| frame.brings_place && ptr::eq(Arc::as_ptr(frame.pool()), pool))?;
    if own.away.get() {
        return None;
    }
    // A wait that is deeper gives the place away instead. Where it cannot, and for a poll, which cannot either (it does not
    // know what its executor does next), a deep stack is better than a pool that waits for itself for ever.
    if innermost.depth >= MAX_DEPTH && waits {
        let _away = GivenAway::begin();
        if own.away.get() {
            return None;
        }
    }
    Some(own.pool())
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
