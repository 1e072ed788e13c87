//! `holds_permit` with `n = 1`: whatever heirloom wait a task makes for its own pool's tasks, at whatever depth, it
//! ends.

use heirloom::{PoolConfig, PoolManager, Scope, TaskSet};

use crate::common::bounded;

/// Deeper than tasks run in place inside one another where a place can be given away.
const DEEP: u32 = 40;

fn by_join(pool: PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let inner = pool.clone();
    1 + pool.submit(move || by_join(inner, left - 1)).expect("accepted").join().expect("runs")
}

fn by_set(pool: PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let inner = pool.clone();
    let mut set = TaskSet::new();
    set.push(pool.submit(move || by_set(inner, left - 1)).expect("accepted"));
    1 + set.join_next().expect("one task is in it").1.expect("runs")
}

fn by_scope(pool: PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    pool.scope(|s| 1 + s.submit(|| by_scope(pool.clone(), left - 1)).expect("accepted").join().expect("runs"))
}

fn by_scope_wait(pool: &PoolManager, left: u32, reached: &std::sync::atomic::AtomicU32) {
    if left == 0 {
        return;
    }
    pool.scope(|s| {
        drop(s.submit(|| {
            reached.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            by_scope_wait(pool, left - 1, reached);
        }));
    });
}

fn by_run(pool: PoolManager, left: u32) -> u32 {
    if left == 0 { 0 } else { 1 + pool.run(|| by_run(pool.clone(), left - 1)).expect("runs") }
}

fn on_serial(work: impl FnOnce(PoolManager) -> u32 + Send + 'static) -> u32 {
    let scope = Scope::new("test");
    let pool = scope.create("serial");
    pool.start(PoolConfig::leased(1).holds_permit()).expect("starts");
    let inner = pool.clone();
    pool.submit(move || work(inner)).expect("accepted").join().expect("runs")
}

#[test]
fn nested_joins_end() {
    bounded(|| assert_eq!(on_serial(|pool| by_join(pool, DEEP)), DEEP));
}

#[test]
fn nested_waits_for_a_set_end() {
    bounded(|| assert_eq!(on_serial(|pool| by_set(pool, DEEP)), DEEP));
}

#[test]
fn nested_joins_in_borrowing_scopes_end() {
    bounded(|| assert_eq!(on_serial(|pool| by_scope(pool, DEEP)), DEEP));
}

#[test]
fn nested_waits_of_borrowing_scopes_end() {
    bounded(|| {
        let reached = on_serial(|pool| {
            let reached = std::sync::atomic::AtomicU32::new(0);
            by_scope_wait(&pool, DEEP, &reached);
            reached.into_inner()
        });
        assert_eq!(reached, DEEP);
    });
}

#[test]
fn nested_runs_end() {
    bounded(|| assert_eq!(on_serial(|pool| by_run(pool, DEEP)), DEEP));
}

#[test]
fn a_run_on_another_pool_in_between_does_not_hide_that_this_thread_is_the_worker() {
    bounded(|| {
        let answer = on_serial(|serial| {
            let other = heirloom::create("other");
            other.start(PoolConfig::leased(1)).expect("starts");
            // The other pool's place is free, so this runs right here; the serial pool's one place is this thread's.
            other.run(|| serial.submit(|| 7).expect("accepted").join().expect("runs")).expect("runs")
        });
        assert_eq!(answer, 7);
    });
}
