//! [`Scope`]: a node for a request or a component, whose end ends the tasks submitted below it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use crate::error::{CancelReason, Cancelled, Error, StopError};
use crate::lineage::handle::Lineage;
use crate::lineage::node::{Node, NodeRef, Role, ScopeTrackers};
use crate::lineage::queued::Claims;
use crate::lineage::{current, work};
use crate::names::label::Printed;
use crate::pool::blocking::release::OfTracker;
use crate::pool::blocking::wait_for::{await_tracker, block_on_tracker};
use crate::pool::context::thread::{is_below, is_in, is_piece_below};
use crate::pool::core::pool::Pool;
use crate::pool::end;
use crate::pool::report::StopReport;
use crate::pool::run::evict::Evicted;
use crate::pool::run::stop;
use crate::registry::{node_end, slot};
use crate::sync::os::Arc;
use crate::sync::unwind::swallow;
use crate::wait::graph::Label;
use crate::wait::park;

/// A node of its own for a request, a component or a tenant. Dropping it cancels it.
///
/// It derefs to its [`Lineage`], so managers are created and found on it directly.
///
/// The verbs that end it ([`stop`](Scope::stop), [`close`](Scope::close), [`finish`](Scope::finish),
/// [`cancel`](Scope::cancel)) apply to the managers that it owns *and* to every task submitted below it, in any pool but a
/// [`detached`](crate::PoolConfig::detached) one. A scope counts those tasks. That costs a submit and the task's end one
/// atomic operation each for every scope above the submitter. A scope also counts the tasks of
/// [`work_stealing`](crate::PoolConfig::work_stealing) pools whose owner is below it, because those tasks stand at the
/// owner. So the values bound at a scope stay for as long as a task stands in it.
///
/// The drop does not block: it is [`cancel`](Scope::cancel), and the tasks that run go on to their next
/// [`checkpoint`](crate::checkpoint).
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
///     Ok::<_, heirloom::Error>(page.join()?)
/// })?; // both tasks have ended here
/// assert_eq!(answer, "page");
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a scope cancels it; `Scope::run` ends it in order"]
pub struct Scope {
    lineage: Lineage,
    /// It was closed in order, so its drop does not cancel.
    finished: bool,
}

impl Scope {
    /// Opens a scope below the current node.
    ///
    /// ```
    /// use heirloom::{NodeKind, Scope};
    ///
    /// let tenant = Scope::new("tenant 3");
    /// let request = tenant.run(|| Scope::new("request 7")); // stands at the tenant, so opens below it
    /// assert_eq!(request.parent().as_ref(), Some(tenant.lineage()));
    /// assert_eq!((request.kind(), request.name()), (NodeKind::Scope, Some("request 7")));
    /// ```
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self::open(&current::here(), name.into())
    }

    /// Opens a scope below another node.
    pub fn new_in(parent: &Lineage, name: impl Into<Cow<'static, str>>) -> Self {
        Self::open(&parent.0, name.into())
    }

    fn open(parent: &NodeRef, name: Cow<'static, str>) -> Self {
        Self {
            lineage: Lineage(Node::new(parent, Some(name), Role::Scope(ScopeTrackers::new())).into()),
            finished: false,
        }
    }

    /// Opens a scope, runs `f` at it, and waits for the scope's tasks.
    ///
    /// Returns the value of `f`, after every task submitted below the scope to a joining pool has ended. It does not wait
    /// for threads started below the scope. If `f` panics, the scope is cancelled and the panic goes on.
    ///
    /// [`Lineage::run`] runs code at a scope that exists already: `request.run(|| …)`.
    ///
    /// When one of the tasks that it would wait for calls it, it closes the scope and does not wait. The same holds when
    /// one of those tasks waits, directly or through others, for the caller: then a warning shows the circle of waits,
    /// which [`stop`](Self::stop) returns as an error.
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
    ///     // No code joins these, and the pool is not the request's: the scope waits for them all the same.
    ///     (0..10).try_for_each(|_| shared.submit(|| DONE.fetch_add(1, Ordering::Relaxed)).map(drop))
    /// })?;
    /// assert_eq!(DONE.load(Ordering::Relaxed), 10);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn run<T>(name: impl Into<Cow<'static, str>>, f: impl FnOnce(&Scope) -> T) -> T {
        Self::new(name).run_to_end(f)
    }

    /// Runs `f` in the scope and waits for the scope's tasks.
    pub(super) fn run_to_end<T>(self, f: impl FnOnce(&Scope) -> T) -> T {
        let out = self.lineage.run(|| f(&self));
        // An error when a task on this very stack belongs to the scope, or when one of its tasks waits for the caller.
        if let Err(error) = self.wait_for_end(None)
            && let Some(circle) = error.circle()
        {
            // A subscriber is user code.
            swallow(|| {
                tracing::warn!(target: "heirloom", %circle, scope = %self.lineage, "a scope's end does not wait for its tasks");
            });
        }
        self.finish();
        out
    }

    fn node(&self) -> &Node {
        self.lineage.0.node()
    }

    pub(super) fn trackers(&self) -> &ScopeTrackers {
        match self.node().trackers() {
            Some(trackers) => trackers,
            None => unreachable!("a scope's node is a scope"),
        }
    }

    /// Returns the handle to the scope's node.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Returns how many tasks submitted below this scope have not ended, with the work of `heirloom::spawn`.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.trackers().count()
    }

    /// Returns whether the scope is closed: by a verb that ends it, or by the end of a scope above.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.trackers().is_closed()
    }

    /// Refuses new tasks from below, in any pool, and closes the managers it owns. Does not wait. Idempotent.
    ///
    /// Accepted tasks of joining pools go on. The queued tasks that were submitted below it to daemon pools end as
    /// cancelled, also in pools that it does not own.
    pub fn close(&self) {
        let owes = self.close_all();
        // The end notifies the same waiters.
        if !self.node().end_if_over() && owes {
            self.node().notify();
        }
    }

    /// Closes the scope and its pools. True if the caller owes the waiters at the node a notification.
    #[must_use]
    fn close_all(&self) -> bool {
        self.trackers().close();
        let mut claims = Claims::new();
        self.node().claim_daemons(&mut claims);
        let pools = node_end::pools_that_end_with(&self.lineage);
        if claims.is_empty() && pools.is_empty() {
            return true;
        }
        let mut evicted = Evicted::new();
        let cause = || Cancelled::new(CancelReason::OwnerEnd, self.node());
        if !claims.is_empty() {
            evicted.add_all(claims, &cause());
        }
        // Notified: a submitter below that waits for capacity in a queue waits in vain.
        stop::close_all(&pools, evicted, &|_| cause(), &mut || self.node().notify());
        false
    }

    /// [`close`](Self::close)s, and waits for the tasks submitted below it and for the joining pools it owns.
    ///
    /// Returns a report that counts and names the tasks of the pools it owns. Of the tasks that were submitted below it to
    /// other pools, the report counts those that remain (`remaining`) and not those that have ended.
    ///
    /// Blocks until every task submitted below it to a joining pool has ended. Does not wait for threads below it; see
    /// [`thread::JoinHandle::join`](crate::thread::JoinHandle::join).
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let request = Scope::new("request 7");
    /// let render = request.create("render");
    /// render.start(PoolConfig::leased(2))?;
    /// drop(render.submit(|| "done")?);
    ///
    /// let report = request.stop()?;
    /// assert_eq!((report.completed, request.pending()), (1, 0));
    /// assert_eq!(render.submit(|| ()).unwrap_err().kind(), heirloom::ErrorKind::Closed);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FromOwnTask`](StopError::FromOwnTask) when one of the tasks that it would wait for calls it; nothing is closed
    /// then. [`WouldDeadlock`](StopError::WouldDeadlock) when one of them waits for the caller; the scope is closed then.
    pub fn stop(&self) -> Result<StopReport, Error> {
        self.stop_by(None)
    }

    /// As [`stop`](Self::stop), waiting at most `d`. The report says how many tasks remain.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn stop_timeout(&self, d: Duration) -> Result<StopReport, Error> {
        self.stop_by(park::after(d))
    }

    fn stop_by(&self, deadline: Option<Instant>) -> Result<StopReport, Error> {
        let pools = self.wait_for_end(deadline)?;
        self.node().end_if_over();
        Ok(self.report(&pools))
    }

    fn wait_for_end(&self, deadline: Option<Instant>) -> Result<Vec<Arc<Pool>>, Error> {
        let pools = self.begin_stop()?;
        for pool in pools.iter().filter(|pool| pool.joins()) {
            end::block_until_over(pool, deadline)?;
        }
        let asked = &self.trackers().joining;
        let name = || self.node().name().unwrap_or("scope").to_owned();
        let of_all = || OfTracker::of(asked, Label::Scope(name()));
        block_on_tracker(asked, deadline, of_all, || asked.count() == 0)
            .map_err(|why| StopError::WouldDeadlock { name: name(), circle: why.circle })?;
        Ok(pools)
    }

    /// As [`stop`](Self::stop), without blocking the runtime.
    ///
    /// Closes when first polled. Dropping the future stops only the wait.
    ///
    /// # Errors
    /// [`FromOwnTask`](StopError::FromOwnTask), as [`stop`](Self::stop).
    pub async fn stop_async(&self) -> Result<StopReport, Error> {
        let pools = self.begin_stop()?;
        for pool in pools.iter().filter(|pool| pool.joins()) {
            end::await_over(pool).await;
        }
        let asked = &self.trackers().joining;
        await_tracker(asked, || asked.count() == 0).await;
        self.node().end_if_over();
        Ok(self.report(&pools))
    }

    fn begin_stop(&self) -> Result<Vec<Arc<Pool>>, Error> {
        let pools = node_end::pools_of(&self.lineage);
        // A piece's task is counted until the piece has ended.
        let may_wait_for_itself = self.trackers().joining.count() > 0 && is_piece_below(self.node());
        if may_wait_for_itself
            || is_below(self.node())
            || work::is_below(self.node())
            || pools.iter().any(|pool| is_in(Arc::as_ptr(pool)))
        {
            return Err(StopError::FromOwnTask { name: self.node().name().unwrap_or("scope").to_string() }.into());
        }
        self.close();
        Ok(pools)
    }

    fn report(&self, pools: &[Arc<Pool>]) -> StopReport {
        let mut report = StopReport::default();
        for pool in pools {
            report.add(end::report(pool));
        }
        // The tracker counts the tasks in other pools too. The tasks in its own pools are in both numbers.
        report.remaining = report.remaining.max(self.trackers().count());
        report
    }

    /// [`close`](Self::close)s and drops the scope without cancelling it. Does not wait.
    ///
    /// The accepted tasks of joining pools go on to their end. The scope's node lives until then, with its values.
    pub fn finish(mut self) {
        if self.close_all() {
            self.node().notify();
        }
        self.let_go();
        self.finished = true;
    }

    fn let_go(&mut self) {
        self.node().release();
        self.take().end_and_release();
    }

    fn take(&mut self) -> NodeRef {
        std::mem::replace(&mut self.lineage, Lineage::process()).0
    }

    /// Drops the node of a scope that has no task and no manager, if no other reference to the node lives. No code sees a
    /// request then: code at the node or below it has a reference.
    fn drop_alone(&mut self) -> bool {
        if self.trackers().count() > 0 || !self.node().managers.is_empty() {
            return false;
        }
        match self.take().into_node() {
            Ok(node) => {
                // A last reference that another thread had until a moment ago may have made a manager.
                let pools = slot::all(&node).filter_map(|manager| manager.pool());
                pools.for_each(|pool| stop::cancel(&pool, CancelReason::OwnerEnd));
                true
            }
            Err(shared) => {
                self.lineage = Lineage(shared);
                false
            }
        }
    }

    /// Closes the scope and cancels the tasks below it, in any pool. Does not wait. Idempotent.
    ///
    /// Queued tasks have ended as cancelled when this returns: the calling thread has dropped their closures, their
    /// joiners are notified, and submitters that wait for capacity in their queues get it. Running tasks, and threads and
    /// futures at the scope, see the request at their next [`checkpoint`](crate::checkpoint), and it interrupts their waits.
    ///
    /// Costs about a microsecond for each queued task below the scope, plus the drop of its closure. Tasks that were
    /// submitted elsewhere cost nothing. In an async program the drop of a scope holds up the runtime's thread for that
    /// time.
    ///
    /// All those tasks have their outcome before the first closure is dropped and the first waker runs, so a closure's drop
    /// may join another of the tasks. Scopes and pools count a task until its closure is dropped. So a closure's drop must
    /// not wait, on another thread either, for a scope or a pool that counts its own task.
    pub fn cancel(&self) {
        node_end::cancel(&self.lineage.0, CancelReason::Request);
        self.node().end_if_over();
    }

    /// [`cancel`](Self::cancel), before the scope is dropped. Code that stands in the scope until then finds its values.
    pub(crate) fn request_cancel(&self) {
        self.node().hold();
        node_end::cancel(&self.lineage.0, CancelReason::OwnerEnd);
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
        if !self.finished && !self.drop_alone() {
            node_end::cancel(&self.lineage.0, CancelReason::OwnerEnd);
            // Tasks that still run keep the node, and no later deadline is theirs.
            self.no_deadline();
            self.let_go();
        }
    }
}

/// Prints as its [`Lineage`]: `scope 7 "request"`.
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
