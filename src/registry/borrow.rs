//! The verbs of [`PoolManager`] and [`OfType`] whose tasks may borrow: they return after those tasks have ended.

use crate::error::{CancelReason, Error};
#[cfg(feature = "rayon")]
use crate::error::{SubmitError, SubmitErrorKind};
use crate::names::task_type::TaskType;
use crate::pool::config::PoolConfig;
use crate::pool::core::pool::Pool;
use crate::pool::handle::scope::{self, TaskScope};
use crate::pool::handle::submit;
use crate::pool::run::stop;
use crate::registry::manager::PoolManager;
use crate::registry::of_type::OfType;
use crate::sync::os::Arc;

/// Gives a handle the verbs that borrow. They are written once for both handles.
macro_rules! borrows {
    ($handle:ident) => {
        impl $handle {
            /// Runs `f` with a scope whose tasks may borrow, and waits until all of them have ended.
            ///
            /// Returns the value of `f`. The wait cannot fail, and happens also when `f` panics. Afterwards every task's closure
            /// and every result that no handle has taken is dropped.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # pool.start(PoolConfig::leased(2))?;
            /// let words = ["walk", "up", "the", "tree"];
            /// let longest = pool.scope(|s| -> Result<usize, heirloom::Error> {
            ///     let left = s.submit(|| words[..2].iter().map(|w| w.len()).max())?;
            ///     let right = s.submit(|| words[2..].iter().map(|w| w.len()).max())?;
            ///     Ok(left.join()?.max(right.join()?).unwrap_or(0))
            /// })?;
            /// assert_eq!(longest, 4);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// None of its own. In the scope of a manager that was never started each submit is refused.
            ///
            /// # Aborts
            /// In a fork's child, when `f` forked while tasks of the scope had not ended: the tasks run in the parent only, and
            /// the caller may rely on their effects. Call `exec` or `_exit` inside of `f` there.
            pub fn scope<'env, T>(&self, f: impl for<'scope> FnOnce(&'scope TaskScope<'scope, 'env>) -> T) -> T {
                let pool = self.pool().unwrap_or_else(|| {
                    // A pool that is closed from the start refuses each task, as a manager does before its first start.
                    let never_started = self.new_pool(PoolConfig::leased(1).daemon());
                    stop::close(&never_started, CancelReason::OwnerEnd);
                    never_started
                });
                scope::run(&pool, self.type_of_tasks(), f)
            }

            /// Runs `f` as a task and waits for it. `f` may borrow.
            ///
            /// Returns the value of `f`. On a leased pool with a free permit and an empty queue, the calling thread runs `f`
            /// itself, within the pool's limit and also inside a runtime's context, unless the pool has
            /// [`workers_only`](crate::PoolConfig::workers_only). Otherwise, and always on a thread of a dedicated or work-stealing pool, which runs
            /// no other pool's tasks, `f` is submitted, and the wait is that of [`TaskHandle::join`](crate::TaskHandle::join).
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # pool.start(PoolConfig::leased(2))?;
            /// let text = String::from("borrowed");
            /// assert_eq!(pool.run(|| text.len())?, 8);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// The panic of `f`, with its payload; its cancellation; or its refusal, as [`Error::Submit`].
            pub fn run<F, T>(&self, f: F) -> Result<T, Error>
            where
                F: FnOnce() -> T + Send,
                T: Send,
            {
                self.run_on(self.pool(), self.type_of_tasks(), f)
            }

            /// Runs `f` on a thread of a [work-stealing](crate::PoolConfig::work_stealing) pool, and waits for it.
            ///
            /// Returns the value of `f`, which may borrow. rayon's `par_iter`, `join` and `scope` inside `f` use the pool's
            /// threads. On a thread of this very pool `f` runs at once.
            ///
            /// `f` counts, ends and is reported as any task; [`submit`](Self::submit) is the same without the wait. `f` stands at
            /// the pool's owner: see [`work_stealing`](crate::PoolConfig::work_stealing), and
            /// [`Lineage::carry`](crate::Lineage::carry) for taking the caller's node along. A task that installs in another pool
            /// releases its permit during the wait.
            ///
            /// ```
            /// use heirloom::{PoolConfig, Scope};
            /// use rayon::prelude::*;
            ///
            /// let scope = Scope::new("doc");
            /// let pool = scope.create("math");
            /// pool.start(PoolConfig::work_stealing(2))?;
            /// let mut numbers: Vec<u64> = (0..1000).rev().collect();
            /// pool.install(|| numbers.par_sort())?;
            /// assert_eq!(numbers[..3], [0, 1, 2]);
            /// assert_eq!(pool.stop()?.completed, 1);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// As [`run`](Self::run); on a pool of another kind [`NotWorkStealing`](SubmitErrorKind::NotWorkStealing).
            #[cfg(feature = "rayon")]
            #[cfg_attr(docsrs, doc(cfg(feature = "rayon")))]
            pub fn install<F, T>(&self, f: F) -> Result<T, Error>
            where
                F: FnOnce() -> T + Send,
                T: Send,
            {
                let pool = self.pool();
                self.refuse_unless_stealing(pool.as_deref())?;
                self.run_on(pool, self.type_of_tasks(), f)
            }
        }
    };
}

borrows!(PoolManager);
borrows!(OfType);

impl PoolManager {
    pub(super) fn run_on<F, T>(&self, pool: Option<Arc<Pool>>, task_type: Option<TaskType>, f: F) -> Result<T, Error>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let pool = pool.ok_or_else(|| self.not_started())?;
        submit::run_and_wait(&pool, task_type, f).map_err(|error| self.explain(error))
    }

    /// Refuses `install` on a pool of another kind. A manager that does not run is refused afterwards.
    #[cfg(feature = "rayon")]
    pub(super) fn refuse_unless_stealing(&self, pool: Option<&Pool>) -> Result<(), Error> {
        if pool.is_none_or(|pool| pool.config.steals()) {
            return Ok(());
        }
        Err(SubmitError::new(self.namespace(), SubmitErrorKind::NotWorkStealing).into())
    }
}
