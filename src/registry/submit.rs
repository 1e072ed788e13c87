//! The verbs of [`PoolManager`] and [`OfType`] that submit tasks.

use std::time::Duration;

use crate::error::{Error, Refused};
use crate::names::task_type::TaskType;
use crate::pool::core::task_meta::As;
use crate::pool::handle::feed::ToPool;
use crate::pool::handle::map::Map;
use crate::pool::handle::promise::Promise;
use crate::pool::handle::submit;
use crate::pool::handle::task::TaskHandle;
use crate::registry::manager::PoolManager;
use crate::registry::of_type::OfType;
use crate::wait::park;

/// Gives a handle the verbs that submit. They are written once for both handles.
macro_rules! submits {
    ($handle:ident) => {
        impl $handle {
            /// Submits a task. Never blocks.
            ///
            /// Returns the handle to the task. The task stands below the submitter's node and runs inside the submitter's
            /// `tracing` span. Where the submitter has a default subscriber of its own (`tracing::subscriber::with_default`),
            /// the task has it too. Costs one allocation.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # pool.start(PoolConfig::leased(2))?;
            /// let name = String::from("heirloom");
            /// let task = pool.submit(move || name.len())?; // a task owns what it uses; for one that borrows see `run` and `scope`
            /// assert_eq!(task.join()?, 8);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// When the pool does not run, takes another task type, or has a full queue; see
            /// [`SubmitErrorKind`](crate::SubmitErrorKind). The closure is dropped; [`try_submit`](Self::try_submit)
            /// returns it.
            pub fn submit<F, T>(&self, f: F) -> Result<TaskHandle<T>, Error>
            where
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                Ok(self.try_submit(f)?)
            }

            /// Submits a task with a priority of its own, instead of that of the submitter's place. Never blocks.
            ///
            /// In a pool without [`priorities`](crate::PoolConfig::priorities) it is [`submit`](Self::submit).
            ///
            /// ```
            /// use heirloom::{PoolConfig, Scope};
            ///
            /// let scope = Scope::new("doc");
            /// let pool = scope.create("work");
            /// pool.start(PoolConfig::leased(2).priorities(3))?;
            /// let whenever = pool.submit_at(2, || "thumbnail")?;
            /// assert_eq!(whenever.join()?, "thumbnail");
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// As [`submit`](Self::submit).
            pub fn submit_at<F, T>(&self, priority: u8, f: F) -> Result<TaskHandle<T>, Error>
            where
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                match self.load().get() {
                    Some(pool) => {
                        let own = As { priority: Some(priority), ..As::from(self.type_of_tasks()) };
                        submit::submit_static(pool, own, f).map_err(|refused| self.explain(refused.reason))
                    }
                    None => Err(self.not_started()),
                }
            }

            /// Submits a task; a refusal returns the closure. Never blocks.
            ///
            /// [`Refused::is_temporary`] says whether another try can succeed.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # let (open, gate) = std::sync::mpsc::channel::<()>();
            /// pool.start(PoolConfig::leased(1).queue_limit(1))?;
            /// # let (starts, has_started) = std::sync::mpsc::channel();
            /// # let busy = pool.submit(move || { starts.send(()).unwrap(); gate.recv() })?;
            /// # has_started.recv().unwrap();
            /// # let waits = pool.submit(|| ())?;
            /// let Err(refused) = pool.try_submit(|| 6 * 7) else { panic!("one runs, one is queued") };
            /// assert!(refused.is_temporary()); // the queue is full; later may work
            /// let answer = refused.into_task()(); // or do it here and now
            /// assert_eq!(answer, 42);
            /// # open.send(()).unwrap();
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// As [`submit`](Self::submit).
            pub fn try_submit<F, T>(&self, f: F) -> Result<TaskHandle<T>, Refused<F>>
            where
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                match self.load().get() {
                    Some(pool) => {
                        submit::submit_static(pool, self.type_of_tasks(), f).map_err(|refused| self.explained(refused))
                    }
                    None => Err(Refused { task: f, reason: self.not_started() }),
                }
            }

            /// Submits a task, waiting at most `d` for capacity in a bounded queue.
            ///
            /// Blocks the calling thread only while the queue is full. A submitter that is a task itself releases its permit
            /// for that time. Cancelling the submitter interrupts the wait.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// use std::time::Duration;
            ///
            /// pool.start(PoolConfig::leased(1).queue_limit(1))?;
            /// for n in 0..100 {
            ///     // Slowed down to the pool's speed instead of refused.
            ///     let task = pool.submit_timeout(move || n * n, Duration::from_secs(10))?;
            ///     drop(task); // detached
            /// }
            /// assert_eq!(pool.stop()?.completed, 100);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// [`QueueFull`](crate::SubmitErrorKind::QueueFull) when the queue had no capacity in time; otherwise as
            /// [`submit`](Self::submit).
            pub fn submit_timeout<F, T>(&self, f: F, d: Duration) -> Result<TaskHandle<T>, Error>
            where
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                Ok(self.try_submit_timeout(f, d)?)
            }

            /// As [`submit_timeout`](Self::submit_timeout); a refusal returns the closure.
            ///
            /// # Errors
            /// As [`submit_timeout`](Self::submit_timeout).
            pub fn try_submit_timeout<F, T>(&self, f: F, d: Duration) -> Result<TaskHandle<T>, Refused<F>>
            where
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                let Some(pool) = self.pool() else { return self.try_submit(f) };
                let submitted = submit::submit_waiting(&pool, self.type_of_tasks(), f, park::after(d));
                submitted.map_err(|refused| self.explained(refused))
            }

            /// Submits a task, waiting for capacity in a bounded queue without blocking the runtime.
            ///
            /// Dropping the future before it is ready submits nothing.
            ///
            /// # Errors
            /// As [`submit`](Self::submit).
            pub async fn submit_async<F, T>(&self, f: F) -> Result<TaskHandle<T>, Error>
            where
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                Ok(self.try_submit_async(f).await?)
            }

            /// As [`submit_async`](Self::submit_async); a refusal returns the closure.
            ///
            /// # Errors
            /// As [`submit`](Self::submit).
            pub async fn try_submit_async<F, T>(&self, f: F) -> Result<TaskHandle<T>, Refused<F>>
            where
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                let Some(pool) = self.pool() else { return self.try_submit(f) };
                let submitted = submit::submit_async(&pool, self.type_of_tasks(), f).await;
                submitted.map_err(|refused| self.explained(refused))
            }

            /// Promises a task: code outside of the pool ends it, with a value or an error. Never blocks.
            ///
            /// Returns the [`Promise`], whose holder ends the task, and the task's handle. The task takes no permit and no thread.
            /// The pool and the scopes above the submitter count it as any other task, and refuse it as any other. Until it
            /// [begins](Promise::begin) it is queued, and takes a unit of the [queue's limit](crate::PoolConfig::queue_limit).
            /// See [`Promise`] for cancels. A pool's gate, initialisers and worker states do not concern it.
            ///
            /// Costs a node and three allocations, about a microsecond.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # pool.start(PoolConfig::leased(2))?;
            /// let (promise, task) = pool.promise::<u32>()?;
            /// std::thread::spawn(move || promise.complete(42)); // stands for a device's or a library's callback
            /// assert_eq!(task.join()?, 42);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// As [`submit`](Self::submit).
            pub fn promise<T: Send + 'static>(&self) -> Result<(Promise<T>, TaskHandle<T>), Error> {
                match self.load().get() {
                    Some(pool) => Promise::submit(pool, self.type_of_tasks()).map_err(|refusal| self.explain(refusal)),
                    None => Err(self.not_started()),
                }
            }

            /// Runs `f` on every item, and yields the results in order.
            ///
            /// Returns an iterator that submits tasks as results are taken, 4 to 64 for each permit of the pool ahead; see [`Map`].
            /// So `items` may be endless. Each item is submitted before the next one is drawn. The thread that takes the results
            /// may run items itself, as a join does. Each item costs a submit.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # pool.start(PoolConfig::leased(2))?;
            /// let squares: Result<Vec<u64>, _> = pool.map(1..=4, |n: u64| n * n)?.collect();
            /// assert_eq!(squares?, [1, 4, 9, 16]);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// As [`submit`](Self::submit), when the first task is refused. A later refusal is the map's last item. Its input is
            /// the first of [`into_rest`](Map::into_rest) as well, so count it once.
            pub fn map<I, F, T>(&self, items: I, f: F) -> Result<Map<I::IntoIter, F, T>, Error>
            where
                I: IntoIterator,
                I::Item: Send + 'static,
                F: Fn(I::Item) -> T + Send + Sync + 'static,
                T: Send + 'static,
            {
                let pool = self.started()?;
                let map = Map::new(&pool, ToPool::new(&pool, self.type_of_tasks()), items.into_iter(), f);
                map.map_err(|refusal| self.explain(refusal))
            }
        }
    };
}

submits!(PoolManager);
submits!(OfType);

impl PoolManager {
    /// Submits a task of a type. Never blocks.
    ///
    /// The short form of [`of_type(task_type)`](Self::of_type)`.submit(f)`, which saves the second handle.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_as<F, T>(&self, task_type: impl Into<TaskType>, f: F) -> Result<TaskHandle<T>, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.load().get() {
            Some(pool) => {
                submit::submit_static(pool, Some(task_type.into()), f).map_err(|refused| self.explain(refused.reason))
            }
            None => Err(self.not_started()),
        }
    }
}
