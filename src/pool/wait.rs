//! Waiting without holding up a pool: [`GivenAway`] and [`blocking`].

use std::marker::PhantomData;
use std::ptr;

use crate::pool::frame;
use crate::pool::inner::Pool;
use crate::pool::park;
use crate::pool::pinned;
use crate::pool::stealing;
use crate::sync::os::Arc;
use crate::threads::cache::{self, WaitsHere};
use crate::waits::{self, Cycle, Part, Parts, Target, Waiting};

/// While it lives, the places of the tasks on this thread's stack are given to the next tasks. Dropping it takes them
/// back at once, without queueing for them: the one that took the place may be blocked on something this task holds.
pub(crate) struct GivenAway {
    given: usize,
    _waiting: Option<WaitsHere>,
    /// What the thread waits for, where that can be a part of a cycle.
    edge: Option<Waiting<'static>>,
    here: PhantomData<*const ()>,
}

impl GivenAway {
    /// Nothing is given where no task runs, where the pool keeps its places, or at the pool's bound of waiting tasks.
    pub(crate) fn begin() -> Self {
        let mut given = 0;
        // Counted as waiting before a place is given, so that the thread that is asked for may be one more.
        let steals = stealing::here().is_some();
        let works = steals || frame::innermost().is_some();
        let waiting = works.then(cache::wait_here).flatten();
        for frame in frame::all() {
            if frame.brings_place && !frame.away.get() && frame.pool().begin_wait() {
                frame.away.set(true);
                given += 1;
            }
        }
        // A work-stealing pool has no place to give, but what its thread waits for may need one more.
        let waiting = waiting.filter(|_| given > 0 || steals);
        Self { given, _waiting: waiting, edge: None, here: PhantomData }
    }

    /// As [`begin`](Self::begin), for a wait without a deadline that ends with the target. A wait for a value or a gate
    /// that would now never end is told so; see [`crate::waits`].
    pub(crate) fn begin_join(on: Target) -> Self {
        let edge = waits::graph().join(waits::me(), on, parts());
        let mut away = Self::begin();
        away.edge = Some(edge);
        away
    }

    /// As [`begin`](Self::begin), for a wait for what code on another thread's stack owes. Whoever waits looks at
    /// [`is_broken`](Self::is_broken) each time it is woken, and gives up then.
    pub(crate) fn begin_ask(on: Target) -> Result<Self, Cycle> {
        Ok(Self::begin_asked(ask(on)?, true))
    }

    /// The second half of [`begin_ask`](Self::begin_ask), after [`ask`]. The places are kept where they are not to be given.
    pub(crate) fn begin_asked(edge: Waiting<'static>, gives: bool) -> Self {
        let mut away =
            if gives { Self::begin() } else { Self { given: 0, _waiting: None, edge: None, here: PhantomData } };
        away.edge = Some(edge);
        away
    }

    /// The wait would never end, because of a join that began later.
    pub(crate) fn is_broken(&self) -> bool {
        self.edge.as_ref().is_some_and(Waiting::is_broken)
    }
}

/// Notes that the calling thread is about to wait for what code on another thread's stack owes. Runs nothing of a user's, so it
/// may be called under the lock that says who owes it.
pub(crate) fn ask(on: Target) -> Result<Waiting<'static>, Cycle> {
    waits::graph().ask(waits::me(), on, parts(), park::waker())
}

/// What the code on this thread's stack is a part of.
fn parts() -> Parts {
    let mut parts = Parts::new();
    for frame in frame::all() {
        let joins = frame.pool().joins();
        parts.extend(frame.task().map(|task| Part::Task(task.id())));
        parts.push(Part::Tally(frame.pool().tally.address()));
        parts.extend(frame.scoped.as_ref().map(|scoped| Part::Tally(scoped.address())));
        parts.extend(frame.place.node().scopes().map(|scope| Part::Tally(scope.of(joins).address())));
    }
    parts
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
    if let Some(own) = stealing::here().filter(|own| ptr::eq(Arc::as_ptr(own), pool)) {
        // There is no place to give away, so a deep stack is better than a wait that may be for ever.
        return Some(own);
    }
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

/// Whether a join here of a task of the pool that nobody has started must run it in place, because the caller's place cannot
/// be given away. Otherwise a wait is better, where it is to be interrupted.
pub(crate) fn must_run_in_place(pool: *const Pool) -> bool {
    if pinned::is_here(pool) || stealing::here().is_some_and(|own| ptr::eq(Arc::as_ptr(own), pool)) {
        return true;
    }
    let mut own = frame::all().filter(|frame| frame.brings_place && ptr::eq(Arc::as_ptr(frame.pool()), pool));
    own.next().is_some_and(|own| {
        let _away = GivenAway::begin();
        !own.away.get()
    })
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
