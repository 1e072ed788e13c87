//! A started, idle manager is a few hundred bytes, whether it is fresh or has worked: a server may have one for each
//! connection.

use std::sync::{Arc, Barrier, mpsc};

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::allocations::bytes;
use crate::common::{alone, eventually};

const MANAGERS: usize = 4096;

/// The promise, and the cost of a family's totals beside it.
const MOST: isize = if cfg!(any(feature = "metrics", feature = "inspector")) { 464 } else { 384 };

/// The share of each manager in the memory of the threads that the process started meanwhile.
const SHARED: isize = 8;

/// As many at once as a pool has permits.
const AT_ONCE: usize = 4;

fn started(scopes: &[Scope], managers: &mut Vec<PoolManager>) {
    managers.extend(scopes.iter().map(|scope| {
        let manager = scope.create("work");
        manager.start(PoolConfig::leased(AT_ONCE)).expect("starts");
        manager
    }));
}

/// Bytes for each manager that the process holds now and did not hold before.
fn each(before: isize) -> isize {
    (bytes() - before) / MANAGERS.cast_signed()
}

fn opened() -> (Vec<Scope>, Vec<PoolManager>) {
    let scopes: Vec<_> = (0..MANAGERS).map(|n| Scope::new(format!("request {n}"))).collect();
    // Threads, and the indices of the tree, have what they need once.
    let mut managers = Vec::with_capacity(2 * MANAGERS);
    started(&scopes[..1], &mut managers);
    at_once(&managers);
    managers.clear();
    (scopes, managers)
}

/// Runs as many tasks at once as there are permits.
fn at_once(managers: &[PoolManager]) {
    for manager in managers {
        let meet = Arc::new(Barrier::new(AT_ONCE));
        let task = || {
            let meet = Arc::clone(&meet);
            manager.submit(move || meet.wait().is_leader()).expect("accepted")
        };
        let tasks: Vec<_> = (0..AT_ONCE).map(|_| task()).collect();
        let leaders = tasks.into_iter().map(|task| task.join().expect("runs"));
        assert_eq!(leaders.filter(|leads| *leads).count(), 1);
    }
}

#[test]
fn a_fresh_manager_and_one_that_ran_a_task_are_small() {
    alone(|| {
        let (scopes, mut managers) = opened();
        let before = bytes();
        started(&scopes, &mut managers);
        let fresh = each(before);
        for (n, manager) in managers.iter().enumerate() {
            assert_eq!(manager.submit(move || n).expect("accepted").join().expect("runs"), n);
        }
        let used = each(before);
        println!("fresh {fresh}, used {used}");
        assert!(fresh <= MOST, "{fresh} bytes");
        eventually("a used manager is as small as a fresh one", || each(before) <= fresh + SHARED);
    });
}

#[test]
fn a_manager_whose_tasks_ran_side_by_side_is_as_small_as_a_fresh_one() {
    alone(|| {
        let (scopes, mut managers) = opened();
        let before = bytes();
        started(&scopes, &mut managers);
        let fresh = each(before);
        at_once(&managers);
        eventually("all lists of running tasks are given back", || each(before) <= fresh + SHARED);
    });
}

#[test]
fn a_burst_of_pools_that_want_a_thread_leaves_no_memory() {
    alone(|| {
        heirloom::threads::set_limit(1);
        let scopes: Vec<_> = (0..MANAGERS).map(|n| Scope::new(format!("request {n}"))).collect();
        let mut managers = Vec::with_capacity(MANAGERS);
        let before = bytes();
        started(&scopes, &mut managers);
        let fresh = each(before);
        let (first, others) = managers.split_first().expect("some managers");
        let (begins, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let holds_the_thread = first.submit(move || (begins.send(()), ended.recv())).expect("accepted");
        begun.recv().expect("it has begun");
        let tasks: Vec<_> = others.iter().map(|manager| manager.submit(|| ()).expect("accepted")).collect();
        assert!(heirloom::threads::stats().wanted >= others.len(), "each of the pools waits for a thread");
        end.send(()).expect("it waits");
        tasks.into_iter().for_each(|task| task.join().expect("runs"));
        drop(holds_the_thread);
        eventually("the line's memory is given back", || each(before) <= fresh + SHARED);
    });
}

#[test]
fn a_burst_leaves_no_memory_in_the_queue() {
    alone(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(AT_ONCE)).expect("starts");
        let burst = |tasks: usize| {
            let handles: Vec<_> = (0..tasks).map(|n| pool.submit(move || n).expect("accepted")).collect();
            let held = bytes();
            handles.into_iter().for_each(|task| drop(task.join()));
            pool.wait_idle().expect("not from an own task");
            held
        };
        burst(100);
        let before = bytes();
        let held = burst(20_000) - before;
        assert!(held > 20_000 * 64, "a burst is worth measuring: {held} bytes");
        eventually("the burst's memory is given back", || bytes() - before < 4096);
    });
}
