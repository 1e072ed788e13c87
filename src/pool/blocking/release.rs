//! Waiting without holding up a pool: [`PermitsReleased`] and [`blocking`].

use std::marker::PhantomData;
use std::mem;
use std::ptr;
use std::time::Instant;

use crate::lineage::work;
use crate::pool::blocking::hold;
use crate::pool::context::frame::Frame;
use crate::pool::context::thread::{WorkerPurpose, with_innermost};
use crate::pool::context::{frame, thread};
use crate::pool::core::held_permits::InWait;
use crate::pool::core::pool::Pool;
use crate::pool::run::depth;
use crate::runtime;
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::threads::cache::{self, BlockedGuard};
use crate::wait::graph::{self, Begin, ClosesCircle, Ends, Label, Permit, Stack, Target, Waiting};
use crate::wait::park;
use crate::wait::tracker::TaskTracker;
use crate::wait::waker_set::WakerSet;

/// What a wait for a count of tasks is.
pub(crate) struct OfTracker {
    pub(crate) on: Target,
    pub(crate) label: Label,
    pub(crate) ends: Ends,
}

impl OfTracker {
    /// A wait whose caller can be told that it would never end.
    pub(crate) fn of(tracker: &TaskTracker, label: Label) -> Self {
        Self { on: Target::TaskTracker(tracker.address()), label, ends: Ends::WhenTold }
    }
}

/// While it lives, the places of the tasks on this thread's stack are given to the next tasks. Dropping it takes them
/// back at once, without queueing for them: the one that took the place may be blocked on something this task holds.
pub(crate) struct PermitsReleased {
    /// How many of the places on this thread's stack it has asked for, from the innermost one.
    frames: usize,
    waiting: Option<BlockedGuard>,
    _blocked: Option<StealingWait>,
    /// What the thread waits for, where that can be a part of a cycle.
    edge: Option<Waiting<'static>>,
    here: PhantomData<*const ()>,
}

impl PermitsReleased {
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
        let mut frames = 0;
        // Counted as waiting before a place is given, so that the thread that is asked for may be one more.
        let works = thread::is_stealing() || with_innermost(|frame| frame.is_some());
        let waiting = works.then(cache::block_here).flatten();
        // So that nothing is left to this thread, whether it gives a place or not.
        let blocked = StealingWait::begin(waiting.is_some());
        with_innermost(|inner| {
            // An outer wait has asked the frames from the first one in a wait.
            for frame in frame::bringers(inner).take_while(|frame| frame.wait.get() == InWait::No) {
                frame.wait.set(hold::begin_wait(frame.pool(), timed));
                frames += 1;
            }
        });
        Self { frames, waiting, _blocked: blocked, edge: None, here: PhantomData }
    }

    fn nothing() -> Self {
        Self { frames: 0, waiting: None, _blocked: None, edge: None, here: PhantomData }
    }

    /// It has given a place.
    fn gave(&self) -> bool {
        with_innermost(|inner| {
            frame::bringers(inner).take(self.frames).any(|frame| frame.wait.get() == InWait::Released)
        })
    }

    /// As [`begin`](Self::begin), for a wait that ends with the target. The error: it would never end; see
    /// [`crate::wait::graph`]. Whoever waits looks at [`told`](Self::refusal) each time it is woken, and gives up then.
    pub(crate) fn begin_for(on: Target, label: Label, ends: Ends) -> Result<Self, ClosesCircle> {
        let mut released = Self::begin();
        released.waits_for(on, label, ends)?;
        Ok(released)
    }

    /// What has begun is such a wait.
    pub(crate) fn waits_for(&mut self, on: Target, label: Label, ends: Ends) -> Result<(), ClosesCircle> {
        // The one before first: waits of a thread end in the order that is the reverse of their begin.
        self.edge = None;
        self.edge = Some(begin(on, label, ends)?);
        Ok(())
    }

    /// The second half of a wait that [`begin`](fn@begin) began under a lock. The places are kept where they are not to
    /// be given.
    pub(crate) fn begin_registered(edge: Waiting<'static>, gives: bool) -> Self {
        let mut released = if gives { Self::begin() } else { Self::nothing() };
        released.edge = Some(edge);
        released
    }

    /// It is such a wait.
    pub(crate) fn is_waiting(&self) -> bool {
        self.edge.is_some()
    }

    /// The wait is to end, because it would never end otherwise.
    #[inline]
    pub(crate) fn is_refused(&self) -> bool {
        self.edge.as_ref().is_some_and(Waiting::is_refused)
    }

    /// Why, if so.
    pub(crate) fn refusal(&self) -> Option<ClosesCircle> {
        self.edge.as_ref().and_then(Waiting::refusal)
    }
}

/// While it lives, the calling worker of a work-stealing pool is inside a wait. Not `Send`.
///
/// A task whose piece waits may wait for the piece in rayon. Its thread then counts as working, although what the piece
/// waits for may need that thread.
struct StealingWait {
    has_task: bool,
    here: PhantomData<*const ()>,
}

impl StealingWait {
    /// `None` where the thread is no such worker, or is inside a wait already. The wait says so before it releases permits,
    /// so that a thread which acquires one of them does not come here first.
    ///
    /// `has_task` is whether the thread counted as working until now.
    fn begin(has_task: bool) -> Option<Self> {
        thread::with_stealing(|thread| {
            // A fork's child has none of the other threads, and perhaps their locks.
            let thread = thread.filter(|thread| !fork::is_fork() && !thread.blocked.replace(true))?;
            thread.pool.kind.begin_wait(thread.pool, thread.number, has_task);
            Some(Self { has_task, here: PhantomData })
        })
    }
}

impl Drop for StealingWait {
    fn drop(&mut self) {
        thread::with_stealing(|thread| {
            let Some(thread) = thread else { return };
            thread.blocked.set(false);
            if !fork::is_fork() {
                thread.pool.kind.end_wait(thread.pool, thread.number, self.has_task);
            }
        });
    }
}

/// Notes that the calling thread is about to wait, for whoever has given its places already or is to give them next.
/// Runs nothing of a user's where the wait can be [told](Ends), so it may be called under a lock that says who owes
/// what is waited for.
pub(crate) fn begin(on: Target, label: Label, ends: Ends) -> Result<Waiting<'static>, ClosesCircle> {
    begin_as(on, label, ends, false)
}

/// As [`begin`], for a wait in which the thread runs what is queued for the pools that are local to it.
pub(crate) fn begin_driving(on: Target, label: Label, ends: Ends) -> Result<Waiting<'static>, ClosesCircle> {
    begin_as(on, label, ends, true)
}

fn begin_as(on: Target, label: Label, ends: Ends, drives: bool) -> Result<Waiting<'static>, ClosesCircle> {
    graph::graph().begin(graph::me(), Begin { on, label, stack: stack(drives), ends, waker: park::waker })
}

/// So many of the frames on a stack are looked at.
const FRAMES: usize = 256;

/// What the code on this thread's stack is a part of.
fn stack(drives: bool) -> Stack {
    let mut stack = Stack { worker: runtime::worker(), ..Stack::default() };
    let counts = |stack: &mut Stack, tracker: usize| {
        if !stack.trackers.contains(&tracker) {
            stack.trackers.push(tracker);
        }
    };
    let part_of = |frame: &Frame| {
        let pool = frame.pool();
        stack.tasks.extend(frame.task().map(|task| (task.id(), pool.namespace.clone())));
        counts(&mut stack, pool.tracker.address());
        if let Some(scoped) = &frame.counted.scoped {
            counts(&mut stack, scoped.address());
        }
        for (_, scope) in frame.counted.scope_nodes() {
            counts(&mut stack, scope.of(pool.joins()).address());
        }
        if frame.brings_permit && pool.config.holds_permit {
            stack.permits.push(permit(pool));
        }
    };
    with_innermost(|inner| inner.into_iter().flat_map(Frame::outwards).take(FRAMES).for_each(part_of));
    work::for_each_tracker(|tracker| counts(&mut stack, tracker));
    let for_task = |this: &thread::Initialising| this.purpose == WorkerPurpose::ForTask;
    let held = thread::with_initialising(|this| this.filter(|this| for_task(this)).map(|this| permit(this.pool())));
    stack.permits.extend(held);
    if !drives {
        // No other thread runs what is queued there.
        thread::each_local(|entry| {
            let permit = permit(&entry.pool);
            stack.permits.retain(|known| known.pool != permit.pool);
            stack.permits.push(permit);
        });
    }
    stack
}

/// A permit of the pool that the calling thread keeps in its wait.
fn permit(pool: &Arc<Pool>) -> Permit {
    // A local pool's thread is the only one.
    Permit { pool: address(pool), name: pool.namespace.clone(), of: pool.config.limit.max(1) }
}

/// What a pool is known by where it is only compared.
pub(crate) fn address(pool: &Arc<Pool>) -> usize {
    Arc::as_ptr(pool).addr()
}

impl Drop for PermitsReleased {
    fn drop(&mut self) {
        if fork::is_fork() {
            // Begun before the fork: what this counts belongs to threads that do not exist here, and so may its lock.
            mem::forget(self.waiting.take());
            return;
        }
        // The innermost are those this one asked: what an outer wait asked is further out.
        with_innermost(|inner| {
            for frame in frame::bringers(inner).take(self.frames) {
                hold::end_wait(frame.pool(), frame.wait.replace(InWait::No));
            }
        });
    }
}

/// Passes on the pool, if the calling thread, as its worker, may run one of its tasks within the present one.
///
/// The thread may also when a task of another pool runs here in place, on top of the pool's own. It may not once the permit
/// is released.
pub(crate) fn with_own_pool<R>(pool: *const Pool, f: impl FnOnce(Option<&Arc<Pool>>) -> R) -> R {
    // A fork's child runs nothing of its parent's.
    if fork::is_fork() {
        return f(None);
    }
    thread::with_stealing(|thread| match thread {
        // A stolen piece has no permit to release, so a deep stack is better than a wait that may be for ever.
        Some(thread) if ptr::eq(Arc::as_ptr(thread.pool), pool) => f(Some(thread.pool)),
        _ => with_innermost(|inner| {
            let own = inner.filter(|inner| !inner.is_teardown()).and_then(|inner| own_permit(inner, pool));
            f(own.filter(|own| own.wait.get() != InWait::Released).map(Frame::pool))
        }),
    })
}

/// Returns whether the calling thread may run one of the pool's tasks within the present one.
pub(crate) fn may_run_in_place(pool: *const Pool) -> bool {
    with_own_pool(pool, |own| own.is_some())
}

/// The frame of this thread that holds a permit of the pool.
fn own_permit(inner: &Frame, pool: *const Pool) -> Option<&Frame> {
    inner.bringers().find(|frame| frame.is_of(pool))
}

/// Returns whether the calling thread, as a worker of the pool, keeps its permit in the wait that it has begun.
///
/// The thread of a local pool always does, since no other thread comes, and so does a work-stealing pool's.
pub(crate) fn holds_permit(pool: *const Pool) -> bool {
    let holds = |inner: &Frame| own_permit(inner, pool).is_some_and(|own| own.wait.get() != InWait::Released);
    with_innermost(|inner| inner.is_some_and(holds)) || thread::is_local(pool) || thread::steals_for(pool)
}

/// Gives the places away before anything is run in place, where the stack is deep and does not grow. `None` where none
/// can be given: it is used all the same then, and so is that of a poll, which cannot give it either (it does not know
/// what its executor does next).
pub(crate) fn release_if_deep() -> Option<PermitsReleased> {
    depth::is_deep().then(PermitsReleased::begin).filter(PermitsReleased::gave)
}

/// Blocks until `ready`, which is looked at whenever the bell rings. False at the deadline.
pub(crate) fn block_on_wakers(set: &WakerSet, deadline: Option<Instant>, mut ready: impl FnMut() -> bool) -> bool {
    let listener = set.register();
    park::block_until(deadline, |waker| {
        // The waker comes before the look: see `set`.
        listener.set(waker);
        ready()
    })
}

/// Runs `f`, which blocks in a way heirloom cannot see, without holding up the pool of the running task: its place is
/// given to the next task meanwhile, and `f` returns into a task that goes on at once.
///
/// Another pool's parallel loop is such a wait: a task that runs `par_iter` on rayon's own pool keeps its permit without
/// this, and never ends where the loop's closures join tasks of the task's pool. A
/// [`work_stealing`](crate::PoolConfig::work_stealing) pool needs no `blocking` for its loops.
///
/// Outside any task this is just `f()`. The cost is a few atomic operations, and perhaps a thread, bounded by
/// [`PoolConfig::max_blocked`](crate::PoolConfig::max_blocked).
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
    let released = PermitsReleased::begin();
    let out = f();
    drop(released);
    out
}
