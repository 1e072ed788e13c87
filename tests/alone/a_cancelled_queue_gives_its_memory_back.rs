//! Cancelling what is queued behind a long task drops the closures at once and gives the memory back, while the long
//! task still runs.

use std::sync::{Arc, mpsc};

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::allocations::bytes;
use crate::common::alone;

const TASKS: isize = 20_000;

fn held(pool: &PoolManager, cancel: impl Fn(&PoolManager, Vec<heirloom::TaskHandle<u64>>)) -> isize {
    let (go, gate) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    // Not one of the tasks that are cancelled.
    let long = heirloom::Lineage::process().run(|| {
        pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        })
    });
    running.recv().expect("runs");
    let witness = Arc::new(());
    let before = bytes();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (big, seen) = ([1_u64; 32], Arc::clone(&witness));
            pool.submit(move || big.iter().sum::<u64>() + Arc::strong_count(&seen) as u64).expect("accepted")
        })
        .collect();
    assert!(bytes() - before > TASKS * 256);
    cancel(pool, tasks);
    assert_eq!(Arc::strong_count(&witness), 1, "every closure is dropped");
    let held = bytes() - before;
    drop(go);
    long.expect("accepted").join().expect("it was left alone");
    pool.wait_idle().expect("not from an own task");
    held
}

#[test]
fn cancelled_tasks_hold_no_memory_while_a_long_task_runs() {
    alone(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let one_by_one = held(&pool, |_, tasks| {
            for task in tasks {
                task.cancel();
            }
        });
        let from_behind = held(&pool, |_, tasks| {
            for task in tasks.into_iter().rev() {
                task.cancel();
            }
        });
        let request = Scope::new("request");
        let at = request.lineage().clone();
        let by_its_scope = at.run(|| {
            held(&pool, |_, tasks| {
                request.cancel();
                drop(tasks);
            })
        });
        let ending = scope.create("ending");
        ending.start(PoolConfig::leased(1)).expect("starts");
        let all = held(&ending, |pool, tasks| {
            pool.cancel();
            drop(tasks);
        });
        // Submitted and cancelled one at a time, for ever: the tombstones do not pile up.
        let for_ever = {
            let (go, gate) = mpsc::channel::<()>();
            let (started, running) = mpsc::channel();
            let pool = scope.create("another");
            pool.start(PoolConfig::leased(1)).expect("starts");
            let long = pool.submit(move || {
                let _ = started.send(());
                let _ = gate.recv();
            });
            running.recv().expect("runs");
            let before = bytes();
            for _ in 0..TASKS {
                pool.submit(|| ()).expect("accepted").cancel();
            }
            let held = bytes() - before;
            drop(go);
            long.expect("accepted").join().expect("ends");
            held
        };
        for held in [one_by_one, from_behind, by_its_scope, all, for_ever] {
            assert!(
                held < 256 * 1024,
                "still held: {one_by_one}, {from_behind}, {by_its_scope}, {all}, {for_ever} bytes"
            );
        }
    });
}

#[test]
fn a_scope_keeps_nothing_of_a_million_tasks_that_ran() {
    alone(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(2)).expect("starts");
        let request = Scope::new_in(&scope, "request");
        let some = |tasks: usize| {
            request.run(|| (0..tasks).for_each(|_| drop(pool.submit(|| ()).expect("accepted"))));
            pool.wait_idle().expect("not from an own task");
        };
        some(1_000);
        let before = bytes();
        (0..1_000).for_each(|_| some(1_000));
        let held = bytes() - before;
        assert!(held < 16 * 1024, "still held: {held} bytes");
    });
}
