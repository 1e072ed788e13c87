//! `n` bounds the tasks that have started and are not in one of heirloom's waits: as many run when they can, never more
//! start, and a task that comes back from a wait goes on at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};

use crate::common::pools::{Busy, Crowd, started};
use crate::common::{bounded, eventually};

fn kinds(n: usize) -> [PoolConfig; 2] {
    [PoolConfig::leased(n), PoolConfig::dedicated(n)]
}

#[test]
fn n_tasks_run_at_once() {
    bounded(|| {
        for config in kinds(5) {
            let scope = Scope::new("test");
            let pool = started(&scope, "five", config);
            let together = Arc::new(Barrier::new(5));
            let tasks: Vec<_> = (0..5)
                .map(|_| {
                    let together = together.clone();
                    pool.submit(move || together.wait().is_leader()).expect("accepted")
                })
                .collect();
            let leaders = tasks.into_iter().map(|task| task.join().expect("all five meet")).filter(|leads| *leads);
            assert_eq!(leaders.count(), 1);
        }
    });
}

#[test]
fn never_more_than_n_run_at_once() {
    bounded(|| {
        for n in [1, 2, 3] {
            for config in kinds(n) {
                let scope = Scope::new("test");
                let pool = started(&scope, "some", config);
                let crowd = Arc::new(Crowd::default());
                std::thread::scope(|threads| {
                    for _ in 0..3 {
                        threads.spawn(|| {
                            let tasks: Vec<_> = (0..300)
                                .map(|_| {
                                    let crowd = crowd.clone();
                                    pool.submit(move || crowd.visit()).expect("accepted")
                                })
                                .collect();
                            for task in tasks {
                                task.join().expect("runs");
                            }
                        });
                    }
                });
                assert!(crowd.most() <= n, "{} at once, limit {n}", crowd.most());
            }
        }
    });
}

#[test]
fn one_more_waits_for_a_place_and_takes_the_first() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "two", PoolConfig::leased(2));
        let (a, b) = (Busy::on(&pool), Busy::on(&pool));
        let third = pool.submit(|| 7).expect("accepted");
        let stats = pool.stats();
        assert_eq!((stats.running, stats.queued), (2, 1));
        a.end();
        assert_eq!(third.join().expect("runs"), 7);
        b.end();
    });
}

/// A task that waits until told, says that it is back, and ends when told.
struct Waiter {
    task: TaskHandle<()>,
    come_back: mpsc::Sender<()>,
    back: mpsc::Receiver<()>,
    end: mpsc::Sender<()>,
}

impl Waiter {
    fn on(pool: &PoolManager) -> Self {
        let (come_back, wait) = mpsc::channel::<()>();
        let (back_tx, back) = mpsc::channel();
        let (end, gate) = mpsc::channel::<()>();
        let (in_wait, waits) = mpsc::channel();
        let task = pool
            .submit(move || {
                heirloom::blocking(|| {
                    in_wait.send(()).expect("the test listens");
                    let _ = wait.recv();
                });
                back_tx.send(()).expect("the test listens");
                let _ = gate.recv();
            })
            .expect("accepted");
        waits.recv().expect("it waits");
        Self { task, come_back, back, end }
    }
}

#[test]
fn a_waiting_task_gives_its_place_to_the_next_one() {
    bounded(|| {
        for config in kinds(1) {
            let scope = Scope::new("test");
            let pool = started(&scope, "one", config);
            let waiter = Waiter::on(&pool);
            let stats = pool.stats();
            assert_eq!((stats.running, stats.waiting), (0, 1));
            assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs meanwhile"), 7);
            waiter.come_back.send(()).expect("it listens");
            waiter.end.send(()).expect("it listens");
            waiter.task.join().expect("runs");
        }
    });
}

#[test]
fn many_waiting_tasks_leave_all_n_places_to_others() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "two", PoolConfig::leased(2));
        let waiters: Vec<_> = (0..20).map(|_| Waiter::on(&pool)).collect();
        let crowd = Arc::new(Crowd::default());
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let crowd = crowd.clone();
                pool.submit(move || crowd.visit()).expect("accepted")
            })
            .collect();
        for task in tasks {
            task.join().expect("runs");
        }
        assert!(crowd.most() <= 2);
        assert_eq!(pool.stats().waiting, 20);
        for waiter in waiters {
            waiter.come_back.send(()).expect("it listens");
            waiter.end.send(()).expect("it listens");
            waiter.task.join().expect("runs");
        }
    });
}

#[test]
fn a_task_after_its_wait_goes_on_at_once_and_nothing_starts_until_below_n() {
    bounded(|| {
        for config in kinds(1) {
            let scope = Scope::new("test");
            let pool = started(&scope, "one", config);
            let waiter = Waiter::on(&pool);
            let took_place = Busy::on(&pool);
            let next_started = Arc::new(AtomicBool::new(false));
            let flag = next_started.clone();
            let next = pool.submit(move || flag.store(true, Ordering::SeqCst)).expect("accepted");
            waiter.come_back.send(()).expect("it listens");
            waiter.back.recv().expect("it goes on although its place is taken");
            assert_eq!(pool.stats().running, 2, "above the limit, for the moment");
            took_place.end();
            // One place, and the task that came back has it.
            eventually("the other is gone", || pool.stats().running == 1);
            assert_eq!(pool.stats().queued, 1);
            assert!(!next_started.load(Ordering::SeqCst), "started while the pool was at its limit");
            // Nor does a new submission start anything.
            let another = pool.submit(|| 7).expect("accepted");
            assert_eq!((pool.stats().running, pool.stats().queued), (1, 2));
            waiter.end.send(()).expect("it listens");
            waiter.task.join().expect("runs");
            next.join().expect("runs");
            assert_eq!(another.join().expect("runs"), 7);
        }
    });
}

#[test]
fn the_pool_comes_down_to_n_from_far_above_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "two", PoolConfig::leased(2));
        let waiters: Vec<_> = (0..6).map(|_| Waiter::on(&pool)).collect();
        let others = [Busy::on(&pool), Busy::on(&pool)];
        let count = Arc::new(AtomicUsize::new(0));
        let queued: Vec<_> = (0..10)
            .map(|_| {
                let count = count.clone();
                pool.submit(move || count.fetch_add(1, Ordering::SeqCst)).expect("accepted")
            })
            .collect();
        for waiter in &waiters {
            waiter.come_back.send(()).expect("it listens");
            waiter.back.recv().expect("goes on at once");
        }
        assert_eq!(pool.stats().running, 8);
        for other in others {
            other.end();
        }
        for (i, waiter) in waiters.into_iter().enumerate() {
            eventually("who ended is gone", || pool.stats().running == 6 - i || i > 4);
            if i <= 4 {
                assert_eq!(count.load(Ordering::SeqCst), 0, "{} ran while {} were there", 10, 6 - i);
            }
            waiter.end.send(()).expect("it listens");
            waiter.task.join().expect("runs");
        }
        for task in queued {
            task.join().expect("runs");
        }
    });
}

#[test]
fn a_wait_comes_back_although_who_took_the_place_is_blocked_on_a_lock_it_holds() {
    bounded(|| {
        for config in kinds(1) {
            let scope = Scope::new("test");
            let pool = started(&scope, "one", config);
            let lock = Arc::new(parking_lot::Mutex::new(Vec::new()));
            let (held, other) = (lock.clone(), lock.clone());
            let (tx, rx) = mpsc::channel::<()>();
            let (trying_tx, trying) = mpsc::channel();
            let (in_wait, waits) = mpsc::channel();
            let holder = pool
                .submit(move || {
                    let mut guard = held.lock();
                    heirloom::blocking(|| {
                        in_wait.send(()).expect("the test listens");
                        let _ = rx.recv();
                    });
                    guard.push("holder");
                })
                .expect("accepted");
            waits.recv().expect("it waits, holding the lock");
            let blocked = pool
                .submit(move || {
                    trying_tx.send(()).expect("the test listens");
                    other.lock().push("blocked");
                })
                .expect("accepted");
            trying.recv().expect("it has the place");
            tx.send(()).expect("the task listens");
            holder.join().expect("goes on at once, or this never ends");
            blocked.join().expect("runs");
            assert_eq!(*lock.lock(), ["holder", "blocked"]);
        }
    });
}
