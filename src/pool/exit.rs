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
//! 3. What is queued for a pool pinned to that thread is cancelled: nobody will run it.
//! 4. Joining pools are closed, and waited for until the deadline; every 5 s a line on stderr names what is waited for.
//!    Daemon pools are left alone.
//!
//! # What no hook can do
//! A task that itself calls `exit` while the hook waits: the second `exit` is undefined in C, and its thread blocks or
//! the process ends there. C libraries torn down by handlers registered later than ours are gone already when the hook
//! runs. On Windows `ExitProcess` ends all other threads before any handler runs, so only the guard helps. `_exit`,
//! `abort`, a fatal signal and a panic under `panic = "abort"` run no hook anywhere.

use std::time::{Duration, Instant};

use crate::error::TaskError;
use crate::pool::end::block_on_tally;
use crate::pool::frame;
use crate::pool::inner::{Memo, Pool, joining};
use crate::pool::pinned;
use crate::pool::wait;
use crate::pool::worker::leave_after;
use crate::quiet::quietly;
use crate::sync::os::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::task::cell::Claimed;
use crate::waits::{self, Target};

/// How long the end of the process waits for joining pools, unless told otherwise.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);
/// How often it says what it waits for.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// In milliseconds; `u64::MAX` is for ever.
static DEADLINE: AtomicU64 = AtomicU64::new(DEFAULT_DEADLINE.as_millis() as u64);
static ABANDON: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// The deadline was reached once; it is not waited for again.
static GAVE_UP: AtomicBool = AtomicBool::new(false);

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
    let millis = d.map_or(u64::MAX, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    DEADLINE.store(millis, Ordering::Release);
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
/// what they accepted, within [`exit_deadline`].
///
/// ```
/// // fn main() {
/// let _exit = heirloom::exit_guard();
/// // … everything else
/// // }
/// ```
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
/// assert!(done.is_finished()); // drained before `run_main` came back
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run_main<T>(f: impl FnOnce() -> T) -> T {
    let _exit = exit_guard();
    f()
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        drain();
    }
}

/// Closes the joining pools and waits for them.
fn drain() {
    if is_fork() || ABANDON.load(Ordering::Acquire) || GAVE_UP.load(Ordering::Acquire) {
        return;
    }
    pinned::cancel_here();
    let deadline = match DEADLINE.load(Ordering::Acquire) {
        u64::MAX => None,
        millis => Instant::now().checked_add(Duration::from_millis(millis)),
    };
    // A task may have made another pool meanwhile: look until nothing is left.
    loop {
        let pools: Vec<Arc<Pool>> = joining().live().into_iter().filter(|pool| !pool.is_over()).collect();
        for pool in &pools {
            pool.close();
        }
        // An idle pool is over as soon as it is closed.
        let busy: Vec<&Arc<Pool>> = pools.iter().filter(|pool| pool.tally.count() > 0 && !frame::is_in(pool)).collect();
        if busy.is_empty() {
            return;
        }
        for pool in &busy {
            if !wait_for(pool, deadline) {
                GAVE_UP.store(true, Ordering::Release);
                say(&busy, "gives up on");
                return;
            }
        }
    }
}

/// Waits for one pool, saying every few seconds what is waited for. False at the deadline.
fn wait_for(pool: &Arc<Pool>, deadline: Option<Instant>) -> bool {
    // This thread does not go on to let go of a gate, say. Whoever waits for that is told, instead of holding up the
    // end.
    let _waits = wait::join(Target::Tally(pool.tally.address()));
    loop {
        let next = Instant::now() + SAY_EVERY;
        let until = deadline.map_or(next, |deadline| deadline.min(next));
        if block_on_tally(&pool.tally, Some(until), || pool.tally.count() == 0) {
            return true;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        say(&[pool], "waits for");
    }
}

fn say(pools: &[&Arc<Pool>], verb: &str) {
    let mut text = String::new();
    for pool in pools.iter().filter(|pool| pool.tally.count() > 0) {
        text.push_str(&format!("heirloom: the end of the process {verb} \"{}\": {}\n", pool.namespace, pool.report()));
    }
    write_stderr(text.as_bytes());
}

/// Past `std`'s lock, which a task may hold for ever; and only if the pipe has room. Nobody can be told when it has
/// not.
#[cfg(unix)]
fn write_stderr(text: &[u8]) {
    let mut ready = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one descriptor is polled without waiting, and the text is written from its own length.
    unsafe {
        if libc::poll(&raw mut ready, 1, 0) == 1 && ready.revents & libc::POLLOUT != 0 {
            libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        }
    }
}

#[cfg(not(unix))]
fn write_stderr(text: &[u8]) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text);
}

/// This process is a fork of one that started a pool.
#[inline]
pub(crate) fn is_fork() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Installs the hooks, once.
pub(crate) fn arm() {
    #[cfg(unix)]
    {
        static ARMED: std::sync::Once = std::sync::Once::new();
        ARMED.call_once(|| {
            // SAFETY: both functions live as long as the program (this crate is not unloaded), take no argument and do
            // not unwind. A refusal leaves the guard as the only way, which is documented as the guarantee.
            unsafe {
                libc::atexit(hook);
                libc::pthread_atfork(None, None, Some(forked));
            }
        });
    }
}

#[cfg(unix)]
extern "C" fn forked() {
    FORKED.store(true, Ordering::Relaxed);
}

#[cfg(unix)]
extern "C" fn hook() {
    // A forked child has none of the threads that could finish anything, and perhaps a lock that nobody will release.
    if is_fork() {
        return;
    }
    // Unwinding out of a C function aborts; the exit code is to be kept.
    quietly(|| {
        // What this thread was making for others never comes.
        waits::give_up_all();
        end_own_tasks();
        drain();
    });
}

/// Ends the tasks on this thread's stack, innermost first: the thread never returns to them. So for a worker's
/// initialiser.
fn end_own_tasks() {
    if let Some((pool, member, came)) = frame::initialising() {
        pool.initialiser_exits(member, came);
    }
    for frame in frame::all() {
        if !frame.is_aside() {
            // SAFETY: the frame's owner never runs again, because `exit` does not return; so this copy is the only
            // claim.
            let claimed: Claimed<Memo> = unsafe { std::ptr::read(frame.claimed) };
            let id = claimed.task().id();
            frame.pool().queue.with_extra(|book| book.forget(id));
            claimed.fail(TaskError::process_exiting(id, &frame.pool().namespace));
            claimed.finish(|_, f| f());
        }
        leave_after(frame.pool(), frame.place.clone(), frame.scoped.clone(), frame.owed + 1);
        if frame.brings_place && !frame.away.get() {
            // Others go on with what is queued.
            if frame.pool().places.give(false) {
                frame.pool().end_if_over();
            }
            frame.pool().send_if_place();
        }
    }
    frame::forget_all();
}
