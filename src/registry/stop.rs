//! The verbs of a manager that end its pool, and those that wait for its tasks.

use std::time::{Duration, Instant};

use crate::error::{CancelReason, Error};
use crate::pool::end;
use crate::pool::report::StopReport;
use crate::pool::run::stop;
use crate::registry::manager::PoolManager;
use crate::wait::park;

impl PoolManager {
    /// Refuses new tasks from now on. Does not wait. Idempotent.
    ///
    /// A joining pool runs the tasks that it accepted; the queued tasks of a daemon pool end as cancelled.
    pub fn close(&self) {
        if let Some(pool) = self.pool() {
            stop::close(&pool, CancelReason::OwnerEnd);
        }
    }

    /// [`close`](Self::close)s, and waits until the tasks of a joining pool have ended. Idempotent.
    ///
    /// Returns how the tasks ended. The pool's threads have left it by then: those of a dedicated pool have exited, their
    /// thread-locals destroyed. Does not wait for a daemon pool.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// drop(pool.submit(|| "detached, and still done")?);
    /// let report = pool.stop()?;
    /// assert_eq!((report.completed, report.is_complete()), (1, true));
    /// assert!(pool.submit(|| ()).is_err());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FromOwnTask`](crate::StopError::FromOwnTask) when one of the tasks that it would wait for calls it; nothing is closed
    /// then. [`WouldDeadlock`](crate::StopError::WouldDeadlock) when one of them waits for the caller; the pool is closed then.
    pub fn stop(&self) -> Result<StopReport, Error> {
        self.stop_by(None)
    }

    /// As [`stop`](Self::stop), waiting at most `d`.
    ///
    /// Returns a report that says how many tasks remain. The pool is closed either way.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn stop_timeout(&self, d: Duration) -> Result<StopReport, Error> {
        self.stop_by(park::after(d))
    }

    fn stop_by(&self, deadline: Option<Instant>) -> Result<StopReport, Error> {
        match self.pool() {
            Some(pool) => end::stop(&pool, deadline),
            None => Ok(StopReport::default()),
        }
    }

    /// As [`stop`](Self::stop), without blocking the runtime.
    ///
    /// Closes when first polled. Dropping the future stops only the wait.
    ///
    /// # Errors
    /// [`FromOwnTask`](crate::StopError::FromOwnTask), as [`stop`](Self::stop).
    pub async fn stop_async(&self) -> Result<StopReport, Error> {
        match self.pool() {
            Some(pool) => end::stop_async(&pool).await,
            None => Ok(StopReport::default()),
        }
    }

    /// Closes the pool and cancels its tasks. Does not wait. Idempotent.
    ///
    /// Queued tasks end as cancelled at once; running tasks see the request at their next
    /// [`checkpoint`](crate::checkpoint). The calling thread drops the closures of the queued tasks, after all of those
    /// tasks have their outcome.
    pub fn cancel(&self) {
        if let Some(pool) = self.pool() {
            stop::cancel(&pool, CancelReason::Request);
        }
    }

    /// Waits until no task is queued or running. The pool stays open.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let task = pool.submit(|| "done")?;
    /// pool.wait_idle()?;
    /// assert!(task.is_finished());
    /// assert!(pool.submit(|| ()).is_ok()); // still open
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FromOwnTask`](crate::StopError::FromOwnTask) when one of the tasks that it would wait for calls it.
    /// [`WouldDeadlock`](crate::StopError::WouldDeadlock) when one of them waits for the caller.
    pub fn wait_idle(&self) -> Result<(), Error> {
        self.idle_by(None).map(drop)
    }

    /// As [`wait_idle`](Self::wait_idle), waiting at most `d`. Returns false when a task was still queued or running.
    ///
    /// # Errors
    /// As [`wait_idle`](Self::wait_idle).
    pub fn wait_idle_timeout(&self, d: Duration) -> Result<bool, Error> {
        self.idle_by(park::after(d))
    }

    fn idle_by(&self, deadline: Option<Instant>) -> Result<bool, Error> {
        self.pool().map_or(Ok(true), |pool| end::wait_idle(&pool, deadline))
    }

    /// As [`wait_idle`](Self::wait_idle), without blocking the runtime. Dropping the future stops the wait.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let task = pool.submit(|| "done")?;
    /// futures::executor::block_on(pool.wait_idle_async())?; // on any runtime
    /// assert!(task.is_finished());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FromOwnTask`](crate::StopError::FromOwnTask) when one of the tasks that it would wait for polls it first.
    pub async fn wait_idle_async(&self) -> Result<(), Error> {
        match self.pool() {
            Some(pool) => end::wait_idle_async(&pool).await,
            None => Ok(()),
        }
    }
}
