//! A task costs one allocation, from submit to join, on leased and on dedicated pools, whatever the way it is waited
//! for.

use heirloom::{PoolConfig, PoolKind, PoolManager, Scope, TaskHandle, TaskStatus};

use crate::allocations::allocations;
use crate::common::alone;

/// On a busy machine each wait of a round may take a slice of the CPU, some milliseconds.
const TASKS: usize = 500;

/// How often a round is measured again. A join that sleeps while its task is still queued tells the search for circles of
/// it, which is one more allocation: see [`join`].
const ROUNDS: usize = 40;

/// Joins a task. A leased pool's joiner runs a queued task itself. Elsewhere the join waits until a worker has begun the task: on a
/// crowded machine it would sleep at once.
fn join<T>(pool: &PoolManager, task: TaskHandle<T>) -> T {
    while pool.stats().kind != PoolKind::Leased && task.status() == TaskStatus::Queued {
        std::thread::yield_now();
    }
    task.join().expect("ends")
}

/// Allocations per `TASKS` tasks, after the threads, their locals and the lists have grown.
fn counted(what: &str, mut round: impl FnMut()) {
    for _ in 0..3 {
        round();
    }
    let measured = || {
        let before = allocations();
        round();
        allocations() - before
    };
    let enough = TASKS + TASKS / 50;
    let mut least = usize::MAX;
    let _ = std::iter::repeat_with(measured).take(ROUNDS).any(|allocations| {
        assert!(allocations >= TASKS, "{what}: {allocations} for {TASKS} tasks");
        least = least.min(allocations);
        least < enough
    });
    println!("{what}: {least} for {TASKS}");
    // What is not per task (a list that grows once more) may show, and little of it.
    assert!(least < enough, "{what}: {least} for {TASKS} tasks");
}

fn waited_for_in_every_way(kind: &str, pool: &PoolManager) {
    counted(&format!("{kind}, one after another"), || {
        for n in 0..TASKS {
            assert_eq!(join(pool, pool.submit(move || n).expect("accepted")), n);
        }
    });
    let mut handles: Vec<TaskHandle<usize>> = Vec::with_capacity(TASKS);
    counted(&format!("{kind}, all at once"), || {
        handles.extend((0..TASKS).map(|n| pool.submit(move || n).expect("accepted")));
        handles.drain(..).for_each(|task| _ = join(pool, task));
    });
    counted(&format!("{kind}, detached"), || {
        for n in 0..TASKS {
            drop(pool.submit(move || n));
        }
        pool.wait_idle().expect("not from an own task");
    });
    let mut handles: Vec<TaskHandle<usize>> = Vec::with_capacity(2);
    counted(&format!("{kind}, two and two"), || {
        for n in 0..TASKS / 2 {
            handles.extend((0..2).map(|_| pool.submit(move || n).expect("accepted")));
            for task in handles.drain(..) {
                while task.status() == TaskStatus::Queued {
                    std::thread::yield_now();
                }
                drop(task.join());
            }
            // The pool falls idle in between, and has to come back without growing anything anew.
            // (Waiting for that with `wait_idle` would itself allocate a listener.)
            while pool.stats().running > 0 {
                std::thread::yield_now();
            }
        }
    });
    let big = [7_u64; 32];
    counted(&format!("{kind}, with a large closure and a large result"), || {
        for _ in 0..TASKS {
            assert_eq!(join(pool, pool.submit(move || big.map(|n| n + 1)).expect("accepted"))[31], 8);
        }
    });
}

#[test]
fn a_task_of_a_leased_or_dedicated_pool_is_one_allocation() {
    alone(|| {
        let scope = Scope::new("test");
        for n in [1, 2, 4] {
            let leased = scope.create("leased");
            leased.start(PoolConfig::leased(n)).expect("starts");
            waited_for_in_every_way("leased", &leased);
            let own = scope.create("own");
            own.start(PoolConfig::dedicated(n)).expect("starts");
            waited_for_in_every_way("dedicated", &own);
        }
    });
}
