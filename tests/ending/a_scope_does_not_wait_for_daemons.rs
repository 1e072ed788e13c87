//! Ending a scope treats daemon pools as ending the pool does: what is queued in them is cancelled, what runs is not
//! waited for, whether the scope owns the pool or its tasks were only asked for below it.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};

use crate::common::bounded;

/// A pool of one whose only place is taken until the sender is dropped.
fn busy(pool: &PoolManager, at: &Scope) -> (mpsc::Sender<()>, TaskHandle<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let task = at
        .run(|| {
            pool.submit(move || {
                let _ = started.send(());
                let _ = gate.recv();
            })
        })
        .expect("accepted");
    running.recv().expect("runs");
    (go, task)
}

#[test]
fn a_daemon_pool_it_owns_is_not_waited_for() {
    bounded(|| {
        let scope = Scope::new("request");
        let pool = scope.create("background");
        pool.start(PoolConfig::leased(1).daemon()).expect("starts");
        let (go, task) = busy(&pool, &scope);
        let (ended, end) = mpsc::channel();
        let stopper = std::thread::spawn(move || {
            let report = scope.stop();
            let _ = ended.send(report);
            scope
        });
        let report = end.recv_timeout(Duration::from_secs(5));
        drop(go);
        task.join().expect("ends");
        drop(stopper.join());
        let report = report.expect("the stop returns while the daemon's task runs").expect("not from an own task");
        assert_eq!(report.remaining, 1);
        assert!(!report.is_complete());
    });
}

#[test]
fn a_task_below_it_in_a_daemon_pool_elsewhere_is_not_waited_for() {
    bounded(|| {
        let outer = Scope::new("service");
        let pool = outer.create("background");
        pool.start(PoolConfig::leased(1).daemon()).expect("starts");
        let scope = Scope::new_in(&outer, "request");
        let (go, task) = busy(&pool, &scope);
        let (ended, end) = mpsc::channel();
        let stopper = std::thread::spawn(move || {
            let report = scope.stop();
            let _ = ended.send(report);
            scope
        });
        let report = end.recv_timeout(Duration::from_secs(5));
        drop(go);
        task.join().expect("ends");
        drop(stopper.join());
        assert!(report.is_ok(), "the stop waits for a daemon pool's task");
    });
}

#[test]
fn what_is_queued_below_it_in_a_daemon_pool_elsewhere_is_cancelled_by_close() {
    bounded(|| {
        let outer = Scope::new("service");
        let pool = outer.create("background");
        pool.start(PoolConfig::leased(1).daemon()).expect("starts");
        let (go, task) = busy(&pool, &outer);
        let scope = Scope::new_in(&outer, "request");
        let queued = scope.run(|| pool.submit(|| 1)).expect("accepted");
        let others = outer.run(|| pool.submit(|| 2)).expect("accepted");
        scope.close();
        drop(go);
        task.join().expect("ends");
        assert!(queued.join().expect_err("a closed scope's daemon tasks do not start").is_cancelled());
        assert_eq!(others.join().expect("not below the scope"), 2);
    });
}

#[test]
fn what_is_queued_in_a_daemon_pool_it_owns_is_cancelled_by_close() {
    bounded(|| {
        let scope = Scope::new("request");
        let pool = scope.create("background");
        pool.start(PoolConfig::leased(1).daemon()).expect("starts");
        let (go, task) = busy(&pool, &scope);
        let queued = scope.run(|| pool.submit(|| 1)).expect("accepted");
        scope.close();
        assert!(queued.join().expect_err("a closed daemon pool starts nothing").is_cancelled());
        drop(go);
        task.join().expect("what runs goes on to its end");
    });
}
