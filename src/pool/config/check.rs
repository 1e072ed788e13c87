//! Checks of a [`PoolConfig`], and its differences from another one.

use crate::names::metric_labels::MetricLabels;
use crate::pool::config::PoolConfig;
use crate::pool::config::kind::PoolKind;
use crate::pool::config::threads::ThreadConfig;

/// `rayon_core::max_num_threads` on 64 bits. On narrower systems rayon clamps the number to its own, lower bound.
const MOST_STEALING: usize = 65_535;

impl PoolConfig {
    /// Returns the first impossible setting, with the reason and the remedy.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.kind == PoolKind::Local {
            // Its waits run queued tasks on the same thread, because no other thread can.
            if self.holds_permit && self.permits_set.0 {
                return Some((
                    "holds_permit",
                    "cannot be set for a local pool, whose waits run its own tasks; leave it out",
                ));
            }
            if self.rare().max_blocked.is_some() {
                return Some((
                    "max_blocked",
                    "cannot be set for a local pool, whose waits start no thread; leave it out",
                ));
            }
        } else if self.limit == 0 {
            return Some(("n", "is 0, so no task could ever run; use at least 1"));
        }
        if self.steals() {
            if self.rare().gate.is_some() {
                return Some((
                    "gate",
                    "cannot be set for a work-stealing pool, where stolen code would run under it too; enter it around `install`",
                ));
            }
            if self.rare().task_timeout.is_some() {
                return Some((
                    "task_timeout",
                    "cannot be set for a work-stealing pool, whose tasks are no nodes; set the deadline of a scope around `install`",
                ));
            }
            if self.limit() > MOST_STEALING {
                return Some((
                    "n",
                    "is more threads than rayon can have; use at most 65535, or as many as there are CPUs",
                ));
            }
        }
        #[cfg(feature = "remote")]
        if let Some(problem) = self.problem_of_remote() {
            return Some(problem);
        }
        if self.limit > u32::MAX / 2 {
            return Some(("n", "is larger than any system's number of threads; use a smaller number"));
        }
        if self.rare().queue_limit == Some(0) {
            return Some(("queue_limit", "is 0, so no task could ever be queued; use at least 1"));
        }
        if let Some(problem) = self.rare().labels.as_ref().and_then(MetricLabels::problem) {
            return Some(("label", problem));
        }
        if let Some(problem) = self.problem_of_order() {
            return Some(problem);
        }
        if let Some(threads) = &self.rare().threads {
            if self.kind != PoolKind::Dedicated {
                let setting = match &**threads {
                    ThreadConfig { prefix: Some(_), .. } => "thread_name_prefix",
                    ThreadConfig { stack_size: Some(_), .. } => "stack_size",
                    ThreadConfig { keep_alive: Some(_), .. } => "keep_alive",
                    ThreadConfig { on_start: Some(_), .. } => "on_worker_start",
                    ThreadConfig { state: Some(_), .. } => "worker_state",
                    ThreadConfig { warm_at_once: Some(_), .. } => "warm_concurrency",
                    ThreadConfig { warm_timeout: Some(_), .. } => "warm_timeout",
                    _ => "warm",
                };
                return Some((setting, "can only be set for threads of the pool's own; use `PoolConfig::dedicated`"));
            }
            if threads.prefix.as_ref().is_some_and(|prefix| prefix.contains('\0')) {
                return Some((
                    "thread_name_prefix",
                    "contains a zero byte, which no thread name may; leave the byte out",
                ));
            }
            if threads.state.is_some() && !self.holds_permit {
                return Some((
                    "releases_permit",
                    "cannot be set beside `worker_state`: the waits would need more states than `n`; leave one of them out",
                ));
            }
            if threads.warm > self.limit() {
                return Some(("warm", "is more than `n`, the most threads there can be; use at most `n`"));
            }
            if threads.warm_at_once == Some(0) {
                return Some(("warm_concurrency", "is 0, so no thread could ever be initialised; use at least 1"));
            }
        }
        None
    }

    /// Returns the settings in which the two differ. Initialisers (`on_worker_start`) cannot be compared.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let none = ThreadConfig::default();
        let [mine, theirs] = [self, other].map(|config| config.rare().threads.as_deref().unwrap_or(&none));
        let (rare, other_rare) = (self.rare(), other.rare());
        let [order, other_order] = [rare, other_rare].map(|rare| rare.order.clone().unwrap_or_default());
        let settings = [
            ("kind", self.kind == other.kind),
            ("n", self.limit == other.limit),
            ("task_type", rare.task_type == other_rare.task_type),
            ("mode (daemon/joining)", self.mode == other.mode),
            ("queue_limit", rare.queue_limit == other_rare.queue_limit),
            ("detached", rare.detached == other_rare.detached),
            // Where neither user set it, it follows from the initialiser.
            ("holds_permit", self.holds_permit == other.holds_permit || !(self.permits_set.0 || other.permits_set.0)),
            ("workers_only", rare.workers_only == other_rare.workers_only),
            ("max_blocked", self.most_blocked() == other.most_blocked()),
            ("label", rare.labels == other_rare.labels),
            ("log_panics", rare.hides_panics == other_rare.hides_panics),
            ("gate", rare.gate == other_rare.gate),
            ("task_timeout", rare.task_timeout == other_rare.task_timeout),
            ("priorities", order.levels == other_order.levels),
            ("fair", order.fair == other_order.fair),
            ("queue_limit_each", order.limit_each == other_order.limit_each),
            #[cfg(feature = "remote")]
            ("remote", rare.remote == other_rare.remote),
            ("thread_name_prefix", mine.prefix == theirs.prefix),
            ("stack_size", mine.stack_size == theirs.stack_size),
            ("keep_alive", mine.keep_alive == theirs.keep_alive),
            ("worker_state", mine.state == theirs.state),
            ("warm", mine.warm == theirs.warm),
            ("warm_concurrency", mine.warm_at_once == theirs.warm_at_once),
            ("warm_timeout", mine.warm_timeout == theirs.warm_timeout),
        ];
        settings.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}
