//! Into a tokio runtime: [`Portal`] from a pool's tasks, [`spawn`](spawn()) and its kin from the runtime's own code.

mod handle;
mod join_set;
mod outcome;
mod spawn;

use std::fmt;
use std::future::Future;

use ::tokio::runtime::{Handle, Id};

use crate::error::{BindError, PortalError};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::work::Work;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::runtime;
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::value::heirloom::Heirloom;
use crate::wait::graph::{Obligation, Obligor};

pub use self::handle::PortalHandle;
use self::handle::joined;
pub use self::join_set::JoinSet;
pub use self::spawn::{SpawnHandle, spawn, spawn_blocking};

static PORTAL: Heirloom<Portal> = Heirloom::new("portal");

/// A way into a tokio runtime for code that runs elsewhere: a task of a pool runs a future on the server's runtime, and
/// waits for it or not. Dropping it changes nothing.
///
/// Bound in the tree, it is found with [`portal`] from everything below. It keeps no runtime running, and does not
/// delay its shutdown; it keeps a little of its memory (a tokio [`Handle`]), and of one with IO the file descriptors
/// (four on Linux). Once the runtime is shut down, whatever is asked of it is [`NotRunning`](PortalError::NotRunning),
/// also for those who wait at that moment, as soon as the runtime has dropped their future. On a `current_thread`
/// runtime futures run while somebody is in its `block_on`.
///
/// ```
/// use heirloom::{PoolConfig, Portal, Scope};
/// use tokio::sync::oneshot;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// let server = Scope::new("server");
/// Portal::new(runtime.handle()).bind_at(&server)?;
/// let work = server.create("work");
/// work.start(PoolConfig::leased(2))?;
///
/// let task = server.run(|| {
///     work.submit(|| {
///         let (asks, asked) = oneshot::channel();
///         let answer = heirloom::portal()?.spawn(async { asked.await }); // goes on by itself
///         let _ = asks.send(7);
///         let seven = answer.join()?; // gives the task's place in its pool released
///         heirloom::portal()?.block_on(async move { Ok::<_, heirloom::PortalError>(seven) })? // both in one
///     })
/// })?;
/// assert_eq!(task.join()??, Ok(7));
///
/// drop(runtime);
/// let late = server.run(|| heirloom::portal()?.block_on(async {}));
/// assert!(matches!(late, Err(heirloom::PortalError::NotRunning { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Portal {
    handle: Handle,
    /// Of the process whose threads the runtime has.
    generation: u64,
}

/// The nearest portal that is bound here or above.
///
/// # Errors
/// [`NotRunning`](PortalError::NotRunning): there is none.
pub fn portal() -> Result<Arc<Portal>, PortalError> {
    PORTAL.get().map_err(|_| PortalError::not_running())
}

impl PortalError {
    /// Asked at the current node.
    fn not_running() -> Self {
        Self::NotRunning { place: Lineage(current::nearest()).to_string() }
    }
}

impl Portal {
    /// One into that runtime.
    #[must_use]
    pub fn new(runtime: &Handle) -> Self {
        Self::into(runtime.clone())
    }

    /// One into the runtime that the code runs in.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// runtime.block_on(async { // such as a server's `main`
    ///     heirloom::Portal::current()?.bind_at(&heirloom::Lineage::process())
    ///         .map_err(Box::<dyn std::error::Error>::from)
    /// })?;
    /// assert!(heirloom::portal().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotRunning`](PortalError::NotRunning): it runs in none.
    pub fn current() -> Result<Self, PortalError> {
        let handle = Handle::try_current().map_err(|_| PortalError::not_running())?;
        Ok(Self::into(handle))
    }

    fn into(handle: Handle) -> Self {
        fork::arm();
        Self { handle, generation: fork::generation() }
    }

    /// Has [`portal`] find it at the current place and below, until another is bound here or the place ends. It may be
    /// bound at more places than one.
    ///
    /// # Errors
    /// [`OwnerGone`](BindError::OwnerGone) in a scope that has ended, [`NoPlace`](BindError::NoPlace) in a future of a
    /// runtime that has no place.
    pub fn bind(&self) -> Result<(), BindError> {
        PORTAL.bind(self.clone()).map(drop)
    }

    /// As [`bind`](Self::bind), at another place.
    ///
    /// # Errors
    /// [`OwnerGone`](BindError::OwnerGone) at a scope that has ended.
    pub fn bind_at(&self, at: &Lineage) -> Result<(), BindError> {
        PORTAL.at(at).bind(self.clone()).map(drop)
    }

    /// Takes away the portal that was bound at that very place. True when there was one.
    pub fn unbind_at(at: &Lineage) -> bool {
        PORTAL.at(at).unbind().is_some()
    }

    /// The runtime's id, as tokio has it.
    #[must_use]
    pub fn runtime_id(&self) -> Id {
        self.handle.id()
    }

    /// Runs a future on the runtime. What needs the runtime, as timers and sockets do, is made inside of the future. It
    /// stands at the current place on every poll, and in the current `tracing` span, so it finds what the caller finds;
    /// and it is dropped there, as cancelled, when that place is asked to stop.
    ///
    /// Never fails: a runtime that has been shut down drops the future, and the handle says so. A scope that ends asks
    /// such a future to stop as it asks a task, but does not count it, so it does not wait for it either.
    pub fn spawn<F>(&self, future: F) -> PortalHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let workers = self.handle.metrics().num_workers();
        let owed = Obligation::by(Obligor::Runtime { id: runtime::id(&self.handle), workers });
        let paid = Paid(Arc::clone(&owed));
        let task = async move {
            // Dropped after the future, also when the runtime drops both.
            let _paid = paid;
            future.await
        };
        PortalHandle::new(spawn::launch(&self.handle, Work::uncounted(), task), self.generation, owed)
    }

    /// Runs a future on the runtime, as [`spawn`](Self::spawn) does, and waits for it. In a pool's task this gives the
    /// task's place away meanwhile, where its pool does that; so in a work-stealing or a local pool it must not wait
    /// for another task of that pool.
    ///
    /// # Errors
    /// [`WouldDeadlock`](PortalError::WouldDeadlock) where all of the runtime's workers wait, directly or by others, for
    /// what the caller owes: the future is dropped then. The same, before anything is run, on a thread that runs a future
    /// of a tokio runtime; in `spawn_blocking` and `block_in_place` it is fine. (Where tokio's budget is lifted, as in
    /// `tokio::task::unconstrained`, it takes a panic of tokio's to find out, which is caught here, but which the panic
    /// hook reports.) [`Cancelled`](PortalError::Cancelled) as soon as the calling task or thread is asked to stop.
    /// [`NotRunning`](PortalError::NotRunning), also when the runtime is shut down meanwhile.
    /// [`Panicked`](PortalError::Panicked).
    pub fn block_on<F>(&self, future: F) -> Result<F::Output, PortalError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if runtime::runs_a_future() {
            return Err(PortalError::WouldDeadlock { circle: None });
        }
        crate::cancel::checkpoint()?;
        joined(self.spawn(future), Some(CancelListener::new()))
    }
}

/// The future has ended when this is dropped.
struct Paid(Arc<Obligation>);

impl Drop for Paid {
    fn drop(&mut self) {
        self.0.fulfil();
    }
}

impl fmt::Debug for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Portal").field("runtime", &self.runtime_id()).finish()
    }
}
