//! An origin and workers on one loopback engine, and jobs that the test begins, holds and ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, LazyLock, Mutex};
use std::time::Duration;

use heirloom::remote::{self, Job, Loopback, Serving};
use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};
use serde::{Deserialize, Serialize};

use crate::a_serving_ends_in_order::Stubborn;
use crate::common::BOUND;
use crate::puppet::LEASE;

/// Doubles a number.
#[derive(Serialize, Deserialize)]
pub(crate) struct Double(pub(crate) u64);

impl Job for Double {
    const NAME: &'static str = "double";
    type Output = u64;

    fn run(self) -> u64 {
        self.0 * 2
    }
}

/// A job that no worker of the tests knows.
#[derive(Serialize, Deserialize)]
pub(crate) struct Unknown;

impl Job for Unknown {
    const NAME: &'static str = "unknown";
    type Output = ();

    fn run(self) {}
}

#[derive(Default)]
struct Stage {
    begun: u32,
    attempts: Vec<u32>,
    open: bool,
    cancelled: u32,
}

static STAGES: LazyLock<(Mutex<HashMap<u64, Stage>>, Condvar)> = LazyLock::new(Default::default);

fn stage<R>(key: u64, f: impl FnOnce(&mut Stage) -> R) -> R {
    let mut stages = STAGES.0.lock().expect("no panic under it");
    let result = f(stages.entry(key).or_default());
    STAGES.1.notify_all();
    result
}

fn wait_until(key: u64, mut done: impl FnMut(&Stage) -> bool) {
    let stages = STAGES.0.lock().expect("no panic under it");
    let waited = STAGES.1.wait_timeout_while(stages, BOUND / 2, |stages| !done(stages.entry(key).or_default()));
    assert!(!waited.expect("no panic under it").1.timed_out(), "the awaited state of a held job never came");
}

/// The key of a job that the test holds.
#[derive(Clone, Copy)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn job(self) -> Held {
        Held { key: self.0 }
    }

    /// Sends a job, and waits until it has begun.
    pub(crate) fn begun(self, pool: &PoolManager) -> TaskHandle<bool> {
        let task = pool.send(self.job()).expect("accepted");
        self.has_begun(1);
        task
    }

    pub(crate) fn repeatable(self) -> Repeatable {
        Repeatable { key: self.0 }
    }

    /// Names the key within another job.
    pub(crate) fn stays(self) -> u64 {
        self.0
    }

    /// Lets all jobs of the key end, now and later.
    pub(crate) fn open(self) {
        stage(self.0, |stage| stage.open = true);
    }

    pub(crate) fn has_begun(self, times: u32) {
        wait_until(self.0, |stage| stage.begun >= times);
    }

    pub(crate) fn was_cancelled(self) {
        wait_until(self.0, |stage| stage.cancelled > 0);
    }

    pub(crate) fn begins(self) -> u32 {
        stage(self.0, |stage| stage.begun)
    }

    pub(crate) fn attempts(self) -> Vec<u32> {
        stage(self.0, |stage| stage.attempts.clone())
    }
}

/// Runs until the test opens it, or it is cancelled. Returns whether it was opened.
fn hold(key: u64) -> bool {
    let attempt = heirloom::current().origin().map_or(0, |origin| origin.attempt());
    stage(key, |stage| {
        stage.begun += 1;
        stage.attempts.push(attempt);
    });
    loop {
        if stage(key, |stage| stage.open) {
            return true;
        }
        if heirloom::sleep(Duration::from_millis(1)).is_err() {
            stage(key, |stage| stage.cancelled += 1);
            return false;
        }
    }
}

/// Runs until the test opens it, whatever is asked of it.
pub(crate) fn stay(key: u64) {
    stage(key, |stage| stage.begun += 1);
    wait_until(key, |stage| stage.open);
}

/// A job that the test holds. It begins at most once.
#[derive(Serialize, Deserialize)]
pub(crate) struct Held {
    key: u64,
}

impl Job for Held {
    const NAME: &'static str = "held";
    type Output = bool;

    fn run(self) -> bool {
        hold(self.key)
    }
}

/// The same, which may begin again.
#[derive(Serialize, Deserialize)]
pub(crate) struct Repeatable {
    key: u64,
}

impl Job for Repeatable {
    const NAME: &'static str = "repeatable";
    const REPEATABLE: bool = true;
    type Output = bool;

    fn run(self) -> bool {
        hold(self.key)
    }
}

/// An origin's end of an engine, and the scope of the test.
pub(crate) struct World {
    pub(crate) origin: Loopback,
    pub(crate) scope: Scope,
}

/// One worker, with an end of its own.
pub(crate) struct Worker {
    pub(crate) end: Loopback,
    pub(crate) serving: Serving,
    pub(crate) here: PoolManager,
}

impl World {
    /// For a test in which no lease ends, however long the system lets a thread wait.
    pub(crate) fn new() -> Self {
        Self::with_lease(Duration::from_secs(5))
    }

    /// For a test that waits for the end of a lease.
    pub(crate) fn leased() -> Self {
        Self::with_lease(LEASE)
    }

    fn with_lease(lease: Duration) -> Self {
        Self { origin: Loopback::builder().lease(lease).open(), scope: Scope::new("test") }
    }

    /// Starts a remote pool of `n` at the test's scope.
    pub(crate) fn pool(&self, n: usize) -> PoolManager {
        self.pool_with(PoolConfig::remote(n, self.origin.queue("work")))
    }

    pub(crate) fn pool_with(&self, config: PoolConfig) -> PoolManager {
        let pool = self.scope.create("remote");
        pool.start(config).expect("starts");
        pool
    }

    /// Starts a worker with `n` threads.
    pub(crate) fn worker(&self, n: usize) -> Worker {
        let end = self.origin.another();
        let here = self.scope.create(format!("here {}", end.process()));
        here.start(PoolConfig::leased(n)).expect("starts");
        let serve = remote::serve(end.queue("work"), &here);
        let serving =
            serve.job::<Double>().job::<Held>().job::<Repeatable>().job::<Stubborn>().start().expect("starts");
        Worker { end, serving, here }
    }
}
