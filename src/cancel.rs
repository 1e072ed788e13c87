//! Cancellation from inside: code that checks for a cancel of its own, or waits for one.
//!
//! A cancel request belongs to a node and holds for everything below it. It stays until the cancelled task or thread
//! acknowledges it ([`acknowledge_cancel`]), so the order and the number of checks do not matter. A task that is no
//! node of the tree yet keeps its own request in its state; tasks that it starts then stand below its submitter.

pub(crate) mod deadline;
pub(crate) mod hook;

use std::fmt;
use std::task::Waker;
use std::time::Duration;

use crate::cancel::hook::{CancelSource, Hook};
use crate::error::{CancelReason, Error};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::{ExitOnDrop, Lineage};
use crate::lineage::node::{Node, NodeRef};
use crate::lineage::watch::Watch;
use crate::lineage::{thread_state, work};
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::release::{PermitsReleased, block_on_wakers};
use crate::pool::context::frame::Frame;
use crate::pool::context::interrupted;
use crate::pool::context::thread::{is_shielded, shield, with_own};
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::timer::deadlines::{Owner, deadlines};
use crate::wait::park;

/// Returns whether the running task or thread, the current node or a node above it was cancelled.
///
/// A request is made by [`TaskHandle::cancel`](crate::TaskHandle::cancel), [`Scope::cancel`](crate::Scope::cancel)
/// (also by its drop), [`PoolManager::cancel`](crate::PoolManager::cancel), [`Lineage::cancel`] or a thread's
/// [`JoinHandle::cancel`](crate::thread::JoinHandle::cancel). Costs a few nanoseconds, and while any node of the
/// process is cancelled about one more for each node above; takes no lock, and makes no node. Outside of any task,
/// thread of this crate or scope it is false.
///
/// ```
/// use heirloom::Scope;
///
/// let request = Scope::new("request 7");
/// let _at = request.enter();
/// assert!(!heirloom::is_cancelled());
/// request.cancel();
/// assert!(heirloom::is_cancelled());
/// ```
#[must_use]
#[inline]
pub fn is_cancelled() -> bool {
    let asked = interrupted::cancel_requested();
    if asked {
        interrupted::note_interrupt();
    }
    asked
}

/// As [`is_cancelled`], for `?`: a point in a long computation at which a cancel can end it.
///
/// ```
/// use heirloom::{Cancelled, PoolConfig, Scope};
///
/// fn sum(numbers: &[u64]) -> Result<u64, heirloom::Error> {
///     let mut sum = 0;
///     for chunk in numbers.chunks(1000) {
///         heirloom::checkpoint()?;
///         sum += chunk.iter().sum::<u64>();
///     }
///     Ok(sum)
/// }
///
/// let scope = Scope::new("doc");
/// let work = scope.create("work");
/// work.start(PoolConfig::leased(1))?;
/// let task = work.submit(|| sum(&[1; 5000]))?;
/// assert_eq!(task.join()??, 5000);
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// # Errors
/// [`Cancelled`](crate::Cancelled), each time until the request is acknowledged.
#[inline]
pub fn checkpoint() -> Result<(), Error> {
    if is_cancelled() { Err(interrupted::cause().into()) } else { Ok(()) }
}

/// Sleeps for `d`, or until the running task or thread, or a node above it, is cancelled.
///
/// A task that sleeps releases its permit. On a thread that cannot be cancelled, such as the main thread or one that
/// this crate did not start and that is no node, it is a plain sleep.
///
/// ```
/// use std::time::Duration;
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let work = scope.create("work");
/// work.start(PoolConfig::leased(1))?;
/// let (starts, has_started) = std::sync::mpsc::channel();
/// let task = work.submit(move || {
///     starts.send(()).unwrap();
///     heirloom::sleep(Duration::from_secs(3600))
/// })?;
/// has_started.recv().unwrap();
/// task.cancel();
/// assert!(task.join()?.is_err()); // it woke at once
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// # Errors
/// [`Cancelled`](crate::Cancelled), at once or when the cancel comes.
pub fn sleep(d: Duration) -> Result<(), Error> {
    checkpoint()?;
    if !current::stands() {
        std::thread::sleep(d);
        return Ok(());
    }
    // The task is a node now, so a cancel of the task notifies the node.
    let mut cancel_listener = CancelListener::new();
    let deadline = park::after(d);
    let _away = PermitsReleased::begin_until(deadline);
    match park::block_until(deadline, |waker| cancel_listener.poll(waker, CancelListener::cancel_requested)) {
        true => Err(interrupted::cancelled().into()),
        false => Ok(()),
    }
}

/// Acknowledges the cancel of the running task, or of this thread if it runs none. Returns whether there was one.
///
/// The task or thread goes on, and a later cancel is a new one. Only its own request is withdrawn. A request of a node
/// above (a scope, the whole pool, the submitter) stays, and so does that of a scope which the code has entered. Code
/// that is not itself the cancelled task or thread (an initialiser of a value, the drop of a task's result)
/// acknowledges nothing.
///
/// ```
/// use std::sync::mpsc;
/// use heirloom::{CancelOutcome, PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let work = scope.create("work");
/// work.start(PoolConfig::leased(1))?;
/// let (declines, acknowledged) = mpsc::channel();
/// let save = work.submit(move || {
///     while !heirloom::acknowledge_cancel() {
///         std::thread::yield_now(); // cancelled at the wrong moment
///     }
///     declines.send(()).unwrap();
///     heirloom::sleep(std::time::Duration::from_secs(3600)) // a cancel ends this
/// })?;
/// # while save.status() == heirloom::TaskStatus::Queued { std::thread::yield_now() }
/// save.cancel();
/// acknowledged.recv().unwrap();
/// assert_eq!(save.cancel(), CancelOutcome::Requested); // a new request
/// assert!(save.join()?.is_err());
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn acknowledge_cancel() -> bool {
    with_own(acknowledge_in)
}

fn acknowledge_in(frame: Option<&Frame<'_>>) -> bool {
    if is_shielded() || frame.is_some_and(Frame::is_teardown) {
        // An initialiser runs for other callers too, and a task's teardown is not the thread's: neither owns the
        // request.
        return false;
    }
    // On a work-stealing pool's thread the code may be a piece of another task.
    let frame = frame.filter(|frame| !frame.steals());
    match frame.and_then(Frame::task) {
        Some(task) => {
            let own = task.state().acknowledge().is_some();
            let node = task.node().is_some_and(|place| acknowledge_at(place.node(), frame));
            if own || node {
                frame.into_iter().for_each(Frame::acknowledged);
                // The task's own deadlines do not come again. A task that is no node has none of a node.
                deadlines().acknowledge(Owner::Task(task.id()));
                task.node().into_iter().for_each(|place| deadlines().acknowledge(Owner::Node(place.node().id())));
            }
            own || node
        }
        None => {
            let own = work::with_own(|work| work.acknowledge())
                .unwrap_or_else(|| current::has_its_thread() && thread_state::acknowledge());
            let node = current::own_thread().is_some_and(|place| place.node().acknowledge());
            own || node
        }
    }
}

/// Acknowledges at a task's node. A request that comes from the task's pool stays: the task cannot acknowledge that
/// one.
fn acknowledge_at(node: &Node, frame: Option<&Frame<'_>>) -> bool {
    let by_pool = || frame.is_some_and(|frame| frame.pool().is_cancelled());
    if by_pool() || !node.acknowledge() {
        return false;
    }
    // A pool marks itself cancelled first, and cancels its tasks' nodes then: the withdrawn request may be the pool's.
    if by_pool() {
        node.cancel(CancelReason::Request);
    }
    true
}

/// Resolves when the node that is current at this call, or one above it, is cancelled. For `select!`, on any runtime.
///
/// ```
/// use heirloom::{FutureExt, Scope};
///
/// let request = Scope::new("request 7");
/// let at = request.lineage().clone();
/// let wait = async { heirloom::cancelled().await }.in_lineage(&at);
/// drop(request); // the client is gone
/// futures::executor::block_on(wait);
/// ```
pub fn cancelled() -> impl Future<Output = ()> + Send + use<> {
    until_cancelled(current::here())
}

async fn until_cancelled(place: NodeRef) {
    let mut watch = Watch::new(&place);
    std::future::poll_fn(|cx| match watch.poll(cx.waker(), |node| node.is_cancelled()) {
        true => std::task::Poll::Ready(()),
        false => std::task::Poll::Pending,
    })
    .await;
    note_cancel_of(&place);
}

/// Notes an interrupt of the calling code, if it stands at the cancelled node or below it.
fn note_cancel_of(place: &NodeRef) {
    if current::nearest_node(&current::pin()).is_at_or_below(place.node()) {
        interrupted::note_if_cancelled();
    }
}

impl Lineage {
    /// Returns whether this node, or one above it, was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let asked = self.0.node().is_cancelled();
        if asked {
            note_cancel_of(&self.0);
        }
        asked
    }

    /// Resolves when this node, or one above it, is cancelled; at once if it was.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        until_cancelled(self.0.clone())
    }

    /// As [`on_cancel`](crate::on_cancel()), for a cancel of this node or of one above it.
    pub fn on_cancel(&self, f: impl FnOnce() + Send + 'static) -> OnCancel {
        OnCancel::arm(AtNode(Watch::new(&self.0)), self.0.clone(), f)
    }
}

/// Runs `f` once, as soon as the running task or thread, or a node above it, is cancelled.
///
/// It serves waits that heirloom does not see and that can be ended from outside: a database's statement
/// (`Connection::interrupt`), a child process, a socket. If the cancel came earlier, `f` runs here before this returns.
/// Dropping the guard withdraws `f`.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
/// use std::sync::mpsc;
///
/// let scope = Scope::new("request 7");
/// let db = scope.create("db");
/// db.start(PoolConfig::leased(1))?;
///
/// let (begins, has_begun) = mpsc::channel();
/// let query = scope.run(|| db.submit(move || {
///     let (interrupt, answer) = mpsc::channel(); // stands for a statement and the handle that interrupts it
///     let _interrupts = heirloom::on_cancel(move || drop(interrupt.send("interrupted")));
///     begins.send(()).unwrap();
///     answer.recv()
/// }))?;
/// has_begun.recv().unwrap();
/// scope.cancel(); // the client is gone: the statement ends now
/// assert_eq!(query.join()?.unwrap(), "interrupted");
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// # Limits of `f`
/// `f` runs on the cancelling thread, within its call of `cancel` (or its drop of the scope). It stands at the node at
/// which this was called, and no lock of heirloom's is held, so it may submit, cancel and drop. It must not block: the
/// canceller waits for it, and so does the drop of the guard. A panic in it is swallowed.
///
/// It runs for the requests that [`is_cancelled`] sees: for the first one that is not acknowledged before `f` begins,
/// and never again.
///
/// # Cost
/// The running task becomes a node of the tree. Making and dropping the guard takes one or two microseconds. While the
/// guard lives, each cancel at or directly below the scopes above makes one more check, and the node lives too.
pub fn on_cancel(f: impl FnOnce() + Send + 'static) -> OnCancel {
    let cancel_listener = CancelListener::new();
    OnCancel::arm(cancel_listener, current::nearest(), f)
}

/// The guard of code that runs at a cancel; made by [`on_cancel`](crate::on_cancel()) and
/// [`Lineage::on_cancel`].
///
/// Dropping it withdraws the code. If the code runs on another thread at that moment, the drop blocks until it has
/// returned, so the code never interrupts the next work of the guard's owner. The code must not wait for the guard's
/// owner. A guard that is dropped by the code itself does not block.
#[must_use = "dropping it withdraws the code at once"]
pub struct OnCancel {
    hook: Arc<Hook<Box<dyn CancelSource>>>,
    generation: u64,
}

impl OnCancel {
    fn arm(source: impl CancelSource, at: NodeRef, f: impl FnOnce() + Send + 'static) -> Self {
        fork::arm();
        let generation = fork::generation();
        let hook = Hook::arm(Box::new(source) as _, move || {
            // A cancel of the canceller is none of the code's.
            let _shield = shield();
            let _at = ExitOnDrop(Some(current::enter(at, LazyNode::Nothing)));
            f();
        });
        Self { hook, generation }
    }
}

impl Drop for OnCancel {
    fn drop(&mut self) {
        let ran = self.hook.disarm(|over, is_over| {
            // In a fork's child the thread that ran it does not exist.
            if self.generation == fork::generation() {
                let _away = PermitsReleased::begin();
                block_on_wakers(over, None, is_over);
            }
        });
        if ran {
            // The code has ended some wait of the task's.
            interrupted::note_if_cancelled();
        }
    }
}

impl fmt::Debug for OnCancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnCancel")
    }
}

impl CancelSource for CancelListener {
    fn poll_cancel(&mut self, waker: &Waker) -> bool {
        self.poll(waker, CancelListener::cancel_requested)
    }
}

impl CancelSource for Box<dyn CancelSource> {
    fn poll_cancel(&mut self, waker: &Waker) -> bool {
        (**self).poll_cancel(waker)
    }
}

/// The cancels of a node and of the nodes above it.
struct AtNode(Watch);

impl CancelSource for AtNode {
    fn poll_cancel(&mut self, waker: &Waker) -> bool {
        self.0.poll(waker, Node::is_cancelled)
    }
}
