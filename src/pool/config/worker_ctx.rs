//! [`WorkerCtx`]: a dedicated pool's thread, as its initialiser and its tasks see it.
//!
//! # What keeps what alive
//! The thread holds its own node, and so does each [`WorkerCtx`]. The node's parent is a scope or the process, never the
//! thread or task that owns the pool, whose end is what closes the pool. The edge to the owner is weak.

use std::cell::RefCell;
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

/// What each thread of a pool runs before its first task. All are equal: settings are compared without them.
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

thread_local! {
    static MINE: RefCell<Option<WorkerCtx>> = const { RefCell::new(None) };
}

/// One thread of a dedicated pool: what [`PoolConfig::on_worker_start`](crate::PoolConfig::on_worker_start) is given,
/// and [`worker`] answers. Dropping it changes nothing; while it is held the thread's node lives.
///
/// It is the *started by* edge of the tree: tasks stand below whoever asked for them, and find with this what belongs
/// to the thread they happen to run on.
#[derive(Clone)]
pub struct WorkerCtx(Arc<Worker>);

struct Worker {
    namespace: Namespace,
    index: usize,
    thread: Thread,
    owner: WeakNodeRef,
    /// What the node is to stand below.
    below: WeakNodeRef,
    /// Made when it is asked for.
    node: OnceLock<NodeRef>,
}

impl WorkerCtx {
    /// The thread's own node, made on first use. Its parent is the innermost scope at or above the pool's owner, or the
    /// process.
    ///
    /// What the initialiser creates or binds there is found by the tasks on this thread, through [`worker`], and by
    /// nobody else. It is dropped on this thread when the thread ends.
    ///
    /// The initialiser stands there and may just `bind`; a task stands elsewhere, and has to ask there:
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
    ///     let connection = CONNECTION.get_at(&worker.lineage())?; // `CONNECTION.get()` would not find it
    ///     let mut connection = connection.lock().unwrap();
    ///     connection.queries += 1;
    ///     Ok::<_, heirloom::NotBound>(connection.queries)
    /// })?;
    /// assert_eq!(queries.join()??, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        Lineage(self.place().clone())
    }

    /// Makes the calling thread one of a pool's own.
    pub(crate) fn attach(namespace: Namespace, index: usize, owner: WeakNodeRef, below: WeakNodeRef) {
        let thread = std::thread::current();
        let worker = Worker { namespace, index, thread, owner, below, node: OnceLock::new() };
        let _ = MINE.try_with(|mine| *mine.borrow_mut() = Some(WorkerCtx(Arc::new(worker))));
    }

    /// The calling thread is no pool's any more. Drops the values bound to its node, which is user code.
    pub(crate) fn detach() {
        let Some(ctx) = MINE.try_with(|mine| mine.borrow_mut().take()).ok().flatten() else { return };
        if let Some(place) = ctx.0.node.get() {
            // Code in the destructors of the thread's locals stands at the process, instead of a second node of the thread.
            mem::forget(current::enter_as_thread(NodeRef::PROCESS, LazyNode::Nothing));
            place.node().end_worker();
        }
        swallow_drop(ctx);
    }

    /// Enters the thread's node.
    pub(crate) fn enter(&self) -> ExitOnDrop {
        ExitOnDrop(Some(current::enter(self.place().clone(), LazyNode::Nothing)))
    }

    fn place(&self) -> &NodeRef {
        self.0.node.get_or_init(|| {
            let parent = self.0.below.upgrade().unwrap_or(NodeRef::PROCESS);
            let name = self.0.thread.name().map(|name| name.to_string().into());
            Node::new(&parent, name, Role::Thread(self.0.thread.id())).into()
        })
    }

    /// The node that owns the pool, which is why this thread exists; `None` when it has ended. The thread does not keep
    /// it alive.
    #[must_use]
    pub fn started_by(&self) -> Option<Lineage> {
        self.0.owner.upgrade().map(Lineage)
    }

    /// The thread's number in the pool, from 0, as in its name. A thread that comes after another has ended may get its
    /// number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// The name of the manager whose pool this is.
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

/// The dedicated pool's thread that the calling code runs on: from a task there, or the initialiser. `None` on every
/// other thread, also on borrowed ones, which work for another pool the next moment: nothing of a pool's can be kept on
/// them.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let render = scope.create("render");
/// // A helper pool for each thread, found by the tasks that run on it.
/// let config = PoolConfig::dedicated(2).on_worker_start(|worker| {
///     worker.lineage().create("decode").start(PoolConfig::leased(1))
/// });
/// render.start(config)?;
/// let at = render.submit(|| {
///     let worker = heirloom::worker().expect("a dedicated pool's thread");
///     worker.lineage().get("decode").map(|pool| (worker.index(), pool.is_running()))
/// })?;
/// assert_eq!(at.join()??, (0, true));
/// assert!(heirloom::worker().is_none()); // not here
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn worker() -> Option<WorkerCtx> {
    MINE.try_with(|mine| mine.borrow().clone()).ok().flatten()
}
