//! [`StatefulManager`]: tasks that are lent the state of their worker, checked by the compiler.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::error::{Error, SubmitError, SubmitErrorKind};
use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::pool::config::worker_state::StateType;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_meta::As;
use crate::pool::handle::submit;
use crate::pool::handle::task::TaskHandle;
use crate::pool::kinds::dedicated::state;
use crate::registry::manager::PoolManager;
use crate::sync::os::{Arc, Ordering};
use crate::wait::park;

/// One start of a manager whose workers each have an `S`; made by [`PoolManager::with_state`].
///
/// Dropping it does nothing while the manager's node or another handle lives. Its tasks have the type, if any, of the
/// handle that made it ([`PoolManager::of_type`]).
///
/// It is bound to its start: after the manager was stopped each submit is refused as `Closed`, also when the manager was
/// started again.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let words = scope.create("words");
/// words.start(PoolConfig::dedicated(1).worker_state(|| Ok::<_, std::io::Error>(Vec::<String>::new())))?;
///
/// let words = words.with_state::<Vec<String>>()?;
/// words.submit(|words| words.push("heirloom".into()))?.join()?; // the closure's argument is known: `&mut Vec<String>`
/// assert_eq!(words.submit(|words| words.len())?.join()?, 1);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct StatefulManager<S> {
    manager: PoolManager,
    pub(super) pool: Arc<Pool>,
    task_type: Option<TaskType>,
    state: PhantomData<fn(&mut S)>,
}

impl PoolManager {
    /// Submits a task that is lent the state of its worker. Never blocks.
    ///
    /// [`PoolConfig::worker_state`](crate::PoolConfig::worker_state) makes the state. While the task runs no other task
    /// has it, not even one that the task submits or runs in place. In all else this is [`submit`](Self::submit).
    ///
    /// A hook ([`on_cancel`](crate::on_cancel())) ends a statement that runs when the request is cancelled. The hook is
    /// taken back before the next task has the connection.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    /// # use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
    /// # struct Connection(Arc<AtomicBool>);
    /// # struct Interrupt(Arc<AtomicBool>);
    /// # impl Interrupt { fn interrupt(&self) { self.0.store(true, Ordering::SeqCst) } }
    /// # impl Connection {
    /// #     fn open() -> std::io::Result<Self> { Ok(Self(Default::default())) }
    /// #     fn interrupt_handle(&self) -> Interrupt { Interrupt(Arc::clone(&self.0)) }
    /// #     fn execute(&mut self, _: &str) -> Result<u64, &'static str> {
    /// #         if self.0.swap(false, Ordering::SeqCst) { Err("interrupted") } else { Ok(7) }
    /// #     }
    /// # }
    ///
    /// let scope = Scope::new("doc");
    /// let db = scope.create("db");
    /// db.start(PoolConfig::dedicated(2).worker_state(Connection::open))?;
    /// let rows = db.submit_with_state(|connection: &mut Connection| {
    ///     let handle = connection.interrupt_handle();
    ///     let _interrupts = heirloom::on_cancel(move || handle.interrupt());
    ///     connection.execute("update report set read = true")
    /// })?;
    /// assert_eq!(rows.join()?, Ok(7));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`WrongWorkerState`](crate::SubmitErrorKind::WrongWorkerState) when the workers have no `S`; otherwise as
    /// [`submit`](Self::submit).
    pub fn submit_with_state<S, F, T>(&self, f: F) -> Result<TaskHandle<T>, Error>
    where
        S: 'static,
        F: FnOnce(&mut S) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.with_state()?.submit(f)
    }

    /// Returns a handle to this start whose tasks are lent an `S`, the state of their worker.
    ///
    /// Checks the type once, here; the compiler checks each submit.
    ///
    /// # Errors
    /// [`WrongWorkerState`](crate::SubmitErrorKind::WrongWorkerState) when the workers have no `S`;
    /// [`NotStarted`](crate::SubmitErrorKind::NotStarted).
    pub fn with_state<S: 'static>(&self) -> Result<StatefulManager<S>, Error> {
        self.stateful(None)
    }

    pub(super) fn stateful<S: 'static>(&self, task_type: Option<TaskType>) -> Result<StatefulManager<S>, Error> {
        let pool = self.started()?;
        check_state(&pool, StateType::of::<S>())?;
        Ok(StatefulManager { manager: self.clone(), pool, task_type, state: PhantomData })
    }
}

impl<S: 'static> StatefulManager<S> {
    pub(super) fn stateful(&self) -> As {
        As { task_type: self.task_type.clone(), stateful: true, ..As::default() }
    }

    /// As [`PoolManager::submit_with_state`]. Never blocks.
    ///
    /// # Errors
    /// As [`PoolManager::submit`].
    pub fn submit<F, T>(&self, f: F) -> Result<TaskHandle<T>, Error>
    where
        F: FnOnce(&mut S) -> T + Send + 'static,
        T: Send + 'static,
    {
        let submitted = submit::submit_static(&self.pool, self.stateful(), lent(f));
        submitted.map_err(|refused| self.manager.explain(refused.reason))
    }

    /// As [`PoolManager::submit_timeout`], but a refusal drops the closure.
    ///
    /// # Errors
    /// As [`PoolManager::submit_timeout`].
    pub fn submit_timeout<F, T>(&self, f: F, d: Duration) -> Result<TaskHandle<T>, Error>
    where
        F: FnOnce(&mut S) -> T + Send + 'static,
        T: Send + 'static,
    {
        let submitted = submit::submit_waiting(&self.pool, self.stateful(), lent(f), park::after(d));
        submitted.map_err(|refused| self.manager.explain(refused.reason))
    }

    /// As [`PoolManager::submit_async`], but a refusal drops the closure.
    ///
    /// # Errors
    /// As [`PoolManager::submit`].
    pub async fn submit_async<F, T>(&self, f: F) -> Result<TaskHandle<T>, Error>
    where
        F: FnOnce(&mut S) -> T + Send + 'static,
        T: Send + 'static,
    {
        let submitted = submit::submit_async(&self.pool, self.stateful(), lent(f)).await;
        submitted.map_err(|refused| self.manager.explain(refused.reason))
    }

    /// Returns the manager, for every other verb.
    #[must_use]
    pub fn manager(&self) -> &PoolManager {
        &self.manager
    }

    /// Returns the manager's name.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        self.manager.namespace()
    }
}

/// The body of a task that is lent the state. The pool has states of this type: `with_state` has checked it.
pub(super) fn lent<S: 'static, T>(f: impl FnOnce(&mut S) -> T) -> impl FnOnce() -> T {
    move || state::with(f)
}

impl<S> Clone for StatefulManager<S> {
    fn clone(&self) -> Self {
        Self {
            manager: self.manager.clone(),
            pool: Arc::clone(&self.pool),
            task_type: self.task_type.clone(),
            state: PhantomData,
        }
    }
}

impl<S> fmt::Debug for StatefulManager<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatefulManager<{}>({:?})", std::any::type_name::<S>(), self.manager)
    }
}

/// Checks that tasks may use a worker's state of this type.
///
/// # Errors
/// The type of state that the workers have instead.
fn check_state(pool: &Pool, wanted: StateType) -> Result<(), Error> {
    let has = pool.kind.state_type();
    if has == Some(wanted) {
        return Ok(());
    }
    pool.cold().refused.fetch_add(1, Ordering::Relaxed);
    let kind = SubmitErrorKind::WrongWorkerState { wanted: wanted.name, has: has.map(|has| has.name) };
    Err(SubmitError::new(&pool.namespace, kind).into())
}
