//! Whether the callers of a leased pool lend their threads to its tasks.

use crate::pool::config::PoolConfig;
use crate::pool::config::kind::PoolKind;

impl PoolConfig {
    /// Runs tasks on workers only, and never on the thread of a caller that waits for them.
    ///
    /// A leased pool's task may otherwise run on the thread of its caller: [`run`](crate::PoolManager::run) uses that thread
    /// where a permit is free, and so does a [`join`](crate::TaskHandle::join) of the task that is the next to start. Both spare two thread
    /// wakes, of 5 to 50 µs each. Set this where a task needs a thread without foreign thread-locals, or the stack size of
    /// [`threads`](crate::threads), or where its callers' threads have a priority that it must not have.
    ///
    /// No thread is lent by a dedicated, work-stealing or local pool's thread, inside a tokio runtime's context, by a poll, or
    /// by a wait with a limit or for the first of several tasks.
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
