//! The end of the process: what joining pools accepted completes.
//!
//! Two ways lead here. The guard ([`exit_guard`], [`run_main`]) drains while everything still works, on every platform.
//! For programs without it, and for `std::process::exit`, a Unix `atexit` hook does its best within a deadline.
//!
//! # What the hook does
//! 1. What the exiting thread was making for others, a value's initialiser say, never comes; whoever waits for it is
//!    told.
//! 2. Tasks on the exiting thread's own stack end with `ProcessExiting`: that thread never returns to them, and whoever
//!    waits for them must go on.
//! 3. What is queued for a pool local to that thread is cancelled: nobody will run it.
//! 4. Joining pools are closed, and waited for until the deadline; every 5 s a line on stderr names what is waited for.
//!    Daemon pools are left alone. A task that was asked to stop is waited for during a short grace only.
//!
//! # What no hook can do
//! A task that itself calls `exit` while the hook waits: the second `exit` is undefined in C, and its thread blocks or
//! the process ends there. C libraries torn down by handlers registered later than ours are gone already when the hook
//! runs. On Windows `ExitProcess` ends all other threads before any handler runs, so only the guard helps. `_exit`,
//! `abort`, a fatal signal and a panic under `panic = "abort"` run no hook anywhere.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::error::TaskError;
use crate::names::id::TaskId;
use crate::pool::blocking::release::OfTracker;
use crate::pool::blocking::wait_for::{await_tracker, block_on_tracker};
use crate::pool::blocking::{hold, local, release};
use crate::pool::cancelled_tasks::{CancelledTasks, remaining_but};
use crate::pool::context::frame::Frame;
use crate::pool::context::thread::{forget_all, is_in, with_initialising, with_innermost};
use crate::pool::core::pool::{Pool, joining};
use crate::pool::core::task_meta::TaskMeta;
use crate::pool::end;
use crate::pool::kinds::dedicated::start::initialiser_exits;
use crate::pool::run::{dispatch, leave, stop};
use crate::sync::fork::{self, is_fork};
use crate::sync::os::{Arc, AtomicBool, AtomicU64, Mutex, Ordering};
use crate::sync::stderr;
use crate::sync::unwind::swallow;
use crate::task::cell::Claimed;
use crate::timer::within::within;
use crate::wait::graph::{self, ClosesCircle, Ends, Label, Target, Waiting};

/// How long the end of the process waits for joining pools, unless told otherwise.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);
/// How long it waits for what was asked to stop, unless told otherwise.
const DEFAULT_GRACE: Duration = Duration::from_secs(1);
/// How often it says what it waits for.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// How often it looks which of the tasks that are left were asked to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// In milliseconds; `u64::MAX` is for ever.
static DEADLINE: AtomicU64 = AtomicU64::new(DEFAULT_DEADLINE.as_millis() as u64);
static GRACE: AtomicU64 = AtomicU64::new(DEFAULT_GRACE.as_millis() as u64);
static ABANDON: AtomicBool = AtomicBool::new(false);

/// The deadline was reached once; it is not waited for again.
static GAVE_UP: AtomicBool = AtomicBool::new(false);

/// The tasks that were found to be asked to stop, since the end of the process began: each has its grace once.
static FOUND_ASKED: Mutex<BTreeMap<TaskId, Found>> = Mutex::new(BTreeMap::new());

struct Found {
    at: Instant,
    /// stderr names it already.
    said: bool,
}

/// What happens to joining pools when the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitPolicy {
    /// They finish what they accepted, within [`exit_deadline`]. The default.
    Drain,
    /// They are abandoned, as daemon pools are.
    Abandon,
}

/// How long the end of the process waits for joining pools: 30 s unless set; `None` waits for ever.
///
/// ```
/// let _exit = heirloom::exit_guard();
/// heirloom::exit_deadline(Some(std::time::Duration::from_secs(5)));
/// ```
pub fn exit_deadline(d: Option<Duration>) {
    DEADLINE.store(d.map_or(u64::MAX, millis), Ordering::Release);
}

/// How long the end of the process waits for tasks that were asked to stop: 1 s unless set.
///
/// A task is asked by its handle, its pool, its scope or any place above it ([`checkpoint`](crate::checkpoint) tells
/// it). Its grace begins when the end of the process does, or with the request if that comes later; what was not asked
/// is waited for until [`exit_deadline`], which bounds the grace too. A task that declined
/// ([`acknowledge_cancel`](crate::acknowledge_cancel)) is not asked any more. `Duration::ZERO` waits for none of them.
///
/// ```
/// let _exit = heirloom::exit_guard();
/// heirloom::exit_grace(std::time::Duration::from_millis(200)); // the second Ctrl-C is answered that soon
/// ```
pub fn exit_grace(d: Duration) {
    GRACE.store(millis(d), Ordering::Release);
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// What happens to joining pools when the process ends.
///
/// For a single pool that may be abandoned there is [`PoolConfig::daemon`](crate::PoolConfig::daemon).
///
/// ```
/// use heirloom::ExitPolicy;
///
/// heirloom::on_exit(ExitPolicy::Abandon); // the process ends at once, whatever is queued
/// ```
pub fn on_exit(policy: ExitPolicy) {
    ABANDON.store(policy == ExitPolicy::Abandon, Ordering::Release);
}

/// Drains the joining pools when dropped; made by [`exit_guard`].
#[must_use = "dropping it drains the joining pools at once; keep it until the end of `main`"]
#[derive(Debug)]
pub struct ExitGuard {
    _private: (),
}

/// Put this at the top of `main`: when it is dropped, at the end of `main` or while it unwinds, joining pools finish
/// what they accepted, within [`exit_deadline`]. A task that was asked to stop is waited for during [`exit_grace`] only.
///
/// ```
/// // fn main() {
/// let _exit = heirloom::exit_guard();
/// // … everything else
/// // }
/// ```
///
/// # In an async `main`
/// A guard that is dropped at the end of an async `main` blocks that thread. On a `current_thread` runtime it is the
/// only one, and no future goes on there: a task that waits for one behind a `Portal` is told so
/// (`PortalError::WouldDeadlock`), and ends with that. So an async `main` ends with
/// [`drain_async`](ExitGuard::drain_async), or is run by [`run_main_async`]; then such tasks complete.
///
/// Without it, and for `std::process::exit`, a hook does the same on Unix as well as it can: a task on the exiting
/// thread's own stack ends with an error for whoever waits for it, joining pools are drained, and every 5 s a line on
/// stderr names what is waited for.
///
/// # What no hook can do
/// A task that itself calls `exit` while the hook waits. C libraries torn down before the hook runs. On Windows the
/// system ends all other threads before any hook, so only the guard helps there. `abort`, a fatal signal and a panic
/// under `panic = "abort"` run no hook, and drop no guard, anywhere.
pub fn exit_guard() -> ExitGuard {
    ExitGuard { _private: () }
}

/// Runs a program's `main`, then drains as [`exit_guard`] does.
///
/// ```
/// use heirloom::PoolConfig;
///
/// let mail = heirloom::create("mail");
/// mail.start(PoolConfig::leased(1))?;
/// let done = heirloom::run_main(|| mail.submit(|| "sent"))?; // nobody joins it
/// assert!(done.is_finished()); // drained before `run_main` purpose back
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run_main<T>(f: impl FnOnce() -> T) -> T {
    let _exit = exit_guard();
    f()
}

/// Awaits a program's async `main`, then drains as [`ExitGuard::drain_async`] does, also when it panics; then the panic
/// goes on. Dropping it before it is ready drops `main`'s future, and drains as dropping an [`ExitGuard`] does.
///
/// ```
/// use heirloom::PoolConfig;
///
/// // #[tokio::main]
/// async fn main_async() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     let done = heirloom::run_main_async(async {
///         let mail = heirloom::create("mail");
///         mail.start(PoolConfig::leased(1))?;
///         mail.submit(|| "sent") // nobody awaits it
///             .map_err(Box::<dyn std::error::Error + Send + Sync>::from)
///     });
///     assert!(done.await?.is_finished());
///     Ok(())
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(main_async())?;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub async fn run_main_async<F: Future>(main: F) -> F::Output {
    let exit = exit_guard();
    let out = async {
        let mut main = pin!(main);
        poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| main.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        })
        .await
    };
    let out = out.await;
    exit.drain_async().await;
    out.unwrap_or_else(|payload| resume_unwind(payload))
}

impl ExitGuard {
    /// Drains without blocking: at the end of an async `main`, so that its runtime runs what the pools' tasks wait for
    /// there. Within the same limits as dropping the guard, which drains in the place of this if it is dropped early.
    ///
    /// ```
    /// // #[tokio::main]
    /// // async fn main() {
    /// # async fn main_async() {
    /// let exit = heirloom::exit_guard();
    /// // … everything else
    /// exit.drain_async().await;
    /// # }
    /// # futures::executor::block_on(main_async());
    /// // }
    /// ```
    pub async fn drain_async(self) {
        drain_async().await;
        std::mem::forget(self);
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        drain();
    }
}

/// Closes the joining pools and waits for them.
fn drain() {
    let Some(mut drain) = Drain::begin() else { return };
    // The wait that was noted, and for which pool. Noted once for each: a circle is said once.
    let mut noted: Option<(Arc<Pool>, Result<Waiting<'static>, ClosesCircle>)> = None;
    while let Some((pool, until)) = drain.next() {
        let label = || Label::Pool(pool.namespace.clone());
        if noted.as_ref().is_none_or(|(before, _)| !Arc::ptr_eq(before, &pool)) {
            drop(noted.take());
            // This thread does not go on to let go of a gate, or to run futures. Whoever waits for that is told, instead
            // of holding up the end.
            let waits = release::begin(Target::TaskTracker(pool.tracker.address()), label(), Ends::Never);
            noted = Some((Arc::clone(&pool), waits));
        }
        let of_all = || OfTracker::of(&pool.tracker, label());
        let _ = block_on_tracker(&pool.tracker, Some(until), of_all, || pool.tracker.count() == 0);
    }
}

/// The same without blocking.
async fn drain_async() {
    let Some(mut drain) = Drain::begin() else { return };
    while let Some((pool, until)) = drain.next() {
        within(Some(until), await_tracker(&pool.tracker, || pool.tracker.count() == 0)).await;
    }
}

/// The end of the joining pools, step by step.
struct Drain {
    deadline: Option<Instant>,
    say_at: Instant,
}

impl Drain {
    /// `None` where nothing is to be waited for.
    fn begin() -> Option<Self> {
        if is_fork() || ABANDON.load(Ordering::Acquire) || GAVE_UP.load(Ordering::Acquire) {
            return None;
        }
        local::cancel_here();
        let begun = Instant::now();
        Some(Self { deadline: after_millis(begun, DEADLINE.load(Ordering::Acquire)), say_at: begun + SAY_EVERY })
    }

    /// A pool to wait for, and when to ask again; `None` when nothing is left, or not to be waited for any more.
    fn next(&mut self) -> Option<(Arc<Pool>, Instant)> {
        let mut known = Vec::new();
        loop {
            let pools: Vec<Arc<Pool>> = joining().live().into_iter().filter(|pool| !pool.is_over()).collect();
            for pool in &pools {
                stop::close(pool);
            }
            // An idle pool is over as soon as it is closed.
            let is_busy = |pool: &&Arc<Pool>| pool.tracker.count() > 0 && !is_in(Arc::as_ptr(pool));
            let busy: Vec<_> = pools.iter().filter(is_busy).cloned().collect();
            let (waits_for, look_at) = worth_waiting(&busy);
            if let Some(first) = waits_for.first() {
                return self.step(&busy, first, look_at);
            }
            // A task that ended since the look may have started another pool first: a second look finds that one, because
            // nothing that this one found runs any more.
            if pools.iter().all(|pool| known.iter().any(|before| Arc::ptr_eq(before, pool))) {
                return None;
            }
            known = pools;
        }
    }

    /// `first`, and when to ask again; `None` from the deadline on. Names on stderr what is waited for, at times.
    fn step(&mut self, busy: &[Arc<Pool>], first: &Arc<Pool>, look_at: Instant) -> Option<(Arc<Pool>, Instant)> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            GAVE_UP.store(true, Ordering::Release);
            say(busy, "gives up on");
            return None;
        }
        if now >= self.say_at {
            say(std::slice::from_ref(first), "waits for");
            self.say_at = now + SAY_EVERY;
        }
        let until = self.deadline.map_or(look_at, |deadline| deadline.min(look_at)).min(self.say_at);
        Some((Arc::clone(first), until))
    }
}

/// Those of the pools that have a task which was not asked to stop, or whose grace is not over; and when to look again.
/// Names the others on stderr, once.
fn worth_waiting(busy: &[Arc<Pool>]) -> (Vec<&Arc<Pool>>, Instant) {
    let asked = CancelledTasks::look(busy);
    let now = Instant::now();
    let grace = GRACE.load(Ordering::Acquire);
    let mut look_at = now + LOOK_EVERY;
    let mut left = Vec::new();
    let worth = busy.iter().filter(|pool| {
        let remaining = remaining_but(pool, &asked);
        let mut found = FOUND_ASKED.lock();
        let mut is_in_grace = false;
        let mut is_news = false;
        for id in &remaining.cancelled {
            let found = found.entry(*id).or_insert(Found { at: now, said: false });
            match after_millis(found.at, grace) {
                Some(end) if end <= now => is_news |= !std::mem::replace(&mut found.said, true),
                end => {
                    look_at = end.map_or(look_at, |end| look_at.min(end));
                    is_in_grace = true;
                }
            }
        }
        if is_news {
            left.push(Arc::clone(pool));
        }
        remaining.unasked > 0 || is_in_grace
    });
    let worth = worth.collect();
    say(&left, "does not wait any longer for what was asked to stop in");
    (worth, look_at)
}

fn after_millis(begun: Instant, after: u64) -> Option<Instant> {
    if after == u64::MAX { None } else { begun.checked_add(Duration::from_millis(after)) }
}

fn say(pools: &[Arc<Pool>], verb: &str) {
    let mut text = String::new();
    for pool in pools.iter().filter(|pool| pool.tracker.count() > 0) {
        text.push_str(&format!(
            "heirloom: the end of the process {verb} \"{}\": {}\n",
            pool.namespace,
            end::report(pool)
        ));
    }
    stderr::write(&text);
}

/// Installs the hooks, once.
pub(crate) fn arm() {
    fork::arm_for_threads();
    #[cfg(unix)]
    {
        static ARMED: std::sync::Once = std::sync::Once::new();
        ARMED.call_once(|| {
            // SAFETY: the function lives as long as the program (this crate is not unloaded), takes no argument and does
            // not unwind. A refusal leaves the guard as the only way, which is documented as the guarantee.
            unsafe {
                libc::atexit(hook);
            }
        });
    }
}

#[cfg(unix)]
extern "C" fn hook() {
    // A forked child has none of the threads that could finish anything, and perhaps a lock that nobody will release.
    if is_fork() {
        return;
    }
    // Unwinding out of a C function aborts; the exit code is to be kept.
    swallow(|| {
        // What this thread was making for others never comes.
        graph::give_up_all();
        end_own_tasks();
        drain();
    });
}

/// Ends the tasks on the stack of the exiting thread, which never returns to them.
fn end_own_tasks() {
    with_initialising(|this| {
        if let Some(this) = this {
            initialiser_exits(this.pool(), this.info(), this.purpose);
        }
    });
    with_innermost(|inner| {
        for frame in inner.into_iter().flat_map(Frame::outwards) {
            end_own_task(frame);
        }
    });
    forget_all();
}

fn end_own_task(frame: &Frame) {
    let pool = frame.pool();
    if let Some(claimed) = frame.claimed() {
        // SAFETY: the frame's owner never runs again, because `exit` does not return; so this copy is the only claim.
        let claimed: Claimed<TaskMeta> = unsafe { std::ptr::read(claimed) };
        let id = claimed.task().id();
        pool.queue.with_extra(|stats| stats.forget(id));
        pool.unlist(&frame.counted.place, claimed.task());
        claimed.fail(TaskError::process_exiting(id, &pool.namespace));
        claimed.finish(|_, f| f());
    }
    leave::after_last(pool, frame.counted.clone(), frame.owed + 1);
    if frame.brings_permit && hold::abandon_wait(pool, frame.wait.get()) {
        // Other threads go on with the queue.
        if pool.permits.release(false) {
            pool.end_if_over();
        }
        dispatch::send_if_permit(pool);
    }
}
