//! Waits that do not hold up a pool: [`PermitsReleased`] and [`blocking`].

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
use crate::threads::blocked::{self, BlockedGuard};
use crate::wait::graph::{self, Begin, ClosesCircle, Ends, Label, Permit, Stack, Target, Waiting};
use crate::wait::here;
use crate::wait::park;
use crate::wait::tracker::TaskTracker;
use crate::wait::waker_set::WakerSet;

/// The target, label and end of a wait for a count of tasks.
pub(crate) struct OfTracker {
    pub(crate) on: Target,
    pub(crate) label: Label,
    pub(crate) ends: Ends,
}

impl OfTracker {
    /// A wait that is refused with an error if it closes a circle.
    pub(crate) fn of(tracker: &TaskTracker, label: Label) -> Self {
        Self { on: Target::TaskTracker(tracker.address()), label, ends: Ends::WhenTold }
    }
}

/// Releases the permits of the tasks on this thread's stack while it lives. Its drop reacquires them at once, without
/// queueing: the task that got a released permit may be blocked on a resource of this one.
pub(crate) struct PermitsReleased {
    /// The number of permits on this thread's stack that it began waits for, from the innermost one.
    frames: usize,
    waiting: Option<BlockedGuard>,
    _blocked: Option<StealingWait>,
    /// The target of the thread's wait, where the wait can be a part of a circle.
    edge: Option<Waiting<'static>>,
    here: PhantomData<*const ()>,
}

impl PermitsReleased {
    /// Releases no permit where no task runs, where the pool holds its permits, or at the pool's bound of waiting
    /// tasks.
    pub(crate) fn begin() -> Self {
        Self::begin_any(false)
    }

    /// As [`begin`](Self::begin), for a wait that ends at the deadline, if there is one.
    pub(crate) fn begin_until(deadline: Option<Instant>) -> Self {
        Self::begin_any(deadline.is_some())
    }

    /// As [`begin`](Self::begin), on a thread that works on another pool's task meanwhile, and so counts as working.
    pub(crate) fn begin_working() -> Self {
        let mut released = Self::nothing();
        if !fork::is_fork() {
            released.frames = release_frames(false);
        }
        released
    }

    fn begin_any(timed: bool) -> Self {
        // In a fork no thread comes for a released permit. A thread that counts as waiting may have another one started
        // instead, which would run the parent's tasks.
        if fork::is_fork() {
            return Self::nothing();
        }
        // Counted as waiting before a permit is released, so that the thread requested for it may be one more.
        let works = thread::is_stealing() || with_innermost(|frame| frame.is_some());
        let waiting = works.then(blocked::block_here).flatten();
        // So that no work is left to this thread, whether it releases a permit or not.
        let blocked = StealingWait::begin(waiting.is_some());
        let frames = release_frames(timed);
        Self { frames, waiting, _blocked: blocked, edge: None, here: PhantomData }
    }

    fn nothing() -> Self {
        Self { frames: 0, waiting: None, _blocked: None, edge: None, here: PhantomData }
    }

    /// Whether a permit was released.
    fn gave(&self) -> bool {
        with_innermost(|inner| {
            frame::bringers(inner).take(self.frames).any(|frame| frame.wait.get() == InWait::Released)
        })
    }

    /// As [`begin`](Self::begin), for a wait that ends with the target. The error is the circle that the wait would
    /// close; see [`crate::wait::graph`]. The waiter checks [`is_refused`](Self::is_refused) each time it is woken, and
    /// gives up then.
    pub(crate) fn begin_for(on: Target, label: Label, ends: Ends) -> Result<Self, ClosesCircle> {
        let mut released = Self::begin();
        released.waits_for(on, label, ends)?;
        Ok(released)
    }

    /// Turns the begun wait into one that ends with the target.
    pub(crate) fn waits_for(&mut self, on: Target, label: Label, ends: Ends) -> Result<(), ClosesCircle> {
        // The earlier wait ends first: a thread's waits end in the reverse order of their begin.
        self.edge = None;
        self.edge = Some(begin(on, label, ends)?);
        Ok(())
    }

    /// The second half of a wait that [`begin`](fn@begin) began under a lock. Without `gives` the permits are held.
    pub(crate) fn begin_registered(edge: Waiting<'static>, gives: bool) -> Self {
        let mut released = if gives { Self::begin() } else { Self::nothing() };
        released.edge = Some(edge);
        released
    }

    /// Whether the wait has a target.
    pub(crate) fn is_waiting(&self) -> bool {
        self.edge.is_some()
    }

    /// Whether the wait has to end because it would never end otherwise.
    #[inline]
    pub(crate) fn is_refused(&self) -> bool {
        self.edge.as_ref().is_some_and(Waiting::is_refused)
    }

    /// The circle, if the wait is refused.
    pub(crate) fn refusal(&self) -> Option<ClosesCircle> {
        self.edge.as_ref().and_then(Waiting::refusal)
    }
}

/// Releases the permits on this thread's stack. Returns how many waits it began.
fn release_frames(timed: bool) -> usize {
    let mut frames = 0;
    with_innermost(|inner| {
        // An outer wait has begun waits for the frames from the first one in a wait.
        for frame in frame::bringers(inner).take_while(|frame| frame.wait.get() == InWait::No) {
            frame.wait.set(hold::begin_wait(frame.pool(), timed));
            frames += 1;
        }
    });
    frames
}

/// While it lives, the calling worker of a work-stealing pool is inside a wait. Not `Send`.
///
/// A task whose piece waits may wait for the piece in rayon. Its thread then counts as working, although the piece may
/// wait for work that needs that thread.
struct StealingWait {
    has_task: bool,
    here: PhantomData<*const ()>,
}

impl StealingWait {
    /// Begins the wait. `None` where the thread is no such worker, or is inside a wait already. The wait is noted
    /// before permits are released, so that a thread which acquires one of them does not come here first.
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

/// Notes that the calling thread is about to wait. Its permits are released already, or are released next. It runs no
/// user code where the wait [can be refused](Ends), so it may be called under a lock that says which thread owes the
/// awaited result.
pub(crate) fn begin(on: Target, label: Label, ends: Ends) -> Result<Waiting<'static>, ClosesCircle> {
    begin_as(on, label, ends, false)
}

/// As [`begin`], for a wait in which the thread runs the queued tasks of the pools that are local to it.
pub(crate) fn begin_driving(on: Target, label: Label, ends: Ends) -> Result<Waiting<'static>, ClosesCircle> {
    begin_as(on, label, ends, true)
}

fn begin_as(on: Target, label: Label, ends: Ends, drives: bool) -> Result<Waiting<'static>, ClosesCircle> {
    graph::graph().begin(here::me(), Begin { on, label, stack: stack(drives), ends, waker: park::waker })
}

/// The number of frames of a stack that are looked at.
const FRAMES: usize = 256;

/// The tasks, trackers and permits that the code on this thread's stack is a part of.
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
    let held = thread::with_initialising(|this| this.filter(|this| for_task(this)).map(|this| permit(this.pool)));
    stack.permits.extend(held);
    if !drives {
        // No other thread runs the tasks queued there.
        thread::each_local(|entry| {
            let permit = permit(&entry.pool);
            stack.permits.retain(|known| known.pool != permit.pool);
            stack.permits.push(permit);
        });
    }
    stack
}

/// A permit of the pool that the calling thread holds in its wait.
fn permit(pool: &Arc<Pool>) -> Permit {
    // A local pool's thread is the only one.
    Permit { pool: address(pool), name: pool.namespace.clone(), of: pool.config.limit().max(1) }
}

/// A pool's identity, only for comparisons.
pub(crate) fn address(pool: &Arc<Pool>) -> usize {
    Arc::as_ptr(pool).addr()
}

impl Drop for PermitsReleased {
    fn drop(&mut self) {
        if fork::is_fork() {
            // Begun before the fork: this guard counts for threads that do not exist here, and so may its lock.
            mem::forget(self.waiting.take());
            return;
        }
        // The innermost frames are those of this guard: an outer wait's frames are further out.
        with_innermost(|inner| {
            for frame in frame::bringers(inner).take(self.frames) {
                hold::end_wait(frame.pool(), frame.wait.replace(InWait::No));
            }
        });
    }
}

/// Passes on the pool, if the calling thread, as its worker, may run one of its tasks within the present one.
///
/// The thread may also when a task of another pool runs here in place, on top of the pool's own. It may not once the
/// permit is released.
pub(crate) fn with_own_pool<R>(pool: *const Pool, f: impl FnOnce(Option<&Arc<Pool>>) -> R) -> R {
    // A fork's child runs no task of its parent's.
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
fn own_permit<'a>(inner: &'a Frame<'a>, pool: *const Pool) -> Option<&'a Frame<'a>> {
    inner.bringers().find(|frame| frame.is_of(pool))
}

/// Returns whether the calling thread, as a worker of the pool, keeps its permit in the wait that it has begun.
///
/// The thread of a local pool always does, since no other thread comes, and so does a work-stealing pool's.
pub(crate) fn holds_permit(pool: *const Pool) -> bool {
    let holds = |inner: &Frame| own_permit(inner, pool).is_some_and(|own| own.wait.get() != InWait::Released);
    with_innermost(|inner| inner.is_some_and(holds)) || thread::is_local(pool) || thread::steals_for(pool)
}

/// Releases the permits before a task runs in place, where the stack is deep and does not grow. `None` where no permit
/// can be released: the stack is used all the same then. A poll never releases one, since it does not know the next
/// step of its executor.
pub(crate) fn release_if_deep() -> Option<PermitsReleased> {
    depth::is_deep().then(PermitsReleased::begin).filter(PermitsReleased::gave)
}

/// Blocks until `ready`, which is called whenever the set is woken. Returns false at the deadline.
pub(crate) fn block_on_wakers(set: &WakerSet, deadline: Option<Instant>, mut ready: impl FnMut() -> bool) -> bool {
    let listener = set.register();
    park::block_until(deadline, |waker| {
        // The waker is registered before the look: see `set`.
        listener.set(waker);
        ready()
    })
}

/// Runs a closure that blocks outside heirloom's sight, without holding up the running task's pool.
///
/// Returns the value of `f`. The running task releases its permit to the next task meanwhile, and goes on at once when
/// `f` returns. Neither the running task nor `f` is interrupted by a cancel here.
///
/// Another pool's parallel loop is such a wait: a task that runs `par_iter` on rayon's own pool keeps its permit
/// without this, and never ends where the loop's closures join tasks of the task's pool. A
/// [`work_stealing`](crate::PoolConfig::work_stealing) pool needs no `blocking` for its loops.
///
/// # Cost
/// A few atomic operations, and perhaps a thread, bounded by
/// [`PoolConfig::max_blocked`](crate::PoolConfig::max_blocked). Outside any task this is just `f()`.
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
/// one.submit(move || tx.send(7))?; // runs although the only permit was taken
/// assert_eq!(waits.join()?, Ok(7));
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    let released = PermitsReleased::begin();
    let out = f();
    drop(released);
    out
}
