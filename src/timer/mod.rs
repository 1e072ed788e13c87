//! [`Timer`]: wakes a waker at a moment, for all deadlines of the process, on one thread.
//!
//! No runtime is needed, and none of its timers has to be enabled. The thread starts with the first deadline, sleeps
//! until the nearest one, but no longer than a second, and ends when there was none for a second. A deadline costs
//! about
//! 0.1 µs to set and to remove, however many there are, and about 100 bytes until then; removing one wakes no thread. A
//! waker is woken never early, and on an idle machine at most a few milliseconds late.
//!
//! # The race to fear
//! A deadline is set while the thread is about to park, or to end. Both sides decide under the lock. The thread notes
//! until when it parks, or that it ends, before it releases the lock. The caller that sets a deadline then sees that,
//! and unparks the thread, or starts another one. An unpark that comes before the thread parks is kept.
//!
//! [`deadlines`] has the deadlines of nodes and tasks.
//!
//! Wakers are user code: they are cloned, woken and dropped outside the lock. A slow waker holds up all others, so the
//! wakers given to the timer only note and wake.
//!
//! In a fork's child the thread is missing and the lock may be held for ever: there, no deadline can be set, and those
//! set before the fork are left alone.

pub(crate) mod deadlines;
mod wheel;
pub(crate) mod within;

use std::task::Waker;
use std::time::{Duration, Instant};

use self::wheel::{Key, Wheel};
use crate::sync::ThreadBody;
use crate::sync::fork;
use crate::sync::os::{LazyLock, Mutex, thread};
use crate::sync::unwind::{swallow, swallow_drop};

/// How many entries are handled while the lock is held.
const STEPS: usize = 64;
/// How long the thread stays without a deadline, and the longest time between two looks for one: a removed deadline
/// does not notify the thread.
const LINGER: Duration = Duration::from_secs(1);

/// One thread and its deadlines, in ticks of a millisecond.
pub(crate) struct Timer {
    now: fn() -> u64,
    linger: Duration,
    shared: Mutex<Shared>,
}

struct Shared {
    deadlines: Wheel<Waker>,
    /// A thread exists, or is being started.
    has_thread: bool,
    /// The parked thread, and the tick until which it parks.
    sleeps: Option<(thread::Thread, u64)>,
}

/// A deadline that was set. Dropping it removes it: its waker is not woken, unless that has begun.
#[must_use = "dropping it removes the deadline"]
pub(crate) struct Deadline {
    timer: &'static Timer,
    key: Key,
}

/// The thread's next step.
enum Next {
    Look,
    Sleep(Duration),
    End,
}

/// The process's timer.
pub(crate) fn timer() -> &'static Timer {
    static TIMER: LazyLock<Timer> = LazyLock::new(|| Timer::new(|| tick_of(Instant::now(), false), LINGER));
    &TIMER
}

/// The tick that a moment belongs to, or with `up` the first that begins no sooner.
fn tick_of(moment: Instant, up: bool) -> u64 {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = moment.saturating_duration_since(*ORIGIN);
    let partly = up && !since.subsec_nanos().is_multiple_of(1_000_000);
    u64::try_from(since.as_millis()).map_or(u64::MAX, |tick| tick.saturating_add(u64::from(partly)))
}

impl Timer {
    pub(crate) fn new(now: fn() -> u64, linger: Duration) -> Self {
        let shared = Shared { deadlines: Wheel::new(now()), has_thread: false, sleeps: None };
        Self { now, linger, shared: Mutex::new(shared) }
    }

    /// Wakes the waker at that moment. `None` when the system refuses the thread.
    pub(crate) fn at(&'static self, moment: Instant, waker: Waker) -> Option<Deadline> {
        self.at_tick(tick_of(moment, true), waker)
    }

    pub(crate) fn at_tick(&'static self, tick: u64, waker: Waker) -> Option<Deadline> {
        // A lock that was held when the process forked is never released here.
        if fork::is_fork() {
            swallow_drop(waker);
            return None;
        }
        let mut shared = self.shared.lock();
        if !shared.has_thread {
            fork::arm_for_threads();
            let thread = thread::Builder::new().name("heirloom-timer".to_owned());
            let body: ThreadBody = Box::new(|| self.work());
            if thread.spawn(body).is_err() {
                drop(shared);
                swallow_drop(waker);
                return None;
            }
            shared.has_thread = true;
        }
        let (key, look) = shared.deadlines.insert(tick, waker);
        let sooner = shared.sleeps.take_if(|(_, until)| look < *until);
        drop(shared);
        if let Some((thread, _)) = sooner {
            thread.unpark();
        }
        Some(Deadline { timer: self, key })
    }

    fn work(&self) {
        let mut due = Vec::with_capacity(STEPS);
        let mut idle_since = None;
        loop {
            let next = self.look(&mut due, &mut idle_since);
            for waker in due.drain(..) {
                swallow(|| waker.wake());
            }
            match next {
                Next::Look => {}
                Next::Sleep(time) => thread::park_timeout(time),
                Next::End => return,
            }
        }
    }

    /// Takes out the due wakers, and decides the next step.
    fn look(&self, due: &mut Vec<Waker>, idle_since: &mut Option<u64>) -> Next {
        let mut shared = self.shared.lock();
        shared.sleeps = None;
        let now = (self.now)();
        if shared.deadlines.take_due(now, STEPS, due) || !due.is_empty() {
            *idle_since = None;
            return Next::Look;
        }
        let (until, time) = match shared.deadlines.next() {
            Some(tick) => {
                *idle_since = None;
                (tick, Duration::from_millis(tick - now).min(self.linger))
            }
            None => {
                let since = *idle_since.get_or_insert(now);
                let left = self.linger.saturating_sub(Duration::from_millis(now - since));
                if left.is_zero() {
                    shared.has_thread = false;
                    return Next::End;
                }
                (u64::MAX, left)
            }
        };
        shared.sleeps = Some((thread::current(), until));
        Next::Sleep(time)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if fork::is_fork() {
            return;
        }
        let waker = self.timer.shared.lock().deadlines.remove(self.key);
        swallow_drop(waker);
    }
}
