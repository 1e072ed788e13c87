//! An untimed join on a worker, of a task of its own pool which nobody has started yet, runs exactly that task in
//! place, however deep; so does polling such a handle. It never runs any other task.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, TaskSet};

use crate::common::bounded;
use crate::common::pools::{Busy, Nest, block_on, started, this_thread};

fn kinds() -> [PoolConfig; 3] {
    [PoolConfig::leased(1), PoolConfig::dedicated(1), PoolConfig::leased(1).holds_permit()]
}

/// Runs `f` as a task of a pool with one place.
fn on_worker<T: Send + 'static>(config: PoolConfig, f: impl FnOnce(&PoolManager) -> T + Send + 'static) -> T {
    let scope = Scope::new("test");
    let pool = started(&scope, "one", config);
    let inner = pool.clone();
    pool.submit(move || f(&inner)).expect("accepted").join().expect("runs")
}

#[test]
fn a_join_runs_the_task_on_the_joiners_thread() {
    bounded(|| {
        for config in kinds() {
            let (joiner, ran) = on_worker(config, |pool| {
                (this_thread(), pool.submit(this_thread).expect("accepted").join().expect("runs"))
            });
            assert_eq!(joiner, ran);
        }
    });
}

#[test]
fn polling_runs_the_task_on_the_pollers_thread() {
    bounded(|| {
        for config in kinds() {
            let (poller, ran) = on_worker(config, |pool| {
                (this_thread(), block_on(pool.submit(this_thread).expect("accepted")).expect("runs"))
            });
            assert_eq!(poller, ran);
        }
    });
}

#[test]
fn waiting_for_a_set_runs_its_tasks_on_the_waiters_thread() {
    bounded(|| {
        for config in kinds() {
            on_worker(config, |pool| {
                let mut set: TaskSet<ThreadId> = (0..10).map(|_| pool.submit(this_thread).expect("accepted")).collect();
                while let Some((_, ran)) = set.join_next() {
                    assert_eq!(ran.expect("runs"), this_thread());
                }
            });
        }
    });
}

#[test]
fn a_scoped_join_runs_the_task_on_the_joiners_thread() {
    bounded(|| {
        for config in kinds() {
            on_worker(config, |pool| {
                let here = this_thread();
                let local = String::from("borrowed");
                let ran =
                    pool.scope(|s| s.submit(|| (this_thread(), local.len())).expect("accepted").join().expect("runs"));
                assert_eq!(ran, (here, 8));
            });
        }
    });
}

#[test]
fn joins_in_any_order_each_run_their_own() {
    bounded(|| {
        for config in kinds() {
            on_worker(config, |pool| {
                let log = Arc::new(Mutex::new(Vec::new()));
                let mut handles: Vec<_> = (0..10)
                    .map(|i| {
                        let log = log.clone();
                        pool.submit(move || log.lock().expect("nobody panics here").push(i)).expect("accepted")
                    })
                    .collect();
                // The newest first, then the oldest, and so on: each join runs that one task and no other.
                let mut wanted = Vec::new();
                for i in [9, 0, 8, 1, 7] {
                    let at = handles.len() - 1;
                    let handle = handles.remove(if i > 4 { at } else { 0 });
                    wanted.push(i);
                    handle.join().expect("runs");
                    assert_eq!(*log.lock().expect("nobody panics here"), wanted);
                }
            });
        }
    });
}

#[test]
fn no_unrelated_task_runs_on_the_stack_of_a_joiner_that_holds_a_lock() {
    thread_local! {
        static HOLDS_LOCK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    bounded(|| {
        for config in kinds() {
            let scope = Scope::new("test");
            let pool = started(&scope, "one", config);
            let busy = Busy::on(&pool);
            let lock = Arc::new(parking_lot::Mutex::new(0));
            let (inner, held) = (pool.clone(), lock.clone());
            let holder = pool
                .submit(move || {
                    let mut guard = held.lock();
                    HOLDS_LOCK.set(true);
                    // Behind everything else that is queued.
                    let value = inner.submit(|| 7).expect("accepted").join().expect("runs");
                    // Nobody has started any of these: a deadlock if one ran here.
                    let by_poll = block_on(inner.submit(|| 8).expect("accepted")).expect("runs");
                    inner.scope(|s| drop(s.submit(|| ()).expect("accepted")));
                    HOLDS_LOCK.set(false);
                    *guard += value + by_poll;
                })
                .expect("accepted");
            let others: Vec<_> = (0..50)
                .map(|_| {
                    let lock = lock.clone();
                    pool.submit(move || {
                        assert!(!HOLDS_LOCK.get(), "runs on the stack of the holder");
                        *lock.lock() += 100;
                    })
                    .expect("accepted")
                })
                .collect();
            busy.end();
            holder.join().expect("runs");
            for other in others {
                other.join().expect("runs");
            }
            assert_eq!(*lock.lock(), 5_015);
        }
    });
}

#[test]
fn a_wait_that_blocks_runs_nothing_on_its_stack() {
    thread_local! {
        static WAITS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let other = started(&scope, "other", PoolConfig::leased(1));
        let busy = Busy::on(&other);
        let slow = other.submit(|| ()).expect("accepted");
        let waits = pool
            .submit(move || {
                WAITS.set(true);
                slow.join().expect("runs");
                WAITS.set(false);
            })
            .expect("accepted");
        let tasks: Vec<_> = (0..100)
            .map(|_| pool.submit(|| assert!(!WAITS.get(), "runs on the stack of a waiter")).expect("accepted"))
            .collect();
        for task in tasks {
            task.join().expect("runs, elsewhere");
        }
        busy.end();
        waits.join().expect("runs");
    });
}

/// What a chain of tasks that each join the next one saw.
struct Chain {
    deepest: u32,
    threads: HashSet<ThreadId>,
    length: u32,
}

fn chain(pool: &PoolManager, left: u32) -> Chain {
    Nest::deeper(|depth| {
        if left == 0 {
            return Chain { deepest: depth, threads: HashSet::from([this_thread()]), length: 1 };
        }
        let inner = pool.clone();
        let mut below = pool.submit(move || chain(&inner, left - 1)).expect("accepted").join().expect("runs");
        below.deepest = below.deepest.max(depth);
        below.threads.insert(this_thread());
        below.length += 1;
        below
    })
}

#[cfg(feature = "stacker")]
#[test]
fn any_number_run_in_place_inside_one_another_on_one_thread() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let seen = on_worker(config, |pool| chain(pool, 300));
            assert_eq!((seen.length, seen.deepest, seen.threads.len()), (301, 301, 1));
        }
    });
}

#[cfg(not(feature = "stacker"))]
#[test]
fn at_most_32_run_in_place_inside_one_another_where_stacks_do_not_grow() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1), PoolConfig::leased(2)] {
            let seen = on_worker(config, |pool| chain(pool, 300));
            assert_eq!(seen.length, 301);
            // One that the worker started, and 32 in it.
            assert_eq!(seen.deepest, 33);
            assert!(seen.threads.len() >= 300 / 33, "{} threads", seen.threads.len());
        }
    });
}

#[test]
fn one_that_cannot_give_its_place_away_runs_it_in_place_too() {
    bounded(|| {
        let seen = on_worker(PoolConfig::leased(1).holds_permit(), |pool| chain(pool, 100));
        assert_eq!((seen.length, seen.threads.len()), (101, 1));
        let seen = on_worker(PoolConfig::leased(1).max_blocked(0), |pool| chain(pool, 100));
        assert_eq!((seen.length, seen.threads.len()), (101, 1));
    });
}

fn poll_chain(pool: &PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let inner = pool.clone();
    1 + block_on(pool.submit(move || poll_chain(&inner, left - 1)).expect("accepted")).expect("runs")
}

#[test]
fn a_chain_of_polls_deeper_than_32_ends_too() {
    bounded(|| {
        for config in kinds() {
            assert_eq!(on_worker(config, |pool| poll_chain(pool, 60)), 60);
        }
    });
}

#[test]
fn a_panic_in_place_is_the_tasks_alone() {
    bounded(|| {
        for config in kinds() {
            on_worker(config.log_panics(false), |pool| {
                let error = pool.submit(|| panic!("inside")).expect("accepted").join().expect_err("it panicked");
                assert_eq!(error.panic_message(), Some("inside"));
                assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs in place again"), 7);
            });
        }
    });
}

#[test]
fn a_task_in_place_stands_at_its_own_node_and_the_joiner_is_back_at_its_own() {
    bounded(|| {
        on_worker(PoolConfig::leased(1), |pool| {
            let before = heirloom::current();
            let inside = pool.submit(heirloom::current).expect("accepted").join().expect("runs");
            assert_eq!(inside.parent(), Some(before.clone()));
            assert_eq!(heirloom::current(), before);
        });
    });
}

#[test]
fn a_timed_join_never_runs_it_in_place() {
    bounded(|| {
        on_worker(PoolConfig::leased(1), |pool| {
            let here = this_thread();
            let ran = pool.submit(this_thread).expect("accepted").join_timeout(Duration::from_secs(50));
            assert_ne!(ran.expect("in time").expect("runs"), here);
        });
    });
}

#[test]
fn a_join_from_outside_never_runs_it_in_place_where_the_pool_has_workers_only() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1).workers_only());
        let here = this_thread();
        for _ in 0..100 {
            assert_ne!(pool.submit(this_thread).expect("accepted").join().expect("runs"), here);
        }
    });
}

#[test]
fn a_join_on_a_worker_of_another_pool_never_runs_it_in_place() {
    bounded(|| {
        let scope = Scope::new("test");
        let (one, other) =
            (started(&scope, "one", PoolConfig::leased(1)), started(&scope, "other", PoolConfig::dedicated(1)));
        let ran = one
            .submit(move || (this_thread(), other.submit(this_thread).expect("accepted").join().expect("runs")))
            .expect("accepted")
            .join()
            .expect("runs");
        assert_ne!(ran.0, ran.1);
    });
}

#[test]
fn a_started_task_is_waited_for_and_not_run_again() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "two", PoolConfig::leased(2));
        let (started_tx, has_started) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let once = Arc::new(AtomicBool::new(false));
        let inner = once.clone();
        let task = pool
            .submit(move || {
                assert!(!inner.swap(true, Ordering::SeqCst), "runs twice");
                started_tx.send(this_thread()).expect("the test listens");
                let _ = gate.recv();
                this_thread()
            })
            .expect("accepted");
        let its_thread = has_started.recv().expect("it starts");
        let (joins_tx, joins) = mpsc::channel();
        let joiner = pool
            .submit(move || {
                joins_tx.send(()).expect("the test listens");
                (this_thread(), task.join().expect("runs"))
            })
            .expect("accepted");
        joins.recv().expect("it starts beside the other");
        go.send(()).expect("the task listens");
        let (joiners_thread, ran_on) = joiner.join().expect("runs");
        assert_eq!(ran_on, its_thread);
        assert_ne!(joiners_thread, its_thread);
    });
}

#[test]
fn joining_ones_own_task_is_refused_at_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let (tx, rx) = mpsc::channel::<heirloom::TaskHandle<bool>>();
        let task = pool
            .submit(move || {
                let me = rx.recv().expect("the test sends it");
                me.join().is_err_and(|error| error.kind() == heirloom::ErrorKind::FromOwnTask)
            })
            .expect("accepted");
        tx.send(task).expect("the task listens");
        pool.wait_idle().expect("from outside");
        assert_eq!(pool.stats().completed, 1);
    });
}
