//! Every accepted task ends exactly once, whatever cancels, joins, drops, closes and stops race about it: its closure
//! and its result are dropped once each, its handle resolves once, and the pool's counts add up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heirloom::{PoolConfig, Scope, TaskHandle, TaskSet};

use crate::common::{bounded, eventually};

/// What became of the tasks of one round.
#[derive(Default)]
struct Ledger {
    accepted: AtomicUsize,
    closures: AtomicUsize,
    ran: AtomicUsize,
    results: AtomicUsize,
    values: AtomicUsize,
    panics: AtomicUsize,
    cancels: AtomicUsize,
    detached: AtomicUsize,
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

/// Counts its drop.
struct Closure(Arc<Ledger>);
struct Value(Arc<Ledger>);

impl Drop for Closure {
    fn drop(&mut self) {
        count(&self.0.closures);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        count(&self.0.results);
    }
}

/// A small generator, so that rounds differ and can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn note(ledger: &Ledger, outcome: Result<Value, heirloom::Error>) {
    match outcome {
        Ok(_) => count(&ledger.values),
        Err(error) if error.is_panic() => count(&ledger.panics),
        Err(error) => {
            assert!(error.is_cancelled(), "{error}");
            count(&ledger.cancels);
        }
    }
}

/// Does something with a handle that may or may not be of a finished task.
fn handle_it(dice: &mut Dice, ledger: &Arc<Ledger>, task: TaskHandle<Value>, set: &mut TaskSet<Value>) {
    match dice.roll(8) {
        0 => note(ledger, task.join()),
        1 => {
            task.cancel();
            note(ledger, task.join());
        }
        2 => {
            count(&ledger.detached);
            drop(task);
        }
        3 => {
            task.cancel();
            count(&ledger.detached);
        }
        4 => match task.join_timeout(Duration::from_micros(dice.roll(200))) {
            Ok(outcome) => note(ledger, outcome),
            Err(task) => note(ledger, task.join()),
        },
        5 => note(ledger, futures::executor::block_on(task)),
        6 => set.push(task),
        _ => {
            let task = Arc::new(task);
            let other = Arc::clone(&task);
            let canceller = std::thread::spawn(move || drop((other.cancel(), other)));
            canceller.join().expect("cancels");
            match Arc::into_inner(task) {
                Some(task) => note(ledger, task.join()),
                None => unreachable!("the other is gone"),
            }
        }
    }
}

fn rounds(configs: [PoolConfig; 2], end: u64) {
    bounded(move || {
        let until = std::time::Instant::now() + Duration::from_secs(4);
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        while std::time::Instant::now() < until {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            round(configs[(seed >> 40) as usize % 2].clone(), seed | 1, end);
        }
    });
}

fn round(config: PoolConfig, seed: u64, end: u64) {
    let scope = Scope::new("round");
    let pool = scope.create("work");
    let daemon = config.clone().daemon() == config;
    pool.start(config.log_panics(false)).expect("starts");
    let ledger = Arc::new(Ledger::default());
    let submitters: Vec<_> = (0..3_u64)
        .map(|n| {
            let (pool, ledger) = (pool.clone(), Arc::clone(&ledger));
            std::thread::spawn(move || {
                let mut dice = Dice(seed.wrapping_add(n * 7919) | 1);
                let mut set = TaskSet::new();
                for _ in 0..40 {
                    let (closure, result, panics) =
                        (Closure(Arc::clone(&ledger)), Arc::clone(&ledger), dice.roll(9) == 0);
                    let nested = (dice.roll(5) == 0).then(|| pool.clone());
                    let task = pool.submit(move || {
                        let closure = closure;
                        count(&closure.0.ran);
                        let value = Value(result);
                        if let Some(pool) = nested {
                            // One more, joined from within the pool.
                            let _ = pool.submit(|| 1).map(TaskHandle::join);
                        }
                        if panics {
                            std::panic::resume_unwind(Box::new("quietly"));
                        }
                        value
                    });
                    match task {
                        Ok(task) => {
                            count(&ledger.accepted);
                            handle_it(&mut dice, &ledger, task, &mut set);
                        }
                        // Its closure counted itself when it was dropped.
                        Err(_refused) => {}
                    }
                }
                while let Some((_, outcome)) = set.join_next() {
                    note(&ledger, outcome);
                }
            })
        })
        .collect();
    let ender = {
        let pool = pool.clone();
        std::thread::spawn(move || {
            for _ in 0..seed % 40 {
                std::thread::yield_now();
            }
            match end {
                0 => pool.close(),
                1 => pool.cancel(),
                _ => drop(pool.stop()),
            }
        })
    };
    for submitter in submitters {
        submitter.join().expect("submits and joins");
    }
    ender.join().expect("ends the pool");
    pool.close();
    pool.wait_idle().expect("not from an own task");
    let of = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    let ledger = &*ledger;
    assert_eq!(of(&ledger.closures), 120, "each closure, accepted or not, is dropped once");
    assert_eq!(of(&ledger.results), of(&ledger.ran), "each value that was made is dropped once");
    let resolved = of(&ledger.values) + of(&ledger.panics) + of(&ledger.cancels) + of(&ledger.detached);
    assert_eq!(resolved, of(&ledger.accepted), "each handle resolves once");
    // The shell of a cancelled task may still be on its way through a worker.
    eventually("the pool shows itself at rest", || {
        let stats = pool.stats();
        (stats.running, stats.waiting, stats.queued) == (0, 0, 0)
    });
    let stats = pool.stats();
    let ended = stats.completed + stats.interrupted + stats.panicked + stats.cancelled;
    assert!(ended >= of(&ledger.accepted) as u64, "{stats:?}");
    assert!(of(&ledger.ran) as u64 <= stats.completed + stats.interrupted + stats.panicked, "{stats:?}");
    let report = pool.stop().expect("not from an own task");
    assert!(report.is_complete() && (daemon || report.still_running.is_empty()), "{report}");
    scope.finish();
}

#[test]
fn each_task_of_a_pool_that_is_closed_ends_once() {
    rounds([PoolConfig::leased(1), PoolConfig::leased(2)], 0);
}

#[test]
fn each_task_of_a_pool_that_is_cancelled_ends_once() {
    rounds([PoolConfig::leased(1), PoolConfig::leased(3)], 1);
}

#[test]
fn each_task_of_a_pool_that_is_stopped_ends_once() {
    rounds([PoolConfig::leased(2), PoolConfig::dedicated(2)], 2);
}

#[test]
fn each_task_of_a_daemon_pool_that_is_closed_ends_once() {
    rounds([PoolConfig::leased(1).daemon(), PoolConfig::dedicated(2).daemon()], 0);
}

#[test]
fn each_task_of_a_bounded_queue_ends_once() {
    rounds([PoolConfig::leased(1).queue_limit(3), PoolConfig::leased(2).queue_limit(1).holds_permit()], 2);
}
