//! The verbs of managers that submit many tasks at once.

use crate::error::{Error, Refused};
use crate::names::task_type::{Task, TaskKind};
use crate::pool::handle::submit;
use crate::pool::handle::task::TaskHandle;
use crate::registry::manager::PoolManager;
use crate::registry::of_type::OfType;
use crate::registry::stateful::{StatefulManager, lent};
use crate::registry::typed::TypedManager;

/// Gives a handle these verbs. They are written once for both handles.
macro_rules! submits_many {
    ($handle:ident) => {
        impl $handle {
            /// Submits all of the tasks, or none. Never blocks.
            ///
            /// Returns their handles, in order. The tasks are accepted in one step and queued in order, a few dozen at a time. In
            /// all else each is the task of a [`submit`](Self::submit) of its own: it has a permit, a result and a cancel of its
            /// own. A leased pool requests a thread for each free permit at once, up to the number of CPUs.
            ///
            /// The iterator is drawn to its end before the first task is submitted, so it has to end, and its panic submits
            /// nothing. Costs one allocation for each task, and less than half the time of as many submits. For endless or very
            /// many items there is [`map`](Self::map), which keeps few of them queued.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # pool.start(PoolConfig::leased(2))?;
            /// use heirloom::TaskSet;
            ///
            /// let words = ["walk", "up", "the", "tree"];
            /// let lengths = pool.submit_many(words.map(|word| move || word.len()))?;
            /// let total: usize = lengths.into_iter().map(|length| length.join()).sum::<Result<_, _>>()?;
            /// assert_eq!(total, 13);
            ///
            /// // As they finish.
            /// let mut set: TaskSet<usize> = pool.submit_many(words.map(|word| move || word.len()))?.into_iter().collect();
            /// while let Some((_, length)) = set.join_next() {
            ///     assert!(length? > 1);
            /// }
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// As [`submit`](Self::submit), for all of them: a bounded queue has to have capacity for each, and
            /// [`TooMany`](crate::SubmitErrorKind::TooMany) says that it never has. No task was accepted then. The closures are
            /// dropped; [`try_submit_many`](Self::try_submit_many) returns them. Without tasks there is nothing to refuse, unless
            /// the manager was never started.
            pub fn submit_many<I, F, T>(&self, tasks: I) -> Result<Vec<TaskHandle<T>>, Error>
            where
                I: IntoIterator<Item = F>,
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                Ok(self.try_submit_many(tasks)?)
            }

            /// Submits all of the tasks, or none; a refusal returns all closures, in order. Never blocks.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// pool.start(PoolConfig::leased(1).queue_limit(4))?;
            /// let refused = pool.try_submit_many((0..5).map(|n| move || n * n)).expect_err("more than the queue holds");
            /// assert!(!refused.is_temporary()); // fewer at once may work
            /// let squares: Vec<u32> = refused.into_task().into_iter().map(|square| square()).collect(); // or do it here and now
            /// assert_eq!(squares, [0, 1, 4, 9, 16]);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// As [`submit_many`](Self::submit_many).
            pub fn try_submit_many<I, F, T>(&self, tasks: I) -> Result<Vec<TaskHandle<T>>, Refused<Vec<F>>>
            where
                I: IntoIterator<Item = F>,
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                // The iterator is user code, and may be long: it holds no start of the pool.
                let tasks: Vec<F> = tasks.into_iter().collect();
                match self.load().get() {
                    Some(pool) => submit::submit_many_static(pool, self.type_of_tasks(), tasks)
                        .map_err(|refused| self.explained(refused)),
                    None => Err(Refused { task: tasks, reason: self.not_started() }),
                }
            }
        }
    };
}

submits_many!(PoolManager);
submits_many!(OfType);

impl<K: TaskKind> TypedManager<K> {
    /// Submits all of the tasks of this kind, or none. As [`PoolManager::submit_many`].
    ///
    /// # Errors
    /// As [`PoolManager::submit_many`], but never for their type.
    pub fn submit_many<I, F, T>(&self, tasks: I) -> Result<Vec<TaskHandle<T>>, Error>
    where
        I: IntoIterator<Item = Task<K, F>>,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.try_submit_many(tasks)?)
    }

    /// As [`submit_many`](Self::submit_many); a refusal returns all closures, in order.
    ///
    /// # Errors
    /// As [`submit_many`](Self::submit_many).
    pub fn try_submit_many<I, F, T>(&self, tasks: I) -> Result<Vec<TaskHandle<T>>, Refused<Vec<F>>>
    where
        I: IntoIterator<Item = Task<K, F>>,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let tasks = tasks.into_iter().map(|task| task.run).collect();
        let submitted = submit::submit_many_static(&self.pool, Self::kind(), tasks);
        submitted.map_err(|refused| self.manager().explained(refused))
    }
}

impl<S: 'static> StatefulManager<S> {
    /// Submits all of the tasks, or none; each is lent the state of its worker. As [`PoolManager::submit_many`].
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let words = scope.create("words");
    /// words.start(PoolConfig::dedicated(1).worker_state(|| Ok::<_, std::io::Error>(Vec::<u32>::new())))?;
    /// let words = words.with_state::<Vec<u32>>()?;
    /// for pushed in words.submit_many((0..3).map(|n| move |words: &mut Vec<u32>| words.push(n)))? {
    ///     pushed.join()?;
    /// }
    /// assert_eq!(words.submit(|words| words.clone())?.join()?, [0, 1, 2]);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PoolManager::submit_many`].
    pub fn submit_many<I, F, T>(&self, tasks: I) -> Result<Vec<TaskHandle<T>>, Error>
    where
        I: IntoIterator<Item = F>,
        F: FnOnce(&mut S) -> T + Send + 'static,
        T: Send + 'static,
    {
        let tasks = tasks.into_iter().map(lent).collect();
        let submitted = submit::submit_many_static(&self.pool, self.stateful(), tasks);
        submitted.map_err(|refused| self.manager().explain(refused.reason))
    }
}
