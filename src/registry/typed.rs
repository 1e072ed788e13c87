//! [`TypedManager`]: a pool that takes one kind of task, checked by the compiler.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::error::{Error, Refused, UnknownTaskType};
use crate::names::namespace::Namespace;
use crate::names::task_type::{Task, TaskKind, TaskType};
use crate::pool::core::pool::Pool;
use crate::pool::handle::feed::ToPool;
use crate::pool::handle::map::Map;
use crate::pool::handle::scope::TaskScope;
use crate::pool::handle::task::TaskHandle;
use crate::pool::handle::{scope, submit};
use crate::registry::manager::PoolManager;
use crate::sync::os::Arc;
use crate::wait::park;

/// One start of a manager whose pool takes only `K`'s tasks; made by [`PoolManager::typed`].
///
/// It has the verbs of [`PoolManager`] that submit, each for a task that `K` made ([`TaskKind::task`]). So a module that
/// keeps `K` private hands the manager out and stays the only one that can submit. A clone costs two atomic increments.
/// Dropping it does nothing while the manager's node or another handle lives.
///
/// It is bound to its start: after the manager was stopped each submit is refused as `Closed`, also when the manager was
/// started again.
///
/// ```
/// use heirloom::{PoolConfig, Scope, TaskKind, TaskType};
///
/// struct Render; // private: no other module can make a task of this kind
/// impl TaskKind for Render {}
///
/// let scope = Scope::new("doc");
/// let manager = scope.create("render");
/// manager.start(PoolConfig::leased(2).task_type(TaskType::of::<Render>()))?;
/// let render = manager.typed::<Render>()?;
/// assert_eq!(render.submit(Render::task(|| 6 * 7))?.join()?, 42);
///
/// let lengths: Result<Vec<_>, _> = render.map(["<p>", "</p>"], Render::task(str::len))?.collect();
/// assert_eq!(lengths?, [3, 4]);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct TypedManager<K> {
    manager: PoolManager,
    pub(super) pool: Arc<Pool>,
    kind: PhantomData<fn() -> K>,
}

impl PoolManager {
    /// Returns a handle to this start that takes only `K`'s tasks, checked by the compiler.
    ///
    /// # Errors
    /// When the manager does not run, or runs with another task type than [`TaskType::of::<K>()`](TaskType::of).
    pub fn typed<K: TaskKind>(&self) -> Result<TypedManager<K>, Error> {
        let wanted = TaskType::of::<K>();
        let allowed = match self.running() {
            Some(pool) if pool.config.rare().task_type.as_ref() == Some(&wanted) => {
                let manager = Self::from_inner(Arc::clone(&self.inner));
                return Ok(TypedManager { manager, pool, kind: PhantomData });
            }
            running => running.and_then(|pool| pool.config.rare().task_type.clone()),
        };
        Err(UnknownTaskType { namespace: self.namespace().clone(), wanted, allowed }.into())
    }
}

impl<K: TaskKind> TypedManager<K> {
    /// The type that each task is submitted with.
    pub(super) fn kind() -> Option<TaskType> {
        Some(TaskType::of::<K>())
    }

    /// Submits a task of this kind. Never blocks.
    ///
    /// # Errors
    /// As [`PoolManager::submit`], but never for its type.
    pub fn submit<F, T>(&self, task: Task<K, F>) -> Result<TaskHandle<T>, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.try_submit(task)?)
    }

    /// As [`submit`](Self::submit); a refusal returns the closure.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn try_submit<F, T>(&self, task: Task<K, F>) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        submit::submit_static(&self.pool, Self::kind(), task.run).map_err(|refused| self.manager.explained(refused))
    }

    /// As [`PoolManager::submit_timeout`]: waits at most `d` for capacity in a bounded queue.
    ///
    /// # Errors
    /// As [`PoolManager::submit_timeout`], but never for its type.
    pub fn submit_timeout<F, T>(&self, task: Task<K, F>, d: Duration) -> Result<TaskHandle<T>, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.try_submit_timeout(task, d)?)
    }

    /// As [`submit_timeout`](Self::submit_timeout); a refusal returns the closure.
    ///
    /// # Errors
    /// As [`submit_timeout`](Self::submit_timeout).
    pub fn try_submit_timeout<F, T>(&self, task: Task<K, F>, d: Duration) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let submitted = submit::submit_waiting(&self.pool, Self::kind(), task.run, park::after(d));
        submitted.map_err(|refused| self.manager.explained(refused))
    }

    /// As [`PoolManager::submit_async`]: waits for capacity without blocking the runtime.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn submit_async<F, T>(&self, task: Task<K, F>) -> Result<TaskHandle<T>, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.try_submit_async(task).await?)
    }

    /// As [`submit_async`](Self::submit_async); a refusal returns the closure.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn try_submit_async<F, T>(&self, task: Task<K, F>) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let submitted = submit::submit_async(&self.pool, Self::kind(), task.run).await;
        submitted.map_err(|refused| self.manager.explained(refused))
    }

    /// As [`PoolManager::map`].
    ///
    /// # Errors
    /// As [`PoolManager::map`], but never for its type.
    pub fn map<I, F, T>(&self, items: I, f: Task<K, F>) -> Result<Map<I::IntoIter, F, T>, Error>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let map = Map::new(&self.pool, ToPool::new(&self.pool, Self::kind()), items.into_iter(), f.run);
        map.map_err(|refusal| self.manager.explain(refusal))
    }

    /// As [`PoolManager::scope`], with a scope that accepts only `K`'s tasks.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope, TaskKind, TaskType};
    /// # struct Render;
    /// # impl TaskKind for Render {}
    /// # let scope = Scope::new("doc");
    /// # let manager = scope.create("render");
    /// # manager.start(PoolConfig::leased(2).task_type(TaskType::of::<Render>()))?;
    /// # let render = manager.typed::<Render>()?;
    /// let text = String::from("borrowed");
    /// let length = render.scope(|s| s.submit(Render::task(|| text.len()))?.join().map_err(heirloom::Error::from))?;
    /// assert_eq!(length, 8);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn scope<'env, T>(&self, f: impl for<'scope> FnOnce(&'scope TaskScope<'scope, 'env, K>) -> T) -> T {
        scope::run(&self.pool, Self::kind(), f)
    }

    /// As [`PoolManager::run`].
    ///
    /// # Errors
    /// As [`PoolManager::run`], but never for its type.
    pub fn run<F, T>(&self, task: Task<K, F>) -> Result<T, Error>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        self.manager.run_on(Some(Arc::clone(&self.pool)), Self::kind(), task.run)
    }

    /// As [`PoolManager::install`].
    ///
    /// # Errors
    /// As [`PoolManager::install`], but never for its type.
    #[cfg(feature = "rayon")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rayon")))]
    pub fn install<F, T>(&self, task: Task<K, F>) -> Result<T, Error>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        self.manager.refuse_unless_stealing(Some(&self.pool))?;
        self.run(task)
    }

    /// Returns the manager. A task that is submitted through it is checked when it is submitted.
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

impl<K> Clone for TypedManager<K> {
    fn clone(&self) -> Self {
        Self { manager: self.manager.clone(), pool: Arc::clone(&self.pool), kind: PhantomData }
    }
}

impl<K> fmt::Debug for TypedManager<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedManager<{}>({:?})", std::any::type_name::<K>(), self.manager)
    }
}
