//! [`Scope`]: a node for a request or a component, which ends what was asked for below it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use crate::error::StopError;
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::node::{Node, NodeRef, Role, ScopeTrackers};
use crate::lineage::queued::Claims;
use crate::lineage::work;
use crate::names::label::Printed;
use crate::pool::context::frame;
use crate::pool::core::pool::Pool;
use crate::pool::end::{self, OfTracker, StopReport, await_tracker, block_on_tracker};
use crate::pool::run::evict::Evicted;
use crate::registry::node_end;
use crate::sync::os::Arc;
use crate::sync::unwind::swallow;
use crate::wait::graph::Label;
use crate::wait::park;

/// A place of its own for a request, a component, a tenant. Dropping it is [`cancel`](Scope::cancel).
///
/// It derefs to its [`Lineage`], so managers are made and found on it directly. The verbs that end it apply to the
/// managers it owns *and* to every task asked for below it, in any pool but a [`detached`](crate::PoolConfig::detached)
/// one: it counts them (one atomic operation for each scope above the submitter, when a task is submitted and when it
/// ends). It also counts the tasks of [`work_stealing`](crate::PoolConfig::work_stealing) pools whose owner is below it,
/// which stand there whoever asked for them. So what is bound at a scope stays for as long as a task stands in it.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// let shared = heirloom::create("shared");
/// shared.start(PoolConfig::leased(2))?;
///
/// let answer = Scope::run("request", |request| {
///     request.create("render").start(PoolConfig::leased(2))?;
///     let page = heirloom::get("render")?.submit(|| "page")?; // its own pool
///     let _log = heirloom::get("shared")?.submit(|| "logged")?; // the process's
///     Ok::<_, Box<dyn std::error::Error>>(page.join()?)
/// })?; // both tasks have ended here
/// assert_eq!(answer, "page");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping a scope cancels it; `Scope::run` ends it in order"]
pub struct Scope {
    lineage: Lineage,
    /// Its drop leaves what was accepted alone: it was closed in order.
    finished: bool,
}

impl Scope {
    /// Opens a scope below the current place.
    ///
    /// ```
    /// use heirloom::{NodeKind, Scope};
    ///
    /// let tenant = Scope::new("tenant 3");
    /// let request = tenant.run(|| Scope::new("request 7")); // stands there, so opens below it
    /// assert_eq!(request.parent().as_ref(), Some(tenant.lineage()));
    /// assert_eq!((request.kind(), request.name()), (NodeKind::Scope, Some("request 7")));
    /// ```
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self::open(&current::here(), name.into())
    }

    /// Opens a scope below another place.
    pub fn new_in(parent: &Lineage, name: impl Into<Cow<'static, str>>) -> Self {
        Self::open(&parent.0, name.into())
    }

    fn open(parent: &NodeRef, name: Cow<'static, str>) -> Self {
        Self {
            lineage: Lineage(Node::new(parent, Some(name), Role::Scope(ScopeTrackers::new())).into()),
            finished: false,
        }
    }

    /// Opens a scope, runs `f` standing in it, and stops it: when this returns, everything asked for below it in
    /// joining pools has ended. Threads that it started are not waited for. If `f` panics the scope is cancelled,
    /// and the panic goes on.
    ///
    /// To run something in a scope that is there already, call [`Lineage::run`] on it: `request.run(|| …)`.
    ///
    /// Called from one of the tasks it would wait for, it closes instead of waiting. So it does where one of them waits for
    /// what the caller owes, which is said at WARN with the circle of waits; [`stop`](Self::stop) returns it.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// static DONE: AtomicU32 = AtomicU32::new(0);
    /// let shared = heirloom::create("shared");
    /// shared.start(PoolConfig::leased(2))?;
    ///
    /// Scope::run("request 7", |_| {
    ///     // Nobody joins these, and the pool is not the request's; it waits for them all the same.
    ///     (0..10).try_for_each(|_| shared.submit(|| DONE.fetch_add(1, Ordering::Relaxed)).map(drop))
    /// })?;
    /// assert_eq!(DONE.load(Ordering::Relaxed), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run<T>(name: impl Into<Cow<'static, str>>, f: impl FnOnce(&Scope) -> T) -> T {
        let scope = Self::new(name);
        let out = scope.lineage.run(|| f(&scope));
        // Refused when a task on this very stack belongs to the scope, or one of its tasks waits for the caller; then
        // nobody waits.
        if let Err(StopError::WouldDeadlock { circle, .. }) = scope.wait_for_end(None) {
            // A subscriber is user code.
            swallow(|| {
                tracing::warn!(target: "heirloom", %circle, scope = %scope.lineage, "a scope's end does not wait for its tasks");
            });
        }
        scope.finish();
        out
    }

    fn node(&self) -> &Node {
        self.lineage.0.node()
    }

    fn trackers(&self) -> &ScopeTrackers {
        match self.node().trackers() {
            Some(trackers) => trackers,
            None => unreachable!("a scope's node is a scope"),
        }
    }

    /// The handle to the scope's node.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Tasks asked for below this scope that have not ended, and so with the futures and jobs of `heirloom::spawn`.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.trackers().count()
    }

    /// Whether the scope was told to end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.trackers().is_closed()
    }

    /// Accepts nothing more from below, in any pool, and closes the managers it owns. Does not wait. Idempotent.
    ///
    /// What was asked for below it in a daemon pool, also one that it does not own, and has not started, never will.
    pub fn close(&self) {
        self.close_all();
        self.node().end_if_over();
    }

    fn close_all(&self) {
        self.trackers().close();
        let (mut claims, mut evicted) = (Claims::new(), Evicted::new());
        self.node().claim_daemons(&mut claims);
        evicted.add_all(claims);
        // Whoever waits below for room in a queue waits in vain.
        end::close_all(&node_end::pools_that_end_with(&self.lineage), evicted, || self.node().tell());
    }

    /// [`close`](Self::close)s and waits until every task asked for below it has ended, in any joining pool, and the
    /// joining pools it owns have ended. The report counts, and names, the tasks of the pools it owns;
    /// tasks asked for below it that remain in other pools are counted in `remaining`, and those that ended there
    /// nowhere.
    ///
    /// Threads below it are not waited for; see [`thread::JoinHandle::join`](crate::thread::JoinHandle::join).
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope, SubmitError};
    ///
    /// let request = Scope::new("request 7");
    /// let render = request.create("render");
    /// render.start(PoolConfig::leased(2))?;
    /// drop(render.submit(|| "done")?);
    ///
    /// let report = request.stop()?;
    /// assert_eq!((report.completed, request.pending()), (1, 0));
    /// assert!(matches!(render.submit(|| ()).map(drop), Err(error) if matches!(error.kind(), SubmitErrorKind::Closed { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FromOwnTask`](StopError::FromOwnTask) when called from one of the tasks it would wait for; nothing is closed
    /// then.
    pub fn stop(&self) -> Result<StopReport, StopError> {
        self.stop_by(None)
    }

    /// As [`stop`](Self::stop), waiting at most `d`; the report says what is left then.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn stop_timeout(&self, d: Duration) -> Result<StopReport, StopError> {
        self.stop_by(park::after(d))
    }

    fn stop_by(&self, deadline: Option<Instant>) -> Result<StopReport, StopError> {
        let pools = self.wait_for_end(deadline)?;
        self.node().end_if_over();
        Ok(self.report(&pools))
    }

    fn wait_for_end(&self, deadline: Option<Instant>) -> Result<Vec<Arc<Pool>>, StopError> {
        let pools = self.begin_stop()?;
        for pool in pools.iter().filter(|pool| pool.joins()) {
            pool.block_until_over(deadline)?;
        }
        let asked = &self.trackers().joining;
        let name = || self.node().name().unwrap_or("scope").to_owned();
        let of_all = || OfTracker::of(asked, Label::Scope(name()));
        block_on_tracker(asked, deadline, of_all, || asked.count() == 0)
            .map_err(|why| StopError::WouldDeadlock { name: name(), circle: why.circle })?;
        Ok(pools)
    }

    /// As [`stop`](Self::stop), without blocking the runtime. Closes when first polled; dropping it stops only the
    /// waiting.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub async fn stop_async(&self) -> Result<StopReport, StopError> {
        let pools = self.begin_stop()?;
        for pool in pools.iter().filter(|pool| pool.joins()) {
            pool.await_over().await;
        }
        let asked = &self.trackers().joining;
        await_tracker(asked, || asked.count() == 0).await;
        self.node().end_if_over();
        Ok(self.report(&pools))
    }

    fn begin_stop(&self) -> Result<Vec<Arc<Pool>>, StopError> {
        let pools = node_end::pools_of(&self.lineage);
        // A piece's task is counted until the piece has ended.
        let may_wait_for_itself = self.trackers().joining.count() > 0 && frame::is_piece_below(self.node());
        if may_wait_for_itself
            || frame::is_below(self.node())
            || work::is_below(self.node())
            || pools.iter().any(|pool| frame::is_in(pool))
        {
            return Err(StopError::FromOwnTask { name: self.node().name().unwrap_or("scope").to_string() });
        }
        self.close();
        Ok(pools)
    }

    fn report(&self, pools: &[Arc<Pool>]) -> StopReport {
        let mut report = StopReport::default();
        for pool in pools {
            report.add(pool.report());
        }
        // Tasks asked for below it in other pools remain too; those in its own pools are counted there.
        report.remaining = report.remaining.max(self.trackers().count());
        report
    }

    /// [`close`](Self::close)s, and lets go of the scope without cancelling: what was accepted goes on to its end, and
    /// nobody waits for it.
    pub fn finish(mut self) {
        self.close_all();
        self.let_go();
        self.finished = true;
    }

    fn let_go(&mut self) {
        self.node().release();
        std::mem::replace(&mut self.lineage, Lineage::process()).0.end_and_let_go();
    }

    /// Accepts nothing more; what was asked for below it and has not started never will, in any pool; what runs is
    /// asked to stop, on whatever thread ([`checkpoint`](crate::checkpoint)). Does not wait. Idempotent.
    ///
    /// Queued tasks have ended when this returns: their closures are dropped on this thread, their handles answer, and
    /// whoever waits for room in their queues is let in. So it costs what was submitted below the scope and has not
    /// ended, whatever else is queued: about a microsecond for each task, and what its closure's drop costs. In an async
    /// program that is the time for which dropping the scope holds up the runtime's thread.
    ///
    /// All those tasks have their outcome before the first closure is dropped and the first waker runs. So a drop that
    /// joins another of them goes on at once. The scopes and the pools count a task until its closure is dropped: a drop
    /// that waits for that on another thread waits for itself.
    pub fn cancel(&self) {
        node_end::cancel(&self.lineage.0);
        self.node().end_if_over();
    }

    /// As [`cancel`](Self::cancel), before the scope is dropped: what stands in it until then finds its values.
    pub(crate) fn request_cancel(&self) {
        self.node().hold();
        node_end::cancel(&self.lineage.0);
    }
}

impl Deref for Scope {
    type Target = Lineage;

    fn deref(&self) -> &Lineage {
        &self.lineage
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if !self.finished {
            node_end::cancel(&self.lineage.0);
            self.let_go();
        }
    }
}

/// As its [`Lineage`]: `scope 7 "request"`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lineage.fmt(f)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", &self.node().name().map(Printed))
            .field("pending", &self.pending())
            .field("closed", &self.is_closed())
            .finish()
    }
}
