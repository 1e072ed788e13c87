//! [`OfType`]: a manager's handle whose tasks have a type.

use std::ops::Deref;

use crate::error::Error;
use crate::names::task_type::TaskType;
use crate::pool::handle::task::TaskHandle;
use crate::registry::manager::PoolManager;
use crate::registry::stateful::StatefulManager;

/// A handle to a manager whose tasks have a type; made by [`PoolManager::of_type`].
///
/// It has every verb that submits, and derefs to the [`PoolManager`] for all others. A clone costs one atomic increment, or
/// two if the type is an owned text. Dropping it does nothing while the manager's node or another handle lives.
#[derive(Clone, Debug)]
pub struct OfType {
    manager: PoolManager,
    task_type: TaskType,
}

impl PoolManager {
    /// Returns a handle to this manager whose tasks have a type.
    ///
    /// Every verb of that handle submits tasks of the type: `submit`, `submit_at`, `submit_timeout`, `submit_async`
    /// and their `try_` forms, `call`, `map`, `map_unordered`, `try_map`, `stream`, `scope`, `run`, `install`, and those of
    /// [`with_state`](Self::with_state). The handle follows the manager from start to start, and the pool of the moment accepts the type or refuses it.
    ///
    /// The handle owns the manager as a clone does, so a struct or a future may keep it. Costs a clone. For a single
    /// task [`submit_as`](Self::submit_as) is shorter. [`typed`](Self::typed) is the form that the compiler checks.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// scope.create("render").start(PoolConfig::leased(2).task_type("component"))?;
    ///
    /// let components = scope.get("render")?.of_type("component");
    /// let lengths: Result<Vec<_>, _> = components.map(["<p>", "</p>"], str::len)?.collect();
    /// assert_eq!(lengths?, [3, 4]);
    /// assert_eq!(components.run(|| "<br>".len())?, 4);
    /// assert!(scope.get("render")?.submit(|| ()).is_err()); // a task without a type
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn of_type(&self, task_type: impl Into<TaskType>) -> OfType {
        OfType { manager: self.clone(), task_type: task_type.into() }
    }

    #[inline]
    #[expect(clippy::unused_self, reason = "OfType has the same method")]
    pub(super) fn type_of_tasks(&self) -> Option<TaskType> {
        None
    }
}

impl OfType {
    pub(super) fn type_of_tasks(&self) -> Option<TaskType> {
        Some(self.task_type.clone())
    }

    /// As [`PoolManager::with_state`]; the tasks of the returned handle have the type.
    ///
    /// # Errors
    /// As [`PoolManager::with_state`].
    pub fn with_state<S: 'static>(&self) -> Result<StatefulManager<S>, Error> {
        self.manager.stateful(self.type_of_tasks())
    }

    /// As [`PoolManager::submit_with_state`].
    ///
    /// # Errors
    /// As [`PoolManager::submit_with_state`].
    pub fn submit_with_state<S, F, T>(&self, f: F) -> Result<TaskHandle<T>, Error>
    where
        S: 'static,
        F: FnOnce(&mut S) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.with_state()?.submit(f)
    }
}

impl Deref for OfType {
    type Target = PoolManager;

    fn deref(&self) -> &PoolManager {
        &self.manager
    }
}
