//! [`PoolConfig::task_timeout`]: the time limit of each task's run.

use std::time::Duration;

use crate::pool::config::PoolConfig;

impl PoolConfig {
    /// Cancels each task that runs for longer than `d`, with everything below it. Unlimited by default.
    ///
    /// The time counts from the task's start; a wait for the pool's [`gate`](Self::gate) is a part of it. The time in the
    /// queue is no part: it is the submitter's, who bounds it with the deadline of a scope
    /// ([`Scope::deadline`](crate::Scope::deadline)) or of the task's handle ([`TaskHandle::timeout`](crate::TaskHandle::timeout)).
    /// Of several deadlines the earliest holds, and [`remaining`](crate::remaining) says how much time is left.
    ///
    /// At the limit the task sees a cancel request with the reason [`CancelReason::Deadline`](crate::CancelReason::Deadline),
    /// as do the tasks and threads below it. A task may acknowledge the request
    /// ([`acknowledge_cancel`](crate::acknowledge_cancel)), and has no limit then. A task that reaches no checkpoint goes on.
    ///
    /// Costs each task one or two microseconds: it becomes a node of the tree, and sets and removes a deadline. A start
    /// refuses the setting for a work-stealing pool, whose tasks are no nodes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::{ErrorKind, PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let queries = scope.create("queries");
    /// queries.start(PoolConfig::leased(4).task_timeout(Duration::from_millis(5)))?;
    /// let slow = queries.submit(|| heirloom::sleep(Duration::from_secs(3600)))?;
    /// assert_eq!(slow.join()?.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn task_timeout(mut self, d: Duration) -> Self {
        self.rare_mut().task_timeout = Some(d);
        self
    }
}
