//! The settings of a pool's order: priorities and fair turns.

use crate::pool::config::PoolConfig;
use crate::pool::config::order::{FairBy, Fairness};
use crate::sync::os::Arc;
use crate::task::rank::MOST_LEVELS;

impl PoolConfig {
    /// Gives the queue levels of priority, from 0, the most urgent, to `levels - 1`. At most 8.
    ///
    /// A task has the priority of its submitter's place: that of the nearest scope above which has one
    /// ([`Scope::priority`](crate::Scope::priority)), else 0. [`submit_at`](crate::PoolManager::submit_at) names another
    /// one for a single task. A number past the last level means the last level. A priority counts from the submit on:
    /// a scope that changes its own moves no queued task.
    ///
    /// A free worker starts a task of the most urgent level that has some. No level starves: while a level has queued
    /// tasks, at least one of `14 + levels` tasks that start is its own, so one of 16 with two levels. Within a level tasks start first in, first out,
    /// unless the pool is [`fair`](Self::fair).
    ///
    /// A running task is never interrupted for a more urgent one. A task of the pool that joins a queued one runs it in
    /// place, whatever its level; a joiner elsewhere waits until the task is the next to start. In a work-stealing pool
    /// the levels order the submitted tasks; the pieces into which rayon splits them have rayon's own order.
    ///
    /// Costs each submit the walk to the nearest scope with a priority, and each pop a look at the submitters' side of the
    /// queue. Pools without the setting pay nothing.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let pool = scope.create("work");
    /// pool.start(PoolConfig::leased(1).priorities(2))?;
    /// let (open, gate) = mpsc::channel::<()>();
    /// let (starts, started) = mpsc::channel();
    /// let busy = pool.submit(move || (starts.send(()), gate.recv()))?; // acquires the only permit
    /// started.recv()?;
    ///
    /// let (log, order) = mpsc::channel();
    /// let nightly = Scope::new("nightly report");
    /// nightly.priority(1);
    /// let later = log.clone();
    /// drop(nightly.run(|| pool.submit(move || later.send("batch")))?);
    /// drop(pool.submit(move || log.send("interactive"))?);
    /// open.send(())?;
    /// assert_eq!(order.iter().collect::<Vec<_>>(), ["interactive", "batch"]);
    /// # busy.join()?.0?;
    /// # nightly.finish();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn priorities(mut self, levels: u8) -> Self {
        self.rare_mut().order.get_or_insert_default().levels = levels;
        self
    }

    /// Lets tenants take turns, instead of first in, first out. A tenant is an outermost scope below the pool's owner.
    ///
    /// In a pool of the process, tasks of the scope `tenant 3` and of all scopes below it are the tasks of one tenant.
    /// Where each request is a scope directly below the owner, requests take turns. Code that stands in no such scope is
    /// one more tenant. In a [detached](Self::detached) pool the submitter's place counts too.
    ///
    /// A tenant in its turn starts as many tasks as its weight says ([`Scope::weight`](crate::Scope::weight), else 1), and
    /// then the next tenant with queued tasks has its turn. So a tenant's task waits for its tenant's own earlier tasks,
    /// and, for each of its turns, for at most as many tasks as the weights of the other tenants add up to: however many
    /// tasks they have queued. Shares are not saved up: a tenant without queued tasks has no turn, and no memory in the
    /// pool. The tasks of one tenant and priority start first in, first out. With [`priorities`](Self::priorities) the
    /// turns are those of one level.
    ///
    /// The [queue's limit](Self::queue_limit) is one for all tenants: a tenant that fills the queue causes refusals for the
    /// others, unless [`queue_limit_each`](Self::queue_limit_each) bounds each tenant's part. A scope's [`map`](crate::PoolManager::map) keeps a few tasks for each permit queued, and no more.
    ///
    /// Costs as [`priorities`](Self::priorities), with a walk over the submitter's scopes, and a look-up of the tenant
    /// under the queue's lock. Pools without the setting pay nothing.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let app = Scope::new("app");
    /// let render = app.create("render");
    /// render.start(PoolConfig::leased(4).fair())?;
    ///
    /// let paying = Scope::new_in(&app, "tenant 1");
    /// paying.weight(3); // three tasks in its turn
    /// let free = Scope::new_in(&app, "tenant 2");
    /// let pages = paying.run(|| render.map(0..1_000, |page| page))?;
    /// let alone = free.run(|| render.submit(|| "one page"))?; // behind at most three of the thousand
    /// assert_eq!(alone.join()?, "one page");
    /// # assert_eq!(pages.count(), 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fair(mut self) -> Self {
        self.rare_mut().order.get_or_insert_default().fair = Fairness::Scopes;
        self
    }

    /// As [`fair`](Self::fair), with another idea of a tenant: the nearest value of a key, or a function of the
    /// submitter's place.
    ///
    /// A [`Heirloom`](crate::Heirloom) names the tenant by the value that is bound at or above the submitter; submitters
    /// without a value are one tenant. A function gets the submitter's [`Lineage`](crate::Lineage), and returns any key that has a hash. The submitter
    /// calls it at each submit, outside of all locks. A function that panics names the tenant of code without one.
    ///
    /// The tenant's weight is that of the nearest scope above the submitter which has one. When scopes of one tenant have
    /// different weights, the newest task's counts.
    ///
    /// ```
    /// use heirloom::{Heirloom, PoolConfig, Scope};
    ///
    /// static TENANT: Heirloom<u32> = Heirloom::new("tenant");
    ///
    /// let app = Scope::new("app");
    /// app.create("render").start(PoolConfig::leased(4).fair_by(&TENANT))?;
    /// app.create("mail").start(PoolConfig::leased(1).fair_by(|at: &heirloom::Lineage| at.scope().map(|scope| scope.id())))?;
    ///
    /// let request = Scope::new_in(&app, "request 7");
    /// request.run(|| TENANT.bind(3))?;
    /// let page = request.run(|| heirloom::get("render")?.submit(|| "page"))?;
    /// assert_eq!(page.join()?, "page");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fair_by(mut self, tenant: impl FairBy) -> Self {
        self.rare_mut().order.get_or_insert_default().fair = Fairness::By(Arc::new(tenant));
        self
    }

    /// Bounds the queued tasks of each tenant to `tasks`, at least 1. The other tenants' tasks are accepted.
    ///
    /// For [`fair`](Self::fair) pools and those of [`fair_by`](Self::fair_by). It bounds the memory that one tenant can take, and
    /// leaves the rest of a [bounded queue](Self::queue_limit) to the others; the two limits are independent. The refusal is
    /// [`QueueFull`](crate::SubmitErrorKind::QueueFull) and names the tenant's scope; in a pool of `fair_by` it names the submitter's node,
    /// since a key has only a hash. Submits that wait for capacity wait for that of
    /// their tenant.
    ///
    /// Costs each submit and each start a short lock and a look-up of the tenant. A release notifies all waiters for capacity.
    /// Pools without the setting pay nothing.
    ///
    /// ```
    /// # use std::sync::mpsc;
    /// use heirloom::{ErrorKind, PoolConfig, Scope};
    ///
    /// let app = Scope::new("app");
    /// let render = app.create("render");
    /// render.start(PoolConfig::leased(1).fair().queue_limit_each(2))?;
    /// # let (open, gate) = mpsc::channel::<()>();
    /// # let (starts, started) = mpsc::channel();
    /// # let busy = render.submit(move || (starts.send(()), gate.recv()))?;
    /// # started.recv()?;
    /// let [noisy, quiet] = ["tenant 1", "tenant 2"].map(|name| Scope::new_in(&app, name));
    /// // All permits are taken, so tasks are queued.
    /// let pages = noisy.run(|| (0..3).map(|n| render.submit(move || n)).collect::<Vec<_>>());
    /// let refused = pages[2].as_ref().unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::QueueFull);
    /// assert!(refused.to_string().contains("tenant 1"));
    /// let page = quiet.run(|| render.submit(|| "page"))?;
    /// # open.send(())?;
    /// assert_eq!(page.join()?, "page");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queue_limit_each(mut self, tasks: usize) -> Self {
        self.rare_mut().order.get_or_insert_default().limit_each = Some(tasks);
        self
    }

    /// Returns the fault of the order, if it has one.
    pub(super) fn problem_of_order(&self) -> Option<(&'static str, &'static str)> {
        let order = self.rare().order.as_ref()?;
        match order.limit_each {
            Some(0) => return Some(("queue_limit_each", "is 0, so no task could ever be queued; use at least 1")),
            Some(_) if order.fair == Fairness::Off => {
                return Some(("queue_limit_each", "needs tenants; set `fair` or `fair_by` too"));
            }
            _ => {}
        }
        match order.levels {
            0 => Some(("priorities", "is 0, so no task would have a level; use at least 1")),
            levels if levels > MOST_LEVELS => Some(("priorities", "is more than 8 levels; use at most 8")),
            _ => None,
        }
    }
}
