//! Futures and jobs on a tokio runtime: [`Portal`] for tasks of pools, [`spawn`](spawn()) for the runtime's own code.

mod handle;
mod join_set;
mod outcome;
mod signal;
mod spawn;

use std::fmt;
use std::future::Future;

use ::tokio::runtime::{Handle, Id};

use crate::error::{Error, PortalError};
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
pub use self::signal::terminated;
pub use self::spawn::{SpawnHandle, spawn, spawn_blocking};

static PORTAL: Heirloom<Portal> = Heirloom::new("portal");

/// Runs futures on a tokio runtime for code elsewhere, for example for a task of a pool. Dropping it changes nothing.
///
/// Bound in the tree, it is found with [`portal`] at every node below. It keeps no runtime running, and does not delay its
/// shutdown. It keeps a little of the runtime's memory (a tokio [`Handle`]), and the file descriptors of a runtime with IO
/// (four on Linux). Once the runtime is shut down, its methods return [`NotRunning`](PortalError::NotRunning), also to
/// joiners that wait at that moment, as soon as the runtime has dropped their future. On a `current_thread` runtime
/// futures run while a thread is in its `block_on`.
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
///         let seven = answer.join()?; // releases the task's permit meanwhile
///         heirloom::portal()?.block_on(async move { seven }) // both in one
///     })
/// })?;
/// assert_eq!(task.join()??, Ok(7));
///
/// drop(runtime);
/// let late = server.run(|| heirloom::portal()?.block_on(async {}));
/// assert_eq!(late.unwrap_err().kind(), heirloom::ErrorKind::NoRuntime);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Portal {
    handle: Handle,
    /// The generation of the process that has the runtime's threads.
    generation: u64,
}

/// Returns the nearest portal that is bound here or above. Costs a look-up of a value.
///
/// # Errors
/// [`NotRunning`](PortalError::NotRunning): there is none.
pub fn portal() -> Result<Arc<Portal>, Error> {
    PORTAL.get().map_err(|_| PortalError::not_running().into())
}

impl PortalError {
    /// The error at the current node.
    fn not_running() -> Self {
        Self::NotRunning { place: Lineage(current::nearest()).to_string() }
    }
}

impl Portal {
    /// Returns a portal to that runtime.
    #[must_use]
    pub fn new(runtime: &Handle) -> Self {
        Self::into(runtime.clone())
    }

    /// Returns a portal to the runtime that the calling code runs in.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// runtime.block_on(async { // such as a server's `main`
    ///     heirloom::Portal::current()?.bind_at(&heirloom::Lineage::process())
    /// })?;
    /// assert!(heirloom::portal().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotRunning`](PortalError::NotRunning): the calling code runs in none.
    pub fn current() -> Result<Self, Error> {
        let handle = Handle::try_current().map_err(|_| PortalError::not_running())?;
        Ok(Self::into(handle))
    }

    fn into(handle: Handle) -> Self {
        fork::arm();
        Self { handle, generation: fork::generation() }
    }

    /// Binds the portal at the current node, where and below which [`portal`] finds it.
    ///
    /// The binding lasts until another portal is bound there or the node ends. One portal may be bound at several nodes.
    ///
    /// # Errors
    /// [`OwnerGone`](crate::BindError::OwnerGone) in a scope that has ended, [`NoPlace`](crate::BindError::NoPlace) in a runtime's future
    /// that has no node of its own.
    pub fn bind(&self) -> Result<(), Error> {
        PORTAL.bind(self.clone()).map(drop)
    }

    /// As [`bind`](Self::bind), at another node.
    ///
    /// # Errors
    /// [`OwnerGone`](crate::BindError::OwnerGone) at a scope that has ended.
    pub fn bind_at(&self, at: &Lineage) -> Result<(), Error> {
        PORTAL.at(at).bind(self.clone()).map(drop)
    }

    /// Removes the portal that was bound at that very node. Returns true when there was one.
    pub fn unbind_at(at: &Lineage) -> bool {
        PORTAL.at(at).unbind().is_some()
    }

    /// Returns tokio's id of the runtime.
    #[must_use]
    pub fn runtime_id(&self) -> Id {
        self.handle.id()
    }

    /// Runs a future on the runtime. Does not block.
    ///
    /// Make timers, sockets and other values that need the runtime inside of the future. The future stands at the current
    /// node on every poll, and in the current `tracing` span, so it finds the caller's managers and values. It is dropped
    /// there, as cancelled, when that node is cancelled.
    ///
    /// A runtime that has been shut down drops the future, and the handle returns
    /// [`NotRunning`](PortalError::NotRunning). A scope cancels such a future as it cancels a task, but does not count it,
    /// so the scope's end does not wait for it.
    pub fn spawn<F>(&self, future: F) -> PortalHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let workers = self.handle.metrics().num_workers();
        let owed = Obligation::by(Obligor::Runtime { id: runtime::id(&self.handle), workers });
        let fulfil = FulfilOnDrop(Arc::clone(&owed));
        let task = async move {
            // Dropped after the future, also when the runtime drops both.
            let _fulfil = fulfil;
            future.await
        };
        PortalHandle::new(spawn::launch(&self.handle, Work::uncounted(), task), self.generation, owed)
    }

    /// Runs a future on the runtime, as [`spawn`](Self::spawn) does, and blocks until it has ended.
    ///
    /// In a pool's task this releases the task's permit meanwhile, where its pool releases permits. So in a work-stealing
    /// or a local pool the future must not wait for another task of that pool.
    ///
    /// # Errors
    /// [`WouldDeadlock`](PortalError::WouldDeadlock) where all of the runtime's workers wait, directly or through other
    /// waits, for the caller: the future is dropped then. The same, before the future is spawned, on a thread that runs a
    /// future of a tokio runtime; `spawn_blocking` and `block_in_place` are fine. (Where tokio's budget is lifted, as in
    /// `tokio::task::unconstrained`, only a panic of tokio's tells. It is caught here, but the panic hook reports it.)
    /// [`Error::Cancelled`] as soon as the calling task or thread is cancelled.
    /// [`NotRunning`](PortalError::NotRunning), also when the runtime is shut down meanwhile.
    /// A [`JoinError`](crate::JoinError) when the future panicked.
    pub fn block_on<F>(&self, future: F) -> Result<F::Output, Error>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if runtime::runs_a_future() {
            return Err(PortalError::WouldDeadlock { circle: None }.into());
        }
        crate::cancel::checkpoint()?;
        joined(self.spawn(future), Some(CancelListener::new()))
    }
}

/// Fulfils the runtime's obligation when it is dropped, since the future has ended then.
struct FulfilOnDrop(Arc<Obligation>);

impl Drop for FulfilOnDrop {
    fn drop(&mut self) {
        self.0.fulfil();
    }
}

impl fmt::Debug for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Portal").field("runtime", &self.runtime_id()).finish()
    }
}
