//! Tasks that wait for tasks of their own pool end also where only some of them may give their places away: whether one
//! may is decided once, when it waits, and one that may not runs what it waits for itself.

use heirloom::{PoolConfig, PoolManager, Scope, TaskSet};

use crate::common::bounded;
use crate::common::pools::started;

/// Deeper than tasks run in place inside one another.
const DEEP: u32 = 40;

/// Many tasks at once, each of which waits for its own; the pool's bound is reached and left all the time.
fn end(rounds: usize, tasks: u32, task: fn(PoolManager) -> u32, result: u32) {
    for _ in 0..rounds {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(2).max_blocked(1));
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let own = pool.clone();
                pool.submit(move || task(own)).unwrap()
            })
            .collect();
        for task in tasks {
            assert_eq!(task.join().unwrap(), result);
        }
    }
}

fn by_join(pool: PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let own = pool.clone();
    1 + pool.submit(move || by_join(own, left - 1)).unwrap().join().unwrap()
}

fn by_set(pool: PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let own = pool.clone();
    let mut set: TaskSet<_> = [pool.submit(move || by_set(own, left - 1)).unwrap()].into_iter().collect();
    1 + set.join_next().unwrap().1.unwrap()
}

fn by_scope(pool: PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let (own, mut below) = (pool.clone(), 0);
    pool.scope(|scope| drop(scope.submit(|| below = by_scope(own, left - 1)).unwrap()));
    1 + below
}

#[test]
fn joins_that_pass_requests_on_end() {
    bounded(|| end(200, 50, |pool| pool.submit(|| 1).unwrap().join_cancelling().unwrap(), 1));
}

#[test]
fn deep_joins_end() {
    bounded(|| end(50, 16, |pool| by_join(pool, DEEP), DEEP));
}

#[test]
fn deep_waits_for_a_set_end() {
    bounded(|| end(50, 16, |pool| by_set(pool, DEEP), DEEP));
}

#[test]
fn deep_waits_of_borrowing_scopes_end() {
    bounded(|| end(50, 16, |pool| by_scope(pool, DEEP), DEEP));
}
