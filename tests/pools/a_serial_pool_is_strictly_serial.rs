//! `holds_permit` never gives the place away: at most `n` tasks run code at a time, and with `n = 1` each ends before the
//! next starts, whatever it waits for, but for one that runs in place inside its joiner.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::common::bounded;
use crate::common::pools::{Busy, Crowd, started};

#[test]
fn a_task_in_any_wait_keeps_the_others_out() {
    bounded(|| {
        for config in [PoolConfig::leased(1).holds_permit(), PoolConfig::dedicated(1).holds_permit()] {
            let scope = Scope::new("test");
            let serial = started(&scope, "serial", config);
            let other = started(&scope, "other", PoolConfig::leased(1));
            let log = Arc::new(Mutex::new(Vec::new()));
            let begin = Busy::on(&serial);
            let mut tasks = Vec::new();
            for i in 0..7 {
                let (log, other) = (log.clone(), other.clone());
                let task = serial.submit(move || {
                    log.lock().expect("nobody panics here").push((i, "starts"));
                    match i {
                        0 => other.submit(|| ()).expect("accepted").join().expect("runs"),
                        1 => {
                            let waits = other.submit(std::thread::yield_now).expect("accepted");
                            waits.join_timeout(Duration::from_secs(50)).expect("in time").expect("runs");
                        }
                        2 => heirloom::blocking(std::thread::yield_now),
                        3 => other.wait_idle().expect("no task of its own"),
                        4 => other.scope(|s| drop(s.submit(|| ()).expect("accepted"))),
                        5 => other.run(|| ()).expect("runs"),
                        _ => drop(other.map(0..20, |n| n).expect("accepted").collect::<Vec<_>>()),
                    }
                    log.lock().expect("nobody panics here").push((i, "ends"));
                });
                tasks.push(task.expect("accepted"));
            }
            begin.end();
            for task in tasks {
                task.join().expect("runs");
            }
            let wanted: Vec<_> = (0..7).flat_map(|i| [(i, "starts"), (i, "ends")]).collect();
            assert_eq!(*log.lock().expect("nobody panics here"), wanted);
        }
    });
}

#[test]
fn a_waiting_task_counts_as_running() {
    bounded(|| {
        let scope = Scope::new("test");
        let serial = started(&scope, "serial", PoolConfig::leased(1).holds_permit());
        let (go, gate) = mpsc::channel::<()>();
        let (here, waits) = mpsc::channel();
        let task = serial
            .submit(move || {
                heirloom::blocking(|| {
                    here.send(()).expect("the test listens");
                    let _ = gate.recv();
                });
            })
            .expect("accepted");
        waits.recv().expect("it waits");
        let next = serial.submit(|| ()).expect("accepted");
        let stats = serial.stats();
        assert_eq!((stats.running, stats.waiting, stats.queued), (1, 0, 1));
        go.send(()).expect("the task listens");
        task.join().expect("runs");
        next.join().expect("runs");
    });
}

#[test]
fn a_pool_of_n_never_has_more_than_n_started_and_not_ended() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "three", PoolConfig::leased(3).holds_permit());
        let crowd = Arc::new(Crowd::default());
        let tasks: Vec<_> = (0..500)
            .map(|_| {
                let crowd = crowd.clone();
                pool.submit(move || {
                    crowd.enter();
                    heirloom::blocking(std::thread::yield_now);
                    crowd.leave();
                })
                .expect("accepted")
            })
            .collect();
        for task in tasks {
            task.join().expect("runs");
        }
        assert!(crowd.most() <= 3, "{}", crowd.most());
    });
}

#[test]
fn with_n_places_never_more_than_n_run_code_also_when_they_join_each_other() {
    fn work(pool: &PoolManager, crowd: &Arc<Crowd>, left: u32) {
        crowd.enter();
        for _ in 0..left {
            let (inner, also) = (pool.clone(), crowd.clone());
            let task = pool.submit(move || work(&inner, &also, left - 1)).expect("accepted");
            std::thread::yield_now();
            crowd.leave();
            task.join().expect("runs");
            crowd.enter();
        }
        crowd.leave();
    }
    bounded(|| {
        for n in [1, 2] {
            let scope = Scope::new("test");
            let pool = started(&scope, "few", PoolConfig::leased(n).holds_permit());
            let crowd = Arc::new(Crowd::default());
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    let (inner, crowd) = (pool.clone(), crowd.clone());
                    pool.submit(move || work(&inner, &crowd, 4)).expect("accepted")
                })
                .collect();
            for task in tasks {
                task.join().expect("runs");
            }
            assert!(crowd.most() <= n, "{} of {n}", crowd.most());
        }
    });
}

#[test]
fn one_that_is_joined_runs_inside_its_joiner() {
    bounded(|| {
        let scope = Scope::new("test");
        let serial = started(&scope, "serial", PoolConfig::leased(1).holds_permit());
        let inner = serial.clone();
        let running = serial.submit(move || {
            let look = inner.clone();
            inner.submit(move || look.stats().running).expect("accepted").join().expect("runs")
        });
        assert_eq!(running.expect("accepted").join().expect("runs"), 2, "both have started, and neither has ended");
    });
}

#[test]
fn a_task_that_times_out_on_one_behind_it_goes_on() {
    bounded(|| {
        let scope = Scope::new("test");
        let serial = started(&scope, "serial", PoolConfig::leased(1).holds_permit());
        let inner = serial.clone();
        let answer = serial.submit(move || {
            let behind = inner.submit(|| 7).expect("accepted");
            // A timed join never runs it in place, and nobody else may start it.
            let behind = behind.join_timeout(Duration::from_millis(20)).expect_err("it cannot have started");
            behind.join().expect("an untimed one runs it here")
        });
        assert_eq!(answer.expect("accepted").join().expect("runs"), 7);
    });
}
