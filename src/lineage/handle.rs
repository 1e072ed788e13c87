//! [`Lineage`]: a handle to one node of the family tree.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::thread::ThreadId;

use crate::error::Cancelled;
use crate::lineage::current::{self, CurrentNode, EnterGuard, LazyNode};
use crate::lineage::display::Path;
use crate::lineage::node::{NodeKind, NodeRef, ScopeTrackers};
use crate::names::id::{NodeId, TaskId};

/// A handle to one node of the family tree: the process, a thread, a pool task or a scope.
///
/// A node lives as long as its own code runs, or a descendant lives, or a handle to it is held. Dropping a handle
/// ends this hold and has no other effect. Cloning costs one atomic increment. Two handles are equal when they name the
/// same node.
///
/// The methods that find managers ([`get`](Lineage::get), [`create`](Lineage::create), …) act at the handle's node; the
/// free functions of the same names act at the current node.
///
/// ```
/// let process = heirloom::Lineage::process();
/// let request = heirloom::Scope::new("request 7");
/// assert_eq!(request.ancestors().last(), Some(process));
/// ```
#[derive(Clone)]
pub struct Lineage(pub(crate) NodeRef);

impl Lineage {
    /// Returns the process: all code of the process-wide family finds the managers and values there.
    #[must_use]
    pub fn process() -> Self {
        Self(NodeRef::PROCESS)
    }

    /// Returns the node's id, which is never reused.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.0.node().id()
    }

    /// Returns the kind of code that stands at the node.
    #[must_use]
    pub fn kind(&self) -> NodeKind {
        self.0.node().kind()
    }

    /// Returns the name of the scope or the thread, if any.
    ///
    /// The name is as it was given. Errors and trees print it escaped and cut.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.node().name()
    }

    /// Returns the next node towards the process, or `None` at a root. It never changes.
    #[must_use]
    pub fn parent(&self) -> Option<Lineage> {
        self.0.node().parent_ref().map(Lineage)
    }

    /// Returns this node, its parent, and so on; the process comes last. Takes no lock.
    #[must_use]
    pub fn ancestors(&self) -> Ancestors {
        Ancestors { next: Some(self.clone()) }
    }

    /// Returns the node and those above it in words, for errors.
    pub(crate) fn words(&self) -> Path<'_> {
        Path(self.0.node())
    }

    /// Returns the root of the node's family: all code of the family finds the managers and values there.
    ///
    /// The root is the [process](Self::process), or the root of a family that [`Registry::new`](crate::Registry::new)
    /// made. The walk takes no lock and costs about a nanosecond for each node on the way.
    ///
    /// ```
    /// use heirloom::{Lineage, Registry, Scope};
    ///
    /// let request = Scope::new("request 7");
    /// assert_eq!(request.root(), Lineage::process());
    ///
    /// let family = Registry::new(); // such as a test's
    /// let request = Scope::new_in(&family.root(), "request 7");
    /// assert_eq!(request.run(|| heirloom::current().root()), family.root());
    /// ```
    #[must_use]
    pub fn root(&self) -> Lineage {
        Lineage(self.0.root())
    }

    /// Returns the innermost scope at or above this node, such as a request.
    ///
    /// ```
    /// use heirloom::{Scope, thread};
    ///
    /// let request = Scope::new("request 7");
    /// let seen = request.run(|| thread::spawn(|| heirloom::current().scope()))?;
    /// assert_eq!(seen.join()?.as_ref(), Some(request.lineage()));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn scope(&self) -> Option<Lineage> {
        self.0.innermost_scope().map(Lineage)
    }

    /// Returns the OS thread of a node that is a thread.
    #[must_use]
    pub fn thread_id(&self) -> Option<ThreadId> {
        self.0.node().thread_id()
    }

    /// Returns the id of the task of a node that is a task.
    #[must_use]
    pub fn task_id(&self) -> Option<TaskId> {
        self.0.node().task_id()
    }

    /// Makes this the current node until the returned guard is dropped. Counts one reference.
    ///
    /// Dropping guards out of order is allowed: the current node is always that of the newest guard still alive on
    /// this thread. The guard is not `Send`, so it cannot be held across an `.await` of a work-stealing runtime; use
    /// [`FutureExt::in_lineage`](crate::FutureExt::in_lineage) there. A leaked guard keeps its node alive until the
    /// thread ends.
    ///
    /// With the feature `tokio` the entered node is seen by the task of tokio's that entered it, at each of its polls,
    /// and by no other task that the thread polls meanwhile. heirloom cannot tell apart futures that take turns
    /// *within* one task, such as the branches of `join!` and `select!`, the futures of a `FuturesUnordered` and those
    /// that one `block_on` polls: the others see a guard that one of them holds across an `.await`. `in_lineage` around
    /// each of them keeps them apart, on every runtime.
    ///
    /// ```compile_fail,E0277
    /// let entered = heirloom::Lineage::process().enter();
    /// std::thread::spawn(move || drop(entered)); // `*const ()` cannot be sent between threads safely
    /// ```
    ///
    /// ```
    /// use heirloom::{Lineage, Scope};
    ///
    /// let request = Scope::new("request 7");
    /// {
    ///     let _at = request.enter();
    ///     assert_eq!(heirloom::current(), *request);
    /// } // left here
    /// assert_ne!(heirloom::current(), *request);
    /// ```
    pub fn enter(&self) -> Entered {
        Entered(current::enter(self.0.clone(), LazyNode::Nothing))
    }

    /// Runs `f` at this node and returns its value. The current node is restored afterwards, also when `f` panics.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let request = Scope::new("request 7");
    /// request.create("render").start(PoolConfig::leased(2))?;
    /// // A callback of foreign code runs at the request:
    /// let at = request.lineage().clone();
    /// let callback = move || at.run(|| heirloom::get("render").is_ok());
    /// assert!(std::thread::spawn(callback).join().unwrap());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        run_in(&self.0, LazyNode::Nothing, f)
    }

    /// Wraps a closure so that each call runs at this node, on whatever thread.
    ///
    /// It is for the iterators of rayon and the callbacks of a library. The caller's node is restored after each call,
    /// also when it panics.
    ///
    /// The returned closure is `Send`, `Sync` and `Clone` where `f` is. A call costs a few nanoseconds more, and counts
    /// nothing, so threads do not hinder one another. The closure brings no tracing span: take `let span =
    /// tracing::Span::current()` along, and call `span.in_scope(|| …)` inside. For a closure without an argument there
    /// is [`wrap_fn`]; for one that takes a reference of any lifetime (`filter`, say) use [`run`](Self::run) inside.
    ///
    /// ```
    /// # #[cfg(feature = "rayon")] {
    /// use heirloom::{PoolConfig, Scope};
    /// use rayon::prelude::*;
    ///
    /// let pool = heirloom::create("math"); // shared: its code stands here, not at the request
    /// pool.start(PoolConfig::work_stealing(2))?;
    /// let request = Scope::new("request 7");
    /// let at = request.lineage();
    /// let nodes: Vec<_> = pool.install(|| (0..100).into_par_iter().map(at.carry(|_| heirloom::current())).collect())?;
    /// assert!(nodes.iter().all(|node| node == at));
    /// # }
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn carry<A, R, F>(&self, f: F) -> impl Fn(A) -> R + use<A, R, F>
    where
        F: Fn(A) -> R,
    {
        let at = self.clone();
        move |input| at.run(|| f(input))
    }
}

/// Returns the innermost closed scope at or above the node, in words, and the request that closed it.
#[cold]
pub(crate) fn closed_scope(node: &NodeRef) -> (String, Option<Cancelled>) {
    let closed = |at: &Lineage| at.0.node().trackers().is_some_and(ScopeTrackers::is_closed);
    let scope = Lineage(node.clone()).ancestors().find(closed);
    (scope.map_or_else(|| String::from("a scope"), |scope| scope.to_string()), node.node().end_cause())
}

/// Leaves a node when it is dropped, and all entries that foreign code left above.
///
/// See [`EnterGuard::exit_to`].
pub(crate) struct ExitOnDrop(pub(crate) Option<EnterGuard>);

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        if let Some(guard) = self.0.take() {
            guard.exit_to();
        }
    }
}

impl PartialEq for Lineage {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Lineage {}

impl Hash for Lineage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.node(), f)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lineage({:?})", self.words())
    }
}

/// An iterator over a node and those above it; made by [`Lineage::ancestors`].
#[derive(Clone, Debug)]
pub struct Ancestors {
    next: Option<Lineage>,
}

impl Iterator for Ancestors {
    type Item = Lineage;

    fn next(&mut self) -> Option<Lineage> {
        let this = self.next.take()?;
        self.next = this.parent();
        Some(this)
    }
}

impl std::iter::FusedIterator for Ancestors {}

/// An entered node; made by [`Lineage::enter`]. Dropping it leaves the node.
#[must_use = "the node is left as soon as this is dropped"]
pub struct Entered(#[allow(dead_code, reason = "held for its drop")] EnterGuard);

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entered")
    }
}

/// Returns the current node.
///
/// **Code that has its thread for itself (`main`, a thread, a task) has a node of its own. Code that shares its thread
/// with other code, such as a future given to a runtime's `spawn`, stands at the process, and owns nothing until it is
/// given a node.**
///
/// So the current node is the process on the main thread, in a task the task, in another thread the thread, and after
/// [`Lineage::enter`] the entered node. The first call on a thread or in a task makes its node; until then the node
/// costs nothing. While a thread's locals are being destroyed the current node is the process.
///
/// # Code that shares its thread
///
/// heirloom sees that a thread is shared, with the feature `tokio`, in every future that tokio's `spawn`, `spawn_local`
/// or a `JoinSet` runs and in every `spawn_blocking` job; and, always, on a thread that
/// [`thread::mark_shared`](crate::thread::mark_shared) was called on. The future that tokio's `block_on` polls has its
/// thread for itself. In code that shares its thread, [`get`](crate::get()) finds the managers of the process, and
/// [`get_or_create`](crate::get_or_create()) makes a manager there, once for all. Such code cannot make anything that
/// one node would own: a manager made by [`create`](crate::create()) does not start
/// ([`NoPlace`](crate::StartErrorKind::NoPlace)), and [`Heirloom::bind`](crate::Heirloom::bind) binds nothing. A
/// [`Scope`](crate::Scope) that is opened there stands directly below the process.
///
/// Each of these gives such code a node: [`in_scope`](crate::FutureExt::in_scope) and
/// [`in_lineage`](crate::FutureExt::in_lineage) around the future, `heirloom::spawn` in place of the runtime's, and
/// [`Lineage::run`]. A node that one future enters is seen by that future on each of its polls, and by no other.
///
/// ```
/// use heirloom::{ErrorKind, FutureExt, Heirloom, Lineage, Scope};
///
/// static USER: Heirloom<&str> = Heirloom::new("user");
///
/// # #[cfg(feature = "tokio")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// runtime.block_on(async {
///     let lost = tokio::spawn(async { USER.bind("ann") }).await?;
///     assert_eq!(lost.unwrap_err().kind(), ErrorKind::NoPlace); // or the next future would find it
///     let kept = tokio::spawn(async { USER.bind("ann") }.in_scope(Scope::new("ann's request"))).await?;
///     assert_eq!(kept?, None);
///     let meant = tokio::spawn(async { USER.at(&Lineage::process()).bind("everyone") }).await?;
///     assert_eq!(meant?, None);
///     Ok(())
/// })
/// # }
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// ```
#[must_use]
pub fn current() -> Lineage {
    Lineage(current::here())
}

/// Wraps `f` so that it runs at the present current node, on whatever thread.
///
/// The returned closure brings the node alone, and no `tracing` span or subscriber.
///
/// ```
/// let request = heirloom::Scope::new("request");
/// let _at = request.enter();
/// let job = heirloom::wrap(heirloom::current);
/// assert_eq!(std::thread::spawn(job).join().unwrap(), *request);
/// ```
pub fn wrap<F, T>(f: F) -> impl FnOnce() -> T
where
    F: FnOnce() -> T,
{
    let at = CurrentNode::here();
    move || run_at(&at, f)
}

/// Wraps a closure that is called more than once. Otherwise as [`wrap`].
///
/// ```
/// let request = heirloom::Scope::new("request 7");
/// let on_event = request.run(|| heirloom::wrap_fn(heirloom::current));
/// let seen = std::thread::spawn(move || [on_event(), on_event()]).join().unwrap();
/// assert!(seen.iter().all(|node| *node == *request));
/// ```
pub fn wrap_fn<F, T>(f: F) -> impl Fn() -> T
where
    F: Fn() -> T,
{
    let at = CurrentNode::here();
    move || run_at(&at, &f)
}

/// Runs `f` at the node. The current node is restored afterwards, also when `f` panics.
pub(crate) fn run_at<T>(at: &CurrentNode, f: impl FnOnce() -> T) -> T {
    run_in(at.node(), at.lazy(), f)
}

/// [`run_at`] for a node that the caller keeps. Counts nothing. `lazy` is no task.
#[inline]
fn run_in<T>(node: &NodeRef, lazy: LazyNode, f: impl FnOnce() -> T) -> T {
    // SAFETY: the reference is borrowed for this call, at whose end the guard takes the entry off, also by a panic. There is
    // no pointer in `lazy`.
    let _entered = ExitOnDrop(Some(unsafe { current::enter_borrowed(node, lazy) }));
    f()
}
