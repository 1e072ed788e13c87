//! [`WorkerCtx`]: a dedicated pool's thread, as its initialiser and its tasks see it.
//!
//! # Lifetimes
//! The thread holds its own node, and so does each [`WorkerCtx`]. The node's parent is a scope or the process, never the
//! thread or task that owns the pool, because the end of that owner closes the pool. The edge to the owner is weak.

use std::error::Error;
use std::fmt;
use std::mem;
use std::thread::Thread;

use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::{ExitOnDrop, Lineage};
use crate::lineage::node::{Node, NodeRef, Role, WeakNodeRef};
use crate::names::namespace::Namespace;
use crate::sync::os::{Arc, OnceLock};
use crate::sync::unwind::swallow_drop;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;
type Initialiser = dyn Fn(&WorkerCtx) -> Result<(), Failure> + Send + Sync;

/// The initialiser that each thread of a pool runs before its first task. All are equal: settings are compared without it.
#[derive(Clone)]
pub(crate) struct Hook(Arc<Initialiser>);

impl Hook {
    pub(crate) fn new<E: Into<Failure>>(f: impl Fn(&WorkerCtx) -> Result<(), E> + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |ctx| f(ctx).map_err(Into::into)))
    }

    pub(crate) fn run(&self, ctx: &WorkerCtx) -> Result<(), Failure> {
        (self.0)(ctx)
    }
}

impl PartialEq for Hook {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Hook {}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// One thread of a dedicated pool, as its initialiser and its tasks see it.
///
/// [`PoolConfig::on_worker_start`](crate::PoolConfig::on_worker_start) receives it, and [`worker`](crate::worker())
/// returns it. Dropping it changes nothing; the thread's node lives while a clone of it exists.
///
/// A `WorkerCtx` is the *started by* edge of the tree. A task stands below its submitter, and finds the values of the thread that
/// runs it through the thread's [`lineage`](Self::lineage).
#[derive(Clone)]
pub struct WorkerCtx(Arc<Worker>);

struct Worker {
    namespace: Namespace,
    index: usize,
    thread: Thread,
    owner: WeakNodeRef,
    /// The parent of the thread's node.
    below: WeakNodeRef,
    /// Made on first use.
    node: OnceLock<NodeRef>,
}

impl WorkerCtx {
    /// Returns the thread's own node, made on first use.
    ///
    /// The node's parent is the innermost scope at or above the pool's owner, or the process.
    ///
    /// Only the tasks on this thread find the managers and values that the initialiser creates or binds there, through
    /// [`worker`](crate::worker()). Managers and values are dropped on this thread when the thread ends.
    ///
    /// The initialiser stands at this node, so it may call `bind`. A task stands elsewhere, and looks up at this node:
    ///
    /// ```
    /// use heirloom::{Heirloom, PoolConfig, Scope};
    /// use std::sync::Mutex;
    ///
    /// struct Connection { queries: u32 } // one for each thread; `Mutex`, because values are shared
    /// static CONNECTION: Heirloom<Mutex<Connection>> = Heirloom::new("connection");
    ///
    /// let scope = Scope::new("doc");
    /// let db = scope.create("db");
    /// let connect = |_: &heirloom::WorkerCtx| CONNECTION.bind(Mutex::new(Connection { queries: 0 })).map(drop);
    /// db.start(PoolConfig::dedicated(2).warm(2).on_worker_start(connect))?;
    ///
    /// let queries = db.submit(|| {
    ///     let worker = heirloom::worker().expect("a thread of the pool");
    ///     let connection = CONNECTION.at(&worker.lineage()).get()?; // `CONNECTION.get()` would not find it
    ///     let mut connection = connection.lock().unwrap();
    ///     connection.queries += 1;
    ///     Ok::<_, heirloom::Error>(connection.queries)
    /// })?;
    /// assert_eq!(queries.join()??, 1);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        Lineage(self.node().clone())
    }

    /// The calling thread as a pool's own.
    pub(crate) fn here(namespace: Namespace, index: usize, owner: WeakNodeRef, below: WeakNodeRef) -> Self {
        let thread = std::thread::current();
        Self(Arc::new(Worker { namespace, index, thread, owner, below, node: OnceLock::new() }))
    }

    /// The calling thread is no pool's any more. Drops the values bound to its node, which runs user code.
    pub(crate) fn end(self) {
        if let Some(node) = self.0.node.get() {
            // Code in the destructors of the thread's locals stands at the process, instead of a second node of the thread.
            mem::forget(current::enter_as_thread(NodeRef::PROCESS, LazyNode::Nothing));
            node.node().end_worker();
        }
        swallow_drop(self);
    }

    /// Enters the thread's node.
    pub(crate) fn enter(&self) -> ExitOnDrop {
        ExitOnDrop(Some(current::enter(self.node().clone(), LazyNode::Nothing)))
    }

    fn node(&self) -> &NodeRef {
        self.0.node.get_or_init(|| {
            let parent = self.0.below.upgrade().unwrap_or(NodeRef::PROCESS);
            let name = self.0.thread.name().map(|name| name.to_string().into());
            Node::new(&parent, name, Role::Thread(self.0.thread.id())).into()
        })
    }

    /// Returns the owner of the pool that started this thread.
    ///
    /// `None` when the owner has ended: the thread does not keep it alive.
    #[must_use]
    pub fn started_by(&self) -> Option<Lineage> {
        self.0.owner.upgrade().map(Lineage)
    }

    /// Returns the thread's number in the pool, from 0, as in its name.
    ///
    /// A new thread may get the number of one that has ended.
    #[must_use]
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// Returns the name of the pool's manager.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }
}

impl fmt::Debug for WorkerCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerCtx").field("namespace", self.namespace()).field("index", &self.index()).finish()
    }
}
