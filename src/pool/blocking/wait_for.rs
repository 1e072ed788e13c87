//! Waiting for a count of tasks.

use std::time::Instant;

use crate::pool::blocking::local;
use crate::pool::blocking::release::{OfTracker, PermitsReleased, block_on_wakers};
use crate::pool::context::thread;
use crate::pool::run::evict;
use crate::sync::fork;
use crate::wait::graph::ClosesCircle;
use crate::wait::park;
use crate::wait::tracker::TaskTracker;

/// Blocks until `ready`, with the running task's permit released meanwhile. Returns false at the deadline. The error is
/// the circle that the wait would close.
pub(crate) fn block_on_tracker(
    tracker: &TaskTracker,
    deadline: Option<Instant>,
    what: impl Fn() -> OfTracker,
    ready: impl Fn() -> bool,
) -> Result<bool, ClosesCircle> {
    evict::drop_counted(tracker.address());
    if ready() { Ok(true) } else { block(tracker, deadline, &what, &ready) }
}

/// One function for all conditions; see [`block_on_tracker`].
fn block(
    tracker: &TaskTracker,
    deadline: Option<Instant>,
    what: &dyn Fn() -> OfTracker,
    ready: &dyn Fn() -> bool,
) -> Result<bool, ClosesCircle> {
    if fork::is_fork() || park::spin_until(ready) {
        // A fork's child has no thread that could make it true.
        return Ok(ready());
    }
    if thread::is_any_local() {
        // The awaited tasks may need this very thread.
        let out = local::run_meanwhile(what(), deadline, await_tracker(tracker, ready))?;
        return Ok(out.is_some() || ready());
    }
    let mut released = PermitsReleased::begin_until(deadline);
    if deadline.is_none() {
        let OfTracker { on, label, ends } = what();
        released.waits_for(on, label, ends)?;
    }
    let is_in_time = block_on_wakers(tracker.changed(), deadline, || {
        tracker.watch();
        ready() || released.is_refused()
    });
    match released.refusal() {
        Some(why) if !ready() => Err(why),
        _ => Ok(is_in_time),
    }
}

/// The same without blocking.
pub(crate) async fn await_tracker(tracker: &TaskTracker, ready: impl Fn() -> bool) {
    if fork::is_fork() {
        return;
    }
    evict::drop_counted(tracker.address());
    let look = || {
        tracker.watch();
        ready()
    };
    tracker.changed().until(look).await;
}
