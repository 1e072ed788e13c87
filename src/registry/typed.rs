//! [`TypedManager`]: a pool that takes one kind of task, checked by the compiler.

use std::fmt;
use std::marker::PhantomData;

use crate::error::{Refused, SubmitError, UnknownTaskType};
use crate::names::namespace::Namespace;
use crate::names::task_type::{Task, TaskKind, TaskType};
use crate::pool::core::pool::Pool;
use crate::pool::handle::task::TaskHandle;
use crate::registry::manager::PoolManager;
use crate::sync::os::Arc;

/// One start of a manager whose pool takes only `K`'s tasks; made by [`PoolManager::typed`]. Dropping it does nothing
/// while the manager's node or another handle lives.
///
/// It is bound to that one start: after the manager was stopped, submitting is refused as `Closed`, also when it was
/// started again.
///
/// ```
/// use heirloom::{PoolConfig, Scope, TaskKind, TaskType};
///
/// struct Render; // private: nobody else can make a task of this kind
/// impl TaskKind for Render {}
///
/// let scope = Scope::new("doc");
/// let manager = scope.create("render");
/// manager.start(PoolConfig::leased(2).task_type(TaskType::of::<Render>()))?;
/// let render = manager.typed::<Render>()?;
/// assert_eq!(render.submit(Render::task(|| 6 * 7))?.join()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TypedManager<K> {
    manager: PoolManager,
    pool: Arc<Pool>,
    kind: PhantomData<fn() -> K>,
}

impl<K: TaskKind> TypedManager<K> {
    pub(crate) fn new(manager: PoolManager, pool: Arc<Pool>) -> Self {
        Self { manager, pool, kind: PhantomData }
    }

    /// Submits a task of this kind. Never blocks.
    ///
    /// # Errors
    /// As [`PoolManager::submit`], but never for its type.
    pub fn submit<F, T>(&self, task: Task<K, F>) -> Result<TaskHandle<T>, SubmitError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.try_submit(task).map_err(|refused| refused.reason)
    }

    /// As [`submit`](Self::submit); a refusal gives the closure back.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn try_submit<F, T>(&self, task: Task<K, F>) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let submitted = self.pool.submit_static(Some(TaskType::of::<K>()), task.run);
        submitted.map_err(|refused| self.manager.explained(refused))
    }

    /// The manager, for everything but submitting.
    #[must_use]
    pub fn manager(&self) -> &PoolManager {
        &self.manager
    }

    /// The manager's name.
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

impl PoolManager {
    /// A view of this start that takes only `K`'s tasks, checked by the compiler.
    ///
    /// # Errors
    /// When the manager does not run, or runs with another task type than [`TaskType::of::<K>()`](TaskType::of).
    pub fn typed<K: TaskKind>(&self) -> Result<TypedManager<K>, UnknownTaskType> {
        let wanted = TaskType::of::<K>();
        let running = self.running();
        match running {
            Some(pool) if pool.config.task_type.as_ref() == Some(&wanted) => Ok(TypedManager::new(self.clone(), pool)),
            running => Err(UnknownTaskType {
                namespace: self.namespace().clone(),
                wanted,
                allowed: running.and_then(|pool| pool.config.task_type.clone()),
            }),
        }
    }
}
