//! Waiting without holding up a pool: [`GivenAway`] and [`blocking`].

use std::marker::PhantomData;
use std::mem;
use std::ptr;
use std::time::Instant;

use crate::bell::Bell;
use crate::fork;
use crate::pool::depth;
use crate::pool::frame::{self, Frame};
use crate::pool::inner::Pool;
use crate::pool::kept::InWait;
use crate::pool::park;
use crate::pool::pinned;
use crate::pool::stealing::{self, Blocked};
use crate::sync::os::Arc;
use crate::threads::cache::{self, WaitsHere};
use crate::waits::{self, Cycle, Part, Parts, Target, Waiting};

/// While it lives, the places of the tasks on this thread's stack are given to the next tasks. Dropping it takes them
/// back at once, without queueing for them: the one that took the place may be blocked on something this task holds.
pub(crate) struct GivenAway {
    /// How many of the places on this thread's stack it has asked for, from the innermost one.
    asked: usize,
    waiting: Option<WaitsHere>,
    _blocked: Option<Blocked<'static>>,
    /// What the thread waits for, where that can be a part of a cycle.
    edge: Option<Waiting<'static>>,
    here: PhantomData<*const ()>,
}

impl GivenAway {
    /// Nothing is given where no task runs, where the pool keeps its places, or at the pool's bound of waiting tasks.
    pub(crate) fn begin() -> Self {
        Self::begin_any(false)
    }

    /// As [`begin`](Self::begin), for a wait that ends at the deadline, if there is one.
    pub(crate) fn begin_until(deadline: Option<Instant>) -> Self {
        Self::begin_any(deadline.is_some())
    }

    fn begin_any(timed: bool) -> Self {
        // In a fork a place that is given is one to nobody, and a thread that counts as waiting may have another started
        // in its place, which would run what is the parent's.
        if fork::is_fork() {
            return Self::nothing();
        }
        let mut asked = 0;
        // Counted as waiting before a place is given, so that the thread that is asked for may be one more.
        let steals = stealing::here().is_some();
        let works = steals || frame::innermost().is_some();
        let waiting = works.then(cache::wait_here).flatten();
        // So that nothing is left to this thread, whether it gives a place or not.
        let blocked = stealing::begin_wait(waiting.is_some());
        for frame in frame::bringers() {
            // This one and those further out were asked by a wait within which this one is.
            if frame.wait.get() != InWait::No {
                break;
            }
            frame.wait.set(frame.pool().begin_wait(timed));
            asked += 1;
        }
        Self { asked, waiting, _blocked: blocked, edge: None, here: PhantomData }
    }

    fn nothing() -> Self {
        Self { asked: 0, waiting: None, _blocked: None, edge: None, here: PhantomData }
    }

    /// It has given a place.
    fn gave(&self) -> bool {
        frame::bringers().take(self.asked).any(|frame| frame.wait.get() == InWait::Given)
    }

    /// As [`begin`](Self::begin), for a wait without a deadline that ends with the target. A wait for a value or a gate
    /// that would now never end is told so; see [`crate::waits`].
    pub(crate) fn begin_join(on: Target) -> Self {
        let mut away = Self::begin();
        away.joins(on);
        away
    }

    /// What has begun is such a wait.
    pub(crate) fn joins(&mut self, on: Target) {
        self.edge = Some(join(on));
    }

    /// As [`begin`](Self::begin), for a wait for what code on another thread's stack owes. Whoever waits looks at
    /// [`is_broken`](Self::is_broken) each time it is woken, and gives up then.
    pub(crate) fn begin_ask(on: Target) -> Result<Self, Cycle> {
        Ok(Self::begin_asked(ask(on)?, true))
    }

    /// The second half of [`begin_ask`](Self::begin_ask), after [`ask`]. The places are kept where they are not to be
    /// given.
    pub(crate) fn begin_asked(edge: Waiting<'static>, gives: bool) -> Self {
        let mut away = if gives { Self::begin() } else { Self::nothing() };
        away.edge = Some(edge);
        away
    }

    /// The wait would never end, because of a join that began later.
    pub(crate) fn is_broken(&self) -> bool {
        self.edge.as_ref().is_some_and(Waiting::is_broken)
    }
}

/// The first half of [`GivenAway::begin_join`], for whoever has given its places already.
pub(crate) fn join(on: Target) -> Waiting<'static> {
    waits::graph().join(waits::me(), on, parts())
}

/// Notes that the calling thread is about to wait for what code on another thread's stack owes. Runs nothing of a
/// user's, so it may be called under the lock that says who owes it.
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
        if fork::is_fork() {
            // Begun before the fork: what this counts belongs to threads that do not exist here, and so may its lock.
            mem::forget(self.waiting.take());
            return;
        }
        // The innermost are those this one asked: what an outer wait asked is further out.
        for frame in frame::bringers().take(self.asked) {
            frame.pool().end_wait(frame.wait.replace(InWait::No));
        }
    }
}

/// Whether the calling thread, as a worker of the pool, may run one of its tasks within the present one; then the pool.
/// It may also when a task of another pool runs here in place, on top of the pool's own. It may not once its place is
/// given away.
pub(crate) fn may_run_in_place<'a>(pool: *const Pool) -> Option<&'a Arc<Pool>> {
    // A fork's child runs nothing of its parent's.
    if fork::is_fork() {
        return None;
    }
    if let Some(own) = stealing::here().filter(|own| ptr::eq(Arc::as_ptr(own), pool)) {
        // A stolen piece has no place to give away, so a deep stack is better than a wait that may be for ever.
        return Some(own);
    }
    if frame::innermost()?.is_aside() {
        return None;
    }
    own_place(pool).filter(|own| own.wait.get() != InWait::Given).map(Frame::pool)
}

/// Gives the places away before anything is run in place, where the stack is deep and does not grow. `None` where none
/// can be given: it is used all the same then, and so is that of a poll, which cannot give it either (it does not know
/// what its executor does next).
pub(crate) fn give_if_deep() -> Option<GivenAway> {
    depth::is_deep().then(GivenAway::begin).filter(GivenAway::gave)
}

/// The frame of this thread that holds a place of the pool.
fn own_place<'a>(pool: *const Pool) -> Option<&'a Frame> {
    frame::bringers().find(|frame| ptr::eq(Arc::as_ptr(frame.pool()), pool))
}

/// Whether the calling thread, as a worker of the pool, keeps its place there in the wait that it has begun. The thread
/// that a pool is pinned to always does, since nobody else would come, and so does a work-stealing pool's.
pub(crate) fn keeps_place(pool: *const Pool) -> bool {
    own_place(pool).is_some_and(|own| own.wait.get() != InWait::Given)
        || pinned::is_here(pool)
        || stealing::here().is_some_and(|own| ptr::eq(Arc::as_ptr(own), pool))
}

/// Blocks until `ready`, which is looked at whenever the bell rings. False at the deadline.
pub(crate) fn block_on_bell(bell: &Bell, deadline: Option<Instant>, mut ready: impl FnMut() -> bool) -> bool {
    let listener = bell.listener();
    park::block_until(deadline, |waker| {
        // The waker comes before the look: see `bell`.
        listener.set(waker);
        ready()
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
