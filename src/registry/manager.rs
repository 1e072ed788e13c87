//! [`PoolManager`]: the named owner of at most one running pool.

use std::fmt;

use crate::error::CancelReason;
use crate::exit::hook;
use crate::lineage::handle::Lineage;
use crate::lineage::node::{NodeRef, WeakNodeRef};
use crate::lineage::slots::{Named, SlotValue};
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::pool::config::PoolConfig;
use crate::pool::config::kind::{PoolKind, PoolMode};
use crate::pool::core::pool::Pool;
use crate::pool::core::{share_stats as shares, stats};
use crate::pool::kinds;
use crate::pool::report::PoolStats;
use crate::pool::run::stop;
use crate::registry::ended_with::EndedWith;
use crate::registry::pool_slot::{LentPool, PoolSlot};
use crate::sync::os::{Arc, Weak};
use crate::sync::weak_list::Registration;
use crate::totals::record::Totals;

/// The named owner of at most one running pool. It belongs to one node of the family tree.
///
/// [`start`](Self::start) starts its pool. [`submit`](Self::submit) and its variants hand tasks to the pool,
/// [`scope`](Self::scope) and [`run`](Self::run) tasks that borrow. [`stop`](Self::stop) ends the pool, and the manager
/// can be started again.
///
/// A `PoolManager` is a handle: a clone is another handle to the same manager and costs one atomic increment. Dropping a
/// handle does nothing while the node or another handle lives. Dropping the last one closes the pool without blocking; a
/// joining pool still finishes the tasks that it accepted.
///
/// # In a static
/// A pool ends with the scope that owns it. The initialiser of a static runs in the first caller, which may be a request:
/// a manager that it creates at the current node ends with that request, for all later callers. So a static names the
/// process:
///
/// ```
/// use heirloom::{Lineage, PoolConfig, PoolManager, Scope};
/// use std::sync::LazyLock;
///
/// static MAIL: LazyLock<PoolManager> = LazyLock::new(|| {
///     Lineage::process().get_or_start("mail", || PoolConfig::leased(2)).expect("two threads are few")
/// });
///
/// for id in 1..=2 {
///     let request = Scope::new(format!("request {id}"));
///     let sent = request.run(|| MAIL.submit(|| "sent"))?;
///     assert_eq!(sent.join()?, "sent"); // also in the second request
/// }
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// The same holds for a thread that a static starts ([`thread::spawn`](crate::thread::spawn())) and for a value that it
/// binds: `KEY.at(&Lineage::process()).bind(…)`.
///
/// # Example
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// let request = Scope::new("request");
/// let render = request.create("render");
/// render.start(PoolConfig::leased(4).task_type("component"))?;
///
/// let html = render.submit_as("component", || "<p>hello</p>")?.join()?;
/// assert_eq!(html, "<p>hello</p>");
///
/// let report = render.stop()?;
/// assert_eq!((report.completed, report.is_complete()), (1, true));
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone)]
pub struct PoolManager {
    pub(super) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    namespace: Namespace,
    pub(super) owner: WeakNodeRef,
    /// The innermost scope at or above the owner; the process where there is none. A scope that is dropped has ended.
    pub(super) scope: WeakNodeRef,
    pub(super) pool: PoolSlot,
    /// The family's, kept beside the owner, which may be dropped before the manager.
    pub(super) totals: Totals,
    ended_with: EndedWith,
    /// Lists the manager in its family. `None` without an owner.
    _registration: Option<Registration<SlotValue>>,
}

impl Named for Inner {
    fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.load().get() {
            stop::close(pool, CancelReason::OwnerEnd);
        }
    }
}

impl PoolManager {
    /// A manager that names its owner. The caller puts it into a slot of that node.
    pub(super) fn new(owner: &NodeRef, namespace: Namespace) -> Self {
        let index = owner.node().family().index();
        Self::from_inner(Arc::new_cyclic(|this: &Weak<Inner>| Inner {
            namespace,
            owner: owner.downgrade(),
            scope: owner.innermost_scope().map_or(WeakNodeRef::PROCESS, |scope| scope.downgrade()),
            pool: PoolSlot::empty(),
            totals: index.totals.clone(),
            ended_with: EndedWith::new(),
            _registration: Some(index.managers.insert(this.clone())),
        }))
    }

    /// A manager without an owner: no look-up finds it, and it refuses to start.
    pub(super) fn nowhere(namespace: Namespace) -> Self {
        Self::from_inner(Arc::new(Inner {
            namespace,
            owner: WeakNodeRef::nowhere(),
            scope: WeakNodeRef::PROCESS,
            pool: PoolSlot::empty(),
            totals: Totals::NONE,
            ended_with: EndedWith::new(),
            _registration: None,
        }))
    }

    #[inline]
    pub(super) fn from_inner(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Returns the name under which look-ups find the manager.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    /// Returns the node that the manager belongs to.
    ///
    /// `None` when that node has ended, and for a manager that [`create`](crate::create) made for code without a node of
    /// its own.
    #[must_use]
    pub fn owner(&self) -> Option<Lineage> {
        self.inner.owner.upgrade().map(Lineage)
    }

    /// Returns whether two handles lead to the same manager.
    #[must_use]
    pub fn is_same(&self, other: &PoolManager) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(super) fn running(&self) -> Option<Arc<Pool>> {
        self.pool().filter(|pool| !pool.tracker.is_closed())
    }

    /// Notes that the owner is a scope that ends, for later refusals. Two handles belong to that scope and to the
    /// caller; without a third no submitter can read the note.
    pub(super) fn ends_with(&self, scope: &Lineage) {
        if Arc::strong_count(&self.inner) > 2 {
            self.inner.ended_with.set(&scope.to_string());
        }
    }

    /// The scope that the manager ended with, in words.
    pub(super) fn ended_with(&self) -> Option<String> {
        self.inner.ended_with.get()
    }

    /// The pool of the last start, running or ended.
    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        self.load().get().cloned()
    }

    /// [`pool`](Self::pool) without counting it, for a use that does not wait.
    #[inline]
    pub(super) fn load(&self) -> LentPool<'_> {
        self.inner.pool.load()
    }

    pub(super) fn new_pool(&self, config: PoolConfig) -> Arc<Pool> {
        hook::arm();
        kinds::start(self.inner.namespace.clone(), self.inner.owner.clone(), config)
    }

    /// Returns whether a pool is started and not closed.
    #[must_use]
    #[inline]
    pub fn is_running(&self) -> bool {
        self.load().get().is_some_and(|pool| !pool.tracker.is_closed())
    }

    /// Returns the one task type that the pool accepts, when the pool is typed.
    ///
    /// After the pool has ended: of the last start.
    #[must_use]
    pub fn task_type(&self) -> Option<TaskType> {
        self.load().get().and_then(|pool| pool.config.rare().task_type.clone())
    }

    /// Returns the pool's numbers.
    ///
    /// After the pool has ended: of the last start. All zero before the first start.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        match self.load().get() {
            Some(pool) => PoolStats { shares: shares::of(pool), ..stats::of(pool) },
            None => PoolStats {
                limit: 0,
                running: 0,
                waiting: 0,
                queued: 0,
                completed: 0,
                interrupted: 0,
                panicked: 0,
                cancelled: 0,
                refused: 0,
                shares: Vec::new(),
                task_type: None,
                mode: PoolMode::Joining,
                kind: PoolKind::Leased,
            },
        }
    }
}

impl fmt::Debug for PoolManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolManager")
            .field("namespace", self.namespace())
            .field("owner", &self.owner())
            .field("running", &self.is_running())
            .finish()
    }
}
