//! Whether the callers of a leased pool lend their threads to its tasks.

use crate::pool::config::PoolConfig;
use crate::pool::config::kind::PoolKind;

impl PoolConfig {
    /// Keeps tasks from threads that are not the pool's workers.
    ///
    /// A leased pool's task may otherwise run on its caller's thread: [`run`](crate::PoolManager::run) uses that thread
    /// where a permit is free, and so does a [`join`](crate::TaskHandle::join) of the task that is the next to start. Both spare
    /// two wakes of threads. Set this where a task needs a thread without foreign thread-locals, locks, names or priorities; the
    /// guide has [all that matters](crate::guide::waiting#which-thread-runs-a-task).
    ///
    /// A task that a worker of the same pool joins still runs in place, on that worker. Dedicated, work-stealing and local
    /// pools never use a foreign thread, so for them the setting changes nothing.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let clean = scope.create("clean");
    /// clean.start(PoolConfig::leased(2).workers_only())?;
    /// let ran_on = clean.submit(|| std::thread::current().id())?.join()?;
    /// assert_ne!(ran_on, std::thread::current().id());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn workers_only(mut self) -> Self {
        self.rare_mut().workers_only = true;
        self
    }

    /// Returns whether a caller that waits for a task may run it on its own thread.
    #[inline]
    pub(crate) fn lends(&self) -> bool {
        self.kind == PoolKind::Leased && !self.rare().workers_only
    }
}
