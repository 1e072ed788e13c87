//! [`Registry::shutdown`], and [`ShutdownReport`]: how each pool of a family ended.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use crate::error::CancelReason;
use crate::lineage::handle::Lineage;
use crate::lineage::node::{NodeKind, NodeRef};
use crate::lineage::work;
use crate::names::id::NodeId;
use crate::names::label::Printed;
use crate::names::namespace::Namespace;
use crate::pool::blocking::release::OfTracker;
use crate::pool::blocking::wait_for::{await_tracker, block_on_tracker};
use crate::pool::config::kind::PoolMode;
use crate::pool::context::thread::is_in;
use crate::pool::core::cause;
use crate::pool::core::pool::{Pool, joining};
use crate::pool::end;
use crate::pool::report::StopReport;
use crate::pool::run::evict::Evicted;
use crate::pool::run::stop;
use crate::registry::registry::Registry;
use crate::sync::os::Arc;
use crate::sync::unwind::swallow;
use crate::timer::within::within;
use crate::wait::graph::Label;
use crate::wait::park;
use crate::wait::tracker::TaskTracker;

/// How each pool of a family ended; made by [`Registry::shutdown`].
///
/// With the feature `serde` it serialises; the words are those of a [`Snapshot`](crate::Snapshot). In JSON:
///
/// ```json
/// {
///   "pools": [
///     {
///       "namespace": "render", "owner": 7, "owner_kind": "scope", "owner_name": "request 7", "mode": "joining",
///       "report": {
///         "completed": 10, "interrupted": 0, "panicked": 0, "cancelled": 1, "remaining": 1,
///         "still_running": [
///           { "id": 31, "name": null, "task_type": "component", "place": "scope 7 \"request 7\"", "age_seconds": 0.25 }
///         ],
///         "abandoned": 0
///       }
///     }
///   ],
///   "spawned": 0
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the report says whether anything still runs"]
pub struct ShutdownReport {
    /// The pools of all live managers, in the order of their names, also pools that had ended before.
    ///
    /// The pools of a manager that was dropped, for example with its request, are not listed.
    pub pools: Vec<PoolReport>,
    /// Futures and jobs that have not ended, of `heirloom::spawn` and `heirloom::spawn_blocking` below a scope; and jobs of
    /// a serving of the feature `remote` whose end its sender does not know yet.
    ///
    /// Work that was spawned outside of any scope is not counted.
    pub spawned: usize,
}

/// One pool of a [`ShutdownReport`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolReport {
    /// The manager's name.
    pub namespace: Namespace,
    /// The node that the manager belongs to; `None` when that node has ended.
    pub owner: Option<NodeId>,
    /// The kind of that node.
    pub owner_kind: Option<NodeKind>,
    /// The name of that node: of the request, for a request's own pool.
    pub owner_name: Option<String>,
    /// Whether the shutdown waited for the pool: it does not wait for a daemon.
    pub mode: PoolMode,
    /// How its tasks ended.
    pub report: StopReport,
}

impl Registry {
    /// Closes every manager and every serving of the family, and waits for the joining pools and for spawned work.
    ///
    /// Returns how each pool ended, and how much of the work of `heirloom::spawn` below scopes of the family is left. Blocks
    /// the calling thread, without a bound: a program that must end takes [`shutdown_timeout`](Self::shutdown_timeout).
    /// Idempotent.
    ///
    /// A pool that a task starts meanwhile is closed and waited for too, and so is a pool whose owner has ended. A pool of
    /// which the caller is a task is closed and not waited for.
    ///
    /// Nothing is cancelled: accepted tasks complete. So a server ends in this order, which [`Drain`](crate::Drain) takes in one
    /// call:
    ///
    /// 1. Let the open requests end. They may still submit.
    /// 2. Cancel the scope above them, if they take too long.
    /// 3. Call `shutdown_timeout`, or in async code [`shutdown_timeout_async`](Self::shutdown_timeout_async).
    ///
    /// Keep the scopes in `main`: axum drops the router, with the state and the layers that it owns, when `serve` ends. A
    /// dropped scope cancels its tasks, and the report would name none of them.
    ///
    /// The process's exit waits once more for tasks that still run in joining pools; see
    /// [`exit_timeout`](crate::exit_timeout), and [`exit_grace`](crate::exit_grace) for cancelled ones.
    /// [`on_exit`](crate::on_exit)`(ExitPolicy::Abandon)` abandons them. A `start` or
    /// [`get_or_start`](crate::get_or_start()) after the shutdown starts a pool that no report lists.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Registry};
    ///
    /// let family = Registry::new();
    /// let io = family.root().create("io");
    /// io.start(PoolConfig::leased(2))?;
    /// drop(io.submit(|| "written")?);
    ///
    /// let report = family.shutdown();
    /// assert!(report.is_complete(), "{report}");
    /// assert_eq!(report.pools[0].report.completed, 1);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn shutdown(&self) -> ShutdownReport {
        self.shutdown_timeout(Duration::MAX)
    }

    /// As [`shutdown`](Self::shutdown), waiting at most `d`. Tasks that are left then go on, and are in the report.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::{PoolConfig, Registry};
    ///
    /// let family = Registry::new();
    /// let io = family.root().create("io");
    /// io.start(PoolConfig::leased(2))?;
    /// drop(io.submit(|| std::thread::sleep(Duration::from_millis(200)))?);
    ///
    /// let report = family.shutdown_timeout(Duration::from_millis(1));
    /// assert_eq!((report.is_complete(), report.pools[0].report.remaining), (false, 1), "{report}");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn shutdown_timeout(&self, d: Duration) -> ShutdownReport {
        let deadline = park::after(d);
        let mut closed = self.close_but(&[]);
        let mut waited = 0;
        loop {
            for pool in closed[waited..].iter().filter(|pool| pool.joins() && !is_in(Arc::as_ptr(pool))) {
                // A pool that would never end is in the report, as is a pool that has not ended in time.
                if let Err(error) = end::block_until_over(pool, deadline) {
                    // A subscriber is user code.
                    swallow(|| tracing::warn!(target: "heirloom", "a shutdown does not wait for a pool: {error}"));
                }
            }
            if self.own_work() == 0 {
                let spawned = self.spawned();
                let what = || OfTracker::of(spawned, Label::Spawned);
                if let Err(why) = block_on_tracker(spawned, deadline, what, || spawned.count() == 0) {
                    let circle = why.circle;
                    swallow(
                        || tracing::warn!(target: "heirloom", "a shutdown does not wait for spawned work: {circle}"),
                    );
                }
            }
            waited = closed.len();
            closed.extend(self.close_but(&closed));
            if closed.len() == waited || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return self.report(&closed);
            }
        }
    }

    /// As [`shutdown`](Self::shutdown), without blocking the runtime.
    ///
    /// Closes when first polled. Dropping the future stops only the wait, and
    /// [`shutdown_timeout`](Self::shutdown_timeout)`(Duration::ZERO)` then reports the tasks that remain.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Registry};
    ///
    /// let family = Registry::new();
    /// let io = family.root().create("io");
    /// io.start(PoolConfig::leased(2))?;
    /// drop(io.submit(|| "written")?);
    /// let report = futures::executor::block_on(family.shutdown_async()); // on any runtime
    /// assert!(report.is_complete(), "{report}");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub async fn shutdown_async(&self) -> ShutdownReport {
        self.shutdown_timeout_async(Duration::MAX).await
    }

    /// As [`shutdown_timeout`](Self::shutdown_timeout), without blocking the runtime; see
    /// [`shutdown_async`](Self::shutdown_async).
    pub async fn shutdown_timeout_async(&self, d: Duration) -> ShutdownReport {
        let deadline = park::after(d);
        let (spawned, is_part) = (self.spawned(), self.own_work() > 0);
        let mut closed = self.close_but(&[]);
        let all = async {
            let mut waited = 0;
            loop {
                for pool in closed[waited..].iter().filter(|pool| pool.joins() && !is_in(Arc::as_ptr(pool))) {
                    end::await_over(pool).await;
                }
                if !is_part {
                    await_tracker(spawned, || spawned.count() == 0).await;
                }
                waited = closed.len();
                closed.extend(self.close_but(&closed));
                if closed.len() == waited {
                    break;
                }
            }
        };
        let _ = within(deadline, all).await;
        self.report(&closed)
    }

    /// Closes the servings of the family: no further task comes from outside.
    pub(crate) fn close_intakes(&self) {
        self.family().index().intakes.close();
    }

    /// Gives up the jobs that servings of the family still have, because the process ends.
    pub(crate) fn give_up_intakes(&self) {
        self.family().index().intakes.give_up();
    }

    /// Counts the spawned work below scopes of the family.
    fn spawned(&self) -> &TaskTracker {
        &self.family().index().spawned
    }

    /// How much spawned work the calling code is a part of. It ends after the caller.
    fn own_work(&self) -> usize {
        let mut own = 0;
        work::for_each(|work| own += usize::from(work.node_ref().root().is(&self.root)));
        own
    }

    fn report(&self, pools: &[Arc<Pool>]) -> ShutdownReport {
        let of_pool = |pool: &Arc<Pool>| {
            let owner = pool.owner.upgrade().map(Lineage);
            PoolReport {
                namespace: pool.namespace.clone(),
                owner: owner.as_ref().map(Lineage::id),
                owner_kind: owner.as_ref().map(Lineage::kind),
                owner_name: owner.as_ref().and_then(Lineage::name).map(str::to_owned),
                mode: pool.config.mode,
                report: end::report(pool),
            }
        };
        let spawned = self.spawned().count().saturating_sub(self.own_work());
        let mut report = ShutdownReport { pools: pools.iter().map(of_pool).collect(), spawned };
        report.pools.sort_by_cached_key(|pool| pool.namespace.raw().into_owned());
        report
    }

    /// Closes the pools of the family that are not `known`, and returns them.
    ///
    /// A task or a spawned future may have started a pool since the last call. A pool whose manager was dropped with its
    /// owner is listed while tasks below that owner are left.
    fn close_but(&self, known: &[Arc<Pool>]) -> Vec<Arc<Pool>> {
        self.close_intakes();
        let is_ours = |owner: NodeRef| owner.root().is(&self.root);
        let ended =
            joining().live().into_iter().filter(|pool| !pool.is_over() && pool.owner.upgrade().is_some_and(is_ours));
        let managed = self.managers().into_iter().filter_map(|manager| manager.pool());
        let mut seen: HashSet<_> = known.iter().map(Arc::as_ptr).collect();
        let new: Vec<_> = managed.chain(ended).filter(|pool| seen.insert(Arc::as_ptr(pool))).collect();
        stop::close_all(&new, Evicted::new(), &|pool| cause::at_pool(pool, CancelReason::Shutdown), &mut || {});
        new
    }
}

impl ShutdownReport {
    /// Returns whether every task of a joining pool and all work spawned below scopes has ended.
    ///
    /// The tasks of a daemon are listed and do not count.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.spawned == 0 && self.pools.iter().all(|pool| pool.mode == PoolMode::Daemon || pool.report.is_complete())
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        let is_left = |pool: &&PoolReport| pool.mode != PoolMode::Daemon && !pool.report.is_complete();
        let (mut left, others): (Vec<_>, Vec<_>) = self.pools.iter().partition(is_left);
        let (tasks, pools) = (left.iter().map(|pool| pool.report.remaining).sum::<usize>(), self.pools.len());
        let s = |many: usize| if many == 1 { "" } else { "s" };
        match (left.len(), self.spawned) {
            (0, 0) => write!(f, "shutdown complete: {pools} pool{}", s(pools))?,
            (0, _) => write!(f, "shutdown not complete: spawned work remains; {pools} pool{}", s(pools))?,
            (in_pools, _) => {
                let remain = if tasks == 1 { "task remains" } else { "tasks remain" };
                write!(f, "shutdown not complete: {tasks} {remain} in {in_pools} of {pools} pool{}", s(pools))?;
            }
        }
        left.extend(others);
        for PoolReport { namespace, owner, owner_kind, owner_name, mode, report } in left {
            write!(f, "\n  \"{namespace}\"")?;
            match (owner, owner_kind, owner_name) {
                (Some(_), Some(NodeKind::Process), _) => write!(f, " of the process")?,
                (Some(owner), Some(kind), Some(name)) => {
                    write!(f, " of {} {:?} (node {owner})", kind.as_str(), Printed(name))?;
                }
                (Some(owner), Some(kind), None) => write!(f, " of {} (node {owner})", kind.as_str())?,
                _ => write!(f, " of an ended node")?,
            }
            write!(f, ", {mode}: {report}")?;
        }
        if self.spawned > 0 {
            write!(f, "\n  {} spawned future(s) or job(s) have not ended", self.spawned)?;
        }
        Ok(())
    }
}

/// Closes every manager of the process-wide family, and waits for the joining pools; see [`Registry::shutdown`].
pub fn shutdown() -> ShutdownReport {
    Registry::global().shutdown()
}

/// As [`shutdown`], waiting at most `d`; see [`Registry::shutdown_timeout`].
pub fn shutdown_timeout(d: Duration) -> ShutdownReport {
    Registry::global().shutdown_timeout(d)
}

/// As [`shutdown`], without blocking the runtime; see [`Registry::shutdown_async`].
pub async fn shutdown_async() -> ShutdownReport {
    Registry::global().shutdown_async().await
}

/// As [`shutdown_timeout`], without blocking the runtime; see [`Registry::shutdown_timeout_async`].
pub async fn shutdown_timeout_async(d: Duration) -> ShutdownReport {
    Registry::global().shutdown_timeout_async(d).await
}
