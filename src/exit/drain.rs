//! Closing the joining pools and waiting for them, at the end of the process.

use std::time::{Duration, Instant};

use crate::error::CancelReason;
use crate::exit::settings::{ABANDON, GRACE, TIMEOUT};
use crate::names::id::TaskId;
use crate::pool::blocking::release::OfTracker;
use crate::pool::blocking::wait_for::{await_tracker, block_on_tracker};
use crate::pool::blocking::{local, release};
use crate::pool::cancelled_tasks::{CancelledTasks, remaining_but};
use crate::pool::context::thread::is_in;
use crate::pool::core::pool::{Pool, joining};
use crate::pool::end;
use crate::pool::handle::stream::at_exit;
use crate::pool::run::stop;
use crate::sync::fork::is_fork;
use crate::sync::os::{Arc, AtomicBool, Mutex, Ordering};
use crate::sync::stderr;
use crate::timer::within::within;
use crate::wait::graph::{ClosesCircle, Ends, Label, Target, Waiting};

/// The interval of its lines on stderr.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// The interval of its search for newly cancelled tasks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The deadline was reached once; no later drain waits again.
static GAVE_UP: AtomicBool = AtomicBool::new(false);

/// The cancelled tasks found since the end of the process began, by their ids: each has its grace once.
static FOUND_CANCELLED: Mutex<Vec<(TaskId, Found)>> = Mutex::new(Vec::new());

struct Found {
    at: Instant,
    /// A line on stderr names it already.
    said: bool,
}

/// Closes the joining pools and waits for them.
pub(super) fn drain() {
    let Some(mut drain) = Drain::begin() else { return };
    // The noted wait, and its pool. Noted once for each pool, so a circle is reported once.
    let mut noted: Option<(Arc<Pool>, Result<Waiting<'static>, ClosesCircle>)> = None;
    while let Some((pool, until)) = drain.next() {
        // Blocked, this thread reads no stream.
        drain.end_sends();
        let label = || Label::Pool(pool.namespace.clone());
        if noted.as_ref().is_none_or(|(before, _)| !Arc::ptr_eq(before, &pool)) {
            drop(noted.take());
            // This thread does not go on to leave a gate, or to run futures. A waiter for either is refused, instead of
            // holding up the end.
            let waits = release::begin(Target::TaskTracker(pool.tracker.address()), label(), Ends::Never);
            noted = Some((Arc::clone(&pool), waits));
        }
        let of_all = || OfTracker::of(&pool.tracker, label());
        let _ = block_on_tracker(&pool.tracker, Some(until), of_all, || pool.tracker.count() == 0);
    }
    at_exit::goes_on();
}

/// The same without blocking.
pub(super) async fn drain_async() {
    let Some(mut drain) = Drain::begin() else { return };
    while let Some((pool, until)) = drain.next() {
        within(Some(until), await_tracker(&pool.tracker, || pool.tracker.count() == 0)).await;
    }
}

/// The end of the joining pools, step by step.
struct Drain {
    deadline: Option<Instant>,
    say_at: Instant,
    /// The time from which on waits of senders for this thread end. A stream that was handed on has its new reader by then.
    sends_until: Instant,
    /// The awaited pools, and the number of their tasks that are not cancelled.
    awaited: (Vec<Arc<Pool>>, usize),
}

impl Drain {
    /// Begins the drain. `None` where there is nothing to wait for.
    fn begin() -> Option<Self> {
        if is_fork() || ABANDON.load(Ordering::Acquire) || GAVE_UP.load(Ordering::Acquire) {
            return None;
        }
        local::cancel_here();
        let begun = Instant::now();
        Some(Self {
            deadline: after_millis(begun, TIMEOUT.load(Ordering::Acquire)),
            say_at: begun + SAY_EVERY,
            sends_until: begun + LOOK_EVERY,
            awaited: (Vec::new(), 0),
        })
    }

    /// Returns a pool to wait for, and the time to ask again. `None` when no pool is left, or none is to be waited for.
    fn next(&mut self) -> Option<(Arc<Pool>, Instant)> {
        let mut known = Vec::new();
        loop {
            let pools: Vec<Arc<Pool>> = joining().live().into_iter().filter(|pool| !pool.is_over()).collect();
            for pool in &pools {
                stop::close(pool, CancelReason::Shutdown);
            }
            // An idle pool ends as soon as it is closed.
            let is_busy = |pool: &&Arc<Pool>| pool.tracker.count() > 0 && !is_in(Arc::as_ptr(pool));
            let busy: Vec<_> = pools.iter().filter(is_busy).cloned().collect();
            let Worth { pools: waits_for, uncancelled, look_at } = worth_waiting(&busy);
            self.awaited = (busy.clone(), uncancelled);
            if let Some(first) = waits_for.first() {
                return self.step(&busy, first, look_at);
            }
            // A task that ended since the look may have started another pool first. A second look finds that one,
            // because no task of the pools known before runs any more.
            if pools.iter().all(|pool| known.iter().any(|before| Arc::ptr_eq(before, pool))) {
                return None;
            }
            known = pools;
        }
    }

    /// Ends the waits of senders whose reader is the calling thread, if no other task is awaited.
    fn end_sends(&self) {
        if Instant::now() >= self.sends_until {
            let (pools, uncancelled) = &self.awaited;
            at_exit::end_waits_for_this_thread(*uncancelled, pools);
        }
    }

    /// Returns `first`, and the time to ask again; `None` from the deadline on. Names the awaited pool on stderr, at
    /// times.
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

/// The awaited part of the busy pools.
struct Worth<'a> {
    /// The pools that have a task without a cancel request, or with grace left.
    pools: Vec<&'a Arc<Pool>>,
    /// Their tasks without a cancel request.
    uncancelled: usize,
    /// The time to look again.
    look_at: Instant,
}

/// Looks at the busy pools. Names those that are not worth waiting for on stderr, once.
fn worth_waiting(busy: &[Arc<Pool>]) -> Worth<'_> {
    let cancelled = CancelledTasks::look(busy);
    let now = Instant::now();
    let grace = GRACE.load(Ordering::Acquire);
    let mut look_at = now + LOOK_EVERY;
    let (mut left, mut uncancelled) = (Vec::new(), 0);
    let worth = busy.iter().filter(|pool| {
        let remaining = remaining_but(pool, &cancelled);
        let mut found = FOUND_CANCELLED.lock();
        let mut is_in_grace = false;
        let mut is_news = false;
        for id in &remaining.cancelled {
            let at = found.binary_search_by_key(id, |(id, _)| *id).unwrap_or_else(|at| {
                found.insert(at, (*id, Found { at: now, said: false }));
                at
            });
            let (_, found) = &mut found[at];
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
        uncancelled += remaining.uncancelled;
        remaining.uncancelled > 0 || is_in_grace
    });
    let pools = worth.collect();
    say(&left, "does not wait any longer for the cancelled tasks of");
    Worth { pools, uncancelled, look_at }
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
