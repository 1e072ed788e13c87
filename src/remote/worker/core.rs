//! [`Core`]: one serving, as its jobs see it: the queue, the pool, the open requests for deliveries, the numbers.

use crate::lineage::handle::Lineage;
use crate::lineage::intake::Intake;
use crate::registry::manager::PoolManager;
use crate::registry::scope::Scope;
use crate::remote::worker::jobs::Jobs;
use crate::remote::worker::readiness::{Readiness, ServingState};
use crate::remote::worker::report::ServingStats;
use crate::remote::worker::scopes::RemoteScopes;
use crate::sync::os::{Arc, AtomicBool, AtomicU64, Mutex, OnceLock, Ordering};
use crate::wait::waker_set::WakerSet;
use crate::wire::link::{Link, Queue};

pub(super) struct Core {
    /// Keeps the link while a job of the serving is left.
    pub(super) queue: Queue,
    pub(super) here: PoolManager,
    pub(super) jobs: Jobs,
    /// The scope `serve "name"`.
    pub(super) at: Lineage,
    scope: Mutex<Option<Scope>>,
    pub(super) scopes: RemoteScopes,
    /// Results of jobs that had ended at their origin.
    pub(super) duplicates: AtomicU64,
    counts: Mutex<Counts>,
    /// The tasks were cancelled by this process.
    cancelled: AtomicBool,
    /// Notified when the last job is settled.
    pub(super) settled: WakerSet,
    pub(super) readiness: Readiness,
    /// The serving in the list of its family, which keeps nothing.
    intake: OnceLock<Arc<dyn Intake>>,
}

/// The requests and jobs of one serving, in numbers.
#[derive(Default)]
struct Counts {
    /// Requests for deliveries that the engine has.
    open: usize,
    /// Jobs that have a permit of the pool, or will have one.
    busy: usize,
    /// Jobs that are not settled.
    live: usize,
    closed: bool,
    ended: bool,
    accepted: u64,
    done: u64,
    given_back: u64,
    lost: u64,
    not_understood: u64,
    cancelled: u64,
}

/// The end of a job on this worker. Each accepted job has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By a value or a panic.
    Done,
    /// Another worker gets it.
    GivenBack,
    /// It was given up midway.
    Lost,
    NotUnderstood,
    /// It had ended at its origin.
    Cancelled,
}

impl Counts {
    fn end(&mut self, end: End) {
        *match end {
            End::Done => &mut self.done,
            End::GivenBack => &mut self.given_back,
            End::Lost => &mut self.lost,
            End::NotUnderstood => &mut self.not_understood,
            End::Cancelled => &mut self.cancelled,
        } += 1;
    }
}

impl Core {
    pub(super) fn new(queue: Queue, here: PoolManager, jobs: Jobs, scope: Scope) -> Self {
        Self {
            queue,
            here,
            jobs,
            at: scope.lineage().clone(),
            scope: Mutex::new(Some(scope)),
            scopes: RemoteScopes::default(),
            duplicates: AtomicU64::new(0),
            counts: Mutex::new(Counts::default()),
            cancelled: AtomicBool::new(false),
            settled: WakerSet::new(),
            readiness: Readiness::new(),
            intake: OnceLock::new(),
        }
    }

    /// Lists the serving in its family, for as long as it lives.
    pub(super) fn keep(&self, intake: Arc<dyn Intake>) {
        let _ = self.intake.set(intake);
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.queue.link
    }

    /// Asks the engine for as many jobs as the pool has free permits.
    pub(super) fn refill(&self) {
        let limit = self.here.pool().filter(|pool| !pool.tracker.is_closed()).map_or(0, |pool| pool.config.limit());
        let wanted = {
            let mut counts = self.counts.lock();
            let free = limit.saturating_sub(counts.busy + counts.open);
            if counts.closed || free == 0 {
                return;
            }
            counts.open += free;
            free
        };
        // Without the lock: an engine may deliver within its own call.
        self.link().engine.pull(&self.queue.name, wanted);
    }

    /// Counts a delivery in, as a busy job. Returns false when the serving is closed, or its pool is, or has not
    /// asked: then the delivery goes back.
    pub(super) fn arrive(&self) -> bool {
        let runs = self.here.is_running();
        let mut counts = self.counts.lock();
        // More may come than were asked for: a request that was taken back may be answered at that moment.
        let is_asked = counts.open > 0;
        counts.open -= usize::from(is_asked);
        counts.accepted += 1;
        if counts.closed || !runs || !is_asked {
            counts.end(End::GivenBack);
            return false;
        }
        counts.busy += 1;
        counts.live += 1;
        true
    }

    /// Takes back the count of a delivery of a job that is here already.
    pub(super) fn uncount(&self) {
        self.counts.lock().accepted -= 1;
    }

    /// Counts the end of a job, at most once for each.
    pub(super) fn end_job(&self, end: End) {
        self.counts.lock().end(end);
    }

    /// A job needs its permit no more.
    pub(super) fn free_permit(&self) {
        let mut counts = self.counts.lock();
        counts.busy = counts.busy.saturating_sub(1);
        drop(counts);
        self.refill();
    }

    /// A job is settled. Returns whether it was the last one of a closed serving, which ends then.
    #[must_use]
    pub(super) fn count_out(&self) -> bool {
        let mut counts = self.counts.lock();
        counts.live = counts.live.saturating_sub(1);
        counts.live == 0 && counts.closed
    }

    /// Takes back the open requests. Returns whether no job is left.
    pub(super) fn close(&self) -> bool {
        let (first, idle) = {
            let mut counts = self.counts.lock();
            counts.open = 0;
            (!std::mem::replace(&mut counts.closed, true), counts.live == 0)
        };
        if first {
            self.link().engine.stop_pulling(&self.queue.name);
            self.readiness.changed.wake_all();
        }
        idle
    }

    pub(super) fn is_closed(&self) -> bool {
        self.counts.lock().closed
    }

    pub(super) fn state(&self) -> ServingState {
        let counts = self.counts.lock();
        match (counts.closed, counts.live) {
            (false, _) => self.readiness.state(),
            (true, 0) => ServingState::Stopped,
            (true, _) => ServingState::Stopping,
        }
    }

    /// Notes that this process cancels the jobs.
    pub(super) fn set_cancelled(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }

    /// Returns whether this process has cancelled the jobs, by a verb of the serving or at a node above.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) || self.at.0.node().is_cancelled()
    }

    pub(super) fn live(&self) -> usize {
        self.counts.lock().live
    }

    /// Ends the scopes of a serving without jobs. Runs user code.
    pub(super) fn end(&self) {
        {
            let mut counts = self.counts.lock();
            if !counts.closed || std::mem::replace(&mut counts.ended, true) {
                return;
            }
        }
        self.scopes.take(|_| true).iter().for_each(|scope| scope.finish());
        let scope = self.scope.lock().take();
        if let Some(scope) = scope {
            scope.finish();
        }
        self.settled.wake_all();
    }

    pub(super) fn stats(&self) -> ServingStats {
        let counts = self.counts.lock();
        let Counts { live, accepted, done, given_back, lost, not_understood, cancelled, .. } = *counts;
        let ended = done + given_back + lost + not_understood + cancelled;
        let running = usize::try_from(accepted.saturating_sub(ended)).unwrap_or(usize::MAX);
        ServingStats {
            accepted,
            running,
            telling: live.saturating_sub(running),
            done,
            given_back,
            lost,
            not_understood,
            cancelled,
            duplicates: self.duplicates.load(Ordering::Relaxed),
        }
    }
}
