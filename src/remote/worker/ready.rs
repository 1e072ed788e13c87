//! The waits until a serving takes jobs.

use std::time::Instant;

use crate::error::Error;
use crate::names::namespace::Namespace;
use crate::pool::blocking::release::{PermitsReleased, block_on_wakers};
use crate::remote::worker::core::Core;
use crate::remote::worker::readiness::ServingState;

/// Returns whether the serving takes jobs; `None` while it may yet.
fn outcome(core: &Core) -> Option<Result<bool, Error>> {
    match core.state() {
        ServingState::Serving => Some(Ok(true)),
        ServingState::Stopping | ServingState::Stopped => Some(Ok(false)),
        ServingState::Connecting | ServingState::Disconnected => {
            let fault = core.readiness.fault()?;
            Some(Err(fault.refusal(&Namespace::from(core.queue.name().to_string())).into()))
        }
    }
}

/// Blocks until the serving takes jobs, never will, or the deadline has passed.
pub(super) fn wait(core: &Core, deadline: Option<Instant>) -> Result<bool, Error> {
    if let Some(outcome) = outcome(core) {
        return outcome;
    }
    let _released = PermitsReleased::begin_until(deadline);
    let mut found = None;
    block_on_wakers(&core.readiness.changed, deadline, || {
        found = outcome(core);
        found.is_some()
    });
    found.unwrap_or(Ok(false))
}

/// As [`wait`], without blocking.
pub(super) async fn wait_async(core: &Core) -> Result<bool, Error> {
    let mut found = None;
    core.readiness
        .changed
        .until(|| {
            found = outcome(core);
            found.is_some()
        })
        .await;
    found.unwrap_or(Ok(false))
}
