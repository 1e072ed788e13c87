//! The settings of remote pools, as users write them.

use crate::pool::config::PoolConfig;
use crate::pool::config::kind::PoolKind;
use crate::pool::config::remote::Remote;
use crate::wire::link::Queue;

impl PoolConfig {
    /// Returns settings for tasks that run in other processes, at most `n` at once over all of them.
    ///
    /// The pool takes [jobs](crate::remote::Job), by [`send`](crate::PoolManager::send); a closure cannot travel, and is refused
    /// as [`NeedsJob`](crate::SubmitErrorKind::NeedsJob). The processes that [serve](crate::remote::serve) the queue run them.
    /// The pool has no thread. Each job is a [promised](crate::Promise) task of it: counted, cancelled and reported as any other.
    ///
    /// `n` is a limit of the queue: all pools that use one queue share it, and the newest start decides, where its process may
    /// change the queue. A [`queue_limit`](Self::queue_limit) bounds both the jobs of this pool that have not begun and the jobs
    /// that wait in the queue.
    ///
    /// ```
    /// use heirloom::remote::{self, Job};
    /// use heirloom::{PoolConfig, Scope, TaskType};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Words { text: String }
    /// # impl Job for Words {
    /// #     const NAME: &'static str = "words";
    /// #     type Output = usize;
    /// #     fn run(self) -> usize { self.text.split_whitespace().count() }
    /// # }
    /// let engine = remote::loopback(); // or the crate `heirloom-nats`
    /// let here = heirloom::create("words-here");
    /// here.start(PoolConfig::leased(4))?; // the worker's half; in another process, mostly
    /// let serving = remote::serve(engine.another().queue("words"), &here).job::<Words>().start()?;
    ///
    /// let words = heirloom::create("words"); // once, at the server's scope: `n` is the queue's
    /// words.start(PoolConfig::remote(64, engine.queue("words")).task_type(TaskType::job::<Words>()))?;
    /// let request = Scope::new("request 7");
    /// assert_eq!(request.run(|| words.send(Words { text: "one two".into() }))?.join()?, 2);
    /// # serving.stop()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn remote(n: usize, queue: Queue) -> Self {
        let mut config = Self::new(PoolKind::Remote, n);
        config.rare_mut().remote = Some(Box::new(Remote { queue, attempts: 3, outlives_origin: false }));
        config
    }

    /// Lets a [repeatable](crate::remote::Job::REPEATABLE) job of a remote pool begin at most `n` times, as its workers die.
    /// Three by default. Other jobs begin once.
    pub fn attempts(mut self, n: u32) -> Self {
        self.set_remote("attempts", |remote| remote.attempts = n);
        self
    }

    /// Lets the begun jobs of a remote pool run on when this process dies. Their results are dropped then.
    ///
    /// By default a worker cancels the jobs of an origin that has died.
    pub fn outlives_origin(mut self) -> Self {
        self.set_remote("outlives_origin", |remote| remote.outlives_origin = true);
        self
    }

    /// Changes a setting that remote pools alone have. A start refuses it for another kind.
    fn set_remote(&mut self, setting: &'static str, set: impl FnOnce(&mut Remote)) {
        let rare = self.rare_mut();
        match &mut rare.remote {
            Some(remote) => set(remote),
            None => rare.misplaced = Some(setting),
        }
    }

    /// Returns the first setting that a remote pool cannot have, or that it alone has.
    pub(super) fn problem_of_remote(&self) -> Option<(&'static str, &'static str)> {
        let rare = self.rare();
        if let Some(setting) = rare.misplaced {
            return Some((setting, "can only be set for a remote pool; use `PoolConfig::remote`"));
        }
        let remote = rare.remote.as_ref()?;
        if self.permits_set.0 {
            return Some((
                "holds_permit",
                "cannot be set for a remote pool, whose tasks have no permit here; leave it out",
            ));
        }
        if rare.max_blocked.is_some() {
            return Some(("max_blocked", "cannot be set for a remote pool, which has no threads here; leave it out"));
        }
        if rare.gate.is_some() {
            return Some(("gate", "cannot be set for a remote pool, whose tasks run elsewhere; enter it in the job"));
        }
        if rare.order.is_some() {
            return Some((
                "priorities",
                "cannot be set for a remote pool, whose queue is first in, first out; use a queue for each level",
            ));
        }
        (remote.attempts == 0).then_some(("attempts", "is 0, so no job could ever run; use at least 1"))
    }
}
