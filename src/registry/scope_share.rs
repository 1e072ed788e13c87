//! The priority and the weight of a [`Scope`], for pools whose queues have an order.

use crate::registry::scope::Scope;

impl Scope {
    /// Sets the priority of tasks that are submitted at or below this scope: 0 is the most urgent.
    ///
    /// It counts in pools that have [`priorities`](crate::PoolConfig::priorities), and nowhere else. The nearest scope
    /// with a priority decides, so a scope below may have another one, also a more urgent one. Code below no such scope
    /// has priority 0. A later call changes the priority of later submits, and moves no queued task.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let app = Scope::new("app");
    /// app.create("work").start(PoolConfig::leased(2).priorities(2))?;
    /// let report = Scope::new_in(&app, "nightly report");
    /// report.priority(1); // behind all that is interactive
    /// let sum = report.run(|| heirloom::get("work"))?.submit(|| 40 + 2)?;
    /// assert_eq!(sum.join()?, 42);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn priority(&self, level: u8) {
        self.trackers().share.set_priority(level);
    }

    /// Sets the weight of this scope as a tenant: so many tasks start in its turn, from 1 to 1000.
    ///
    /// It counts in pools that are [`fair`](crate::PoolConfig::fair), and nowhere else. A scope without a weight has 1. 0
    /// counts as 1, and more than 1000 as 1000. A later call counts from the next submit on.
    pub fn weight(&self, tasks: u16) {
        self.trackers().share.set_weight(tasks);
    }
}
