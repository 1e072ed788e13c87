//! [`Run`]: one job on this worker, from its delivery until the delivery is settled.
//!
//! # The life of a run
//! ```text
//!  delivered ─► ASKS ──granted──► RUNS ──the task has ended──► TELLS ──confirmed──► SETTLED (final)
//!                 │                 │                            ▲  │                 ▲
//!                 │                 └──stopped or given up───────┘  └─the origin is dead,
//!                 └──over, or the origin is dead──────────────────────or two leases ──┘
//! ```
//! A repeatable job is in RUNS from its delivery on, and asks meanwhile if it runs for longer than a moment. One lock guards all
//! changes, and no engine and no user code is called under it. So each change returns the next step to its caller.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use crate::error::CancelReason;
use crate::lineage::work::Work;
use crate::pool::core::task_meta::Task;
use crate::remote::trace::TraceContext;
use crate::remote::worker::core::Core;
use crate::remote::worker::jobs::Decode;
use crate::remote::worker::scopes::RemoteScope;
use crate::sync::os::{Arc, Mutex};
use crate::wire::address::JobId;
use crate::wire::engine::{DeliveryId, Receipt};
use crate::wire::message::Outcome;
use crate::wire::path::Path;

pub(super) struct Run {
    pub(super) id: JobId,
    /// The job's name.
    pub(super) job: &'static str,
    pub(super) decode: Decode,
    pub(super) core: Arc<Core>,
    /// The innermost scope of the job's path, here.
    pub(super) scope: Arc<RemoteScope>,
    pub(super) path: Path,
    pub(super) deadline: Option<SystemTime>,
    pub(super) repeatable: bool,
    pub(super) outlives_origin: bool,
    pub(super) trace: TraceContext,
    /// The number of this worker's request to begin.
    pub(super) ask: u64,
    /// Another worker may have begun the message of the run before.
    pub(super) again: bool,
    /// Lets the scope of the serving, a drain and a shutdown wait until the run is settled.
    pub(super) work: Arc<Work>,
    pub(super) since: Instant,
    pub(super) now: Mutex<Now>,
}

/// The changing part of a run.
pub(super) struct Now {
    pub(super) stage: Stage,
    pub(super) delivery: DeliveryId,
    pub(super) receipt: Receipt,
    /// The number of the delivery.
    pub(super) count: u64,
    pub(super) attempt: u32,
    /// The origin has granted the begin.
    pub(super) granted: bool,
    /// Bytes of the job, until they are decoded.
    pub(super) body: Option<Bytes>,
    /// Set once the pool has accepted the task.
    pub(super) task: Option<Task>,
    /// The task's code has begun.
    pub(super) begun: bool,
    /// The run counts as busy.
    pub(super) is_busy: bool,
    /// A cancel that came before the pool had the task.
    pub(super) stopped: Option<CancelReason>,
    /// The job was given up before its code began, and does not begin here.
    pub(super) given_up: bool,
    /// The origin is dead: the result goes nowhere.
    pub(super) orphan: bool,
    /// The pool has the task, or gets it at this moment.
    pub(super) submitted: bool,
    /// The request to begin is open.
    pub(super) asks: bool,
    /// The request that tells the outcome is open.
    pub(super) tells: bool,
    /// How often the origin was gone in a row.
    pub(super) gone: u32,
    /// How often the request of this stage was repeated.
    pub(super) tries: u32,
}

pub(super) enum Stage {
    /// Until then the origin is asked.
    Asks {
        until: Instant,
    },
    Runs,
    Tells {
        outcome: Outcome,
        until: Instant,
    },
    Settled,
}

impl Stage {
    /// Returns whether the job has no end yet.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Asks { .. } | Self::Runs)
    }
}

impl Run {
    /// Returns the time until the submitter's deadline. The clocks of two machines differ, and the origin's own deadline decides:
    /// this one is for a lost cancel, and for the job's code to see.
    pub(super) fn remaining(&self) -> Option<Duration> {
        Some(self.deadline?.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Returns whether a request reaches the job's scope, or the job itself.
    pub(super) fn is_stopped(&self) -> bool {
        self.now.lock().stopped.is_some() || self.scope.at.0.node().is_cancelled()
    }

    /// Returns the attempt that the job runs as.
    pub(super) fn attempt(&self) -> u32 {
        self.now.lock().attempt
    }

    /// Notes a cancel, and returns the task that it is for. The caller cancels the task, which runs user code.
    #[must_use]
    pub(super) fn stop(&self, reason: CancelReason) -> Option<Task> {
        let mut now = self.now.lock();
        now.stopped.get_or_insert(reason);
        now.task.as_ref().map(Task::another)
    }
}
