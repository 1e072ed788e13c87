//! Work that splits itself and joins its parts runs on a pool of any width, of any kind.

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::common::bounded;
use crate::common::pools::{block_on, started};

fn on_each(test: impl Fn(&PoolManager)) {
    let configs = [
        PoolConfig::leased(1),
        PoolConfig::leased(2),
        PoolConfig::leased(1).holds_permit(),
        PoolConfig::leased(2).holds_permit(),
        PoolConfig::leased(1).max_blocked(1),
        PoolConfig::dedicated(1),
        PoolConfig::dedicated(3),
    ];
    for config in configs {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", config);
        test(&pool);
        assert!(pool.stop().expect("from outside").is_complete());
    }
}

fn fibonacci(pool: &PoolManager, n: u32) -> u64 {
    if n < 2 {
        return u64::from(n);
    }
    let inner = pool.clone();
    let left = pool.submit(move || fibonacci(&inner, n - 1)).expect("accepted");
    let right = fibonacci(pool, n - 2);
    left.join().expect("runs") + right
}

#[test]
fn fibonacci_by_one_task_and_one_call_ends() {
    bounded(|| on_each(|pool| assert_eq!(fibonacci(pool, 16), 987)));
}

#[test]
fn fibonacci_started_on_a_worker_ends() {
    bounded(|| {
        on_each(|pool| {
            let inner = pool.clone();
            assert_eq!(pool.submit(move || fibonacci(&inner, 16)).expect("accepted").join().expect("runs"), 987);
        });
    });
}

fn both_sides(pool: &PoolManager, n: u32) -> u64 {
    if n < 2 {
        return u64::from(n);
    }
    let (a, b) = (pool.clone(), pool.clone());
    let left = pool.submit(move || both_sides(&a, n - 1)).expect("accepted");
    let right = pool.submit(move || both_sides(&b, n - 2)).expect("accepted");
    // The other order than they were submitted in.
    let right = right.join().expect("runs");
    left.join().expect("runs") + right
}

#[test]
fn fibonacci_by_two_tasks_ends() {
    bounded(|| on_each(|pool| assert_eq!(both_sides(pool, 14), 377)));
}

fn by_poll(pool: &PoolManager, n: u32) -> u64 {
    if n < 2 {
        return u64::from(n);
    }
    let inner = pool.clone();
    let left = pool.submit(move || by_poll(&inner, n - 1)).expect("accepted");
    let right = by_poll(pool, n - 2);
    heirloom::blocking(|| block_on(left)).expect("runs") + right
}

#[test]
fn fibonacci_by_poll_ends() {
    bounded(|| on_each(|pool| assert_eq!(by_poll(pool, 12), 144)));
}

fn by_scope(pool: &PoolManager, n: u32) -> u64 {
    if n < 2 {
        return u64::from(n);
    }
    let (mut left, mut right) = (0, 0);
    pool.scope(|s| {
        drop(s.submit(|| left = by_scope(pool, n - 1)).expect("accepted"));
        drop(s.submit(|| right = by_scope(pool, n - 2)).expect("accepted"));
    });
    left + right
}

#[test]
fn fibonacci_by_borrowing_scope_ends() {
    bounded(|| on_each(|pool| assert_eq!(by_scope(pool, 14), 377)));
}

fn sort(pool: &PoolManager, values: &mut [u32]) {
    if values.len() <= 16 {
        values.sort_unstable();
        return;
    }
    let at = values.len() / 2;
    values.select_nth_unstable(at);
    let (low, high) = values.split_at_mut(at);
    pool.scope(|s| {
        let low = s.submit(|| sort(pool, low)).expect("accepted");
        sort(pool, high);
        low.join().expect("runs");
    });
}

#[test]
fn a_sort_of_borrowed_halves_sorts() {
    bounded(|| {
        on_each(|pool| {
            let mut values: Vec<u32> = (0..20_000_u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
            sort(pool, &mut values);
            assert!(values.is_sorted());
        });
    });
}

fn tree(pool: &PoolManager, width: u32, depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    let inner = pool.clone();
    let parts = pool.map(0..width, move |_| tree(&inner, width, depth - 1)).expect("accepted");
    1 + parts.map(|part| part.expect("runs")).sum::<u32>()
}

#[test]
fn a_walk_of_a_tree_by_map_ends() {
    bounded(|| on_each(|pool| assert_eq!(tree(pool, 5, 4), 781)));
}

fn by_run(pool: &PoolManager, n: u32) -> u64 {
    if n < 2 { u64::from(n) } else { pool.run(|| by_run(pool, n - 1) + by_run(pool, n - 2)).expect("runs") }
}

#[test]
fn fibonacci_by_run_ends() {
    bounded(|| on_each(|pool| assert_eq!(by_run(pool, 13), 233)));
}
