//! The thread of a `LocalPool` never waits for itself: a join there runs exactly its task, in place; a wait for many runs
//! what is queued meanwhile.

use std::sync::{Arc, Mutex};

use heirloom::{LocalPool, PoolConfig, PoolManager, Registry, Scope, StopError};

use crate::common::pools::{block_on, started};
use crate::common::{self, bounded};

fn local(scope: &Scope, config: PoolConfig) -> (PoolManager, LocalPool) {
    let manager = scope.create("ui");
    let local = manager.start_local(config).expect("starts");
    (manager, local)
}

#[test]
fn a_join_outside_of_any_task_runs_exactly_its_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let first = ui.submit(|| ()).expect("accepted");
        let second = ui.submit(|| 7).expect("accepted");
        assert_eq!(second.join().expect("runs"), 7);
        assert!(!first.is_finished());
        let third = ui.submit(|| 8).expect("accepted");
        assert_eq!(block_on(third).expect("runs"), 8, "so does polling it");
        let fourth = ui.submit(|| 9).expect("accepted");
        assert_eq!(fourth.join_cancelling().expect("runs"), 9);
        assert_eq!(local.run_pending(), 1);
    });
}

#[test]
fn joins_within_its_tasks_end_however_deep() {
    bounded(|| {
        fn deeper(ui: &PoolManager, left: u32) -> u32 {
            if left == 0 {
                return 0;
            }
            let next = ui.clone();
            1 + ui.submit(move || deeper(&next, left - 1)).expect("accepted").join().expect("runs")
        }
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let next = ui.clone();
        let task = ui.submit(move || deeper(&next, 100)).expect("accepted");
        assert_eq!(local.run_until(task).expect("runs"), 100);
    });
}

#[test]
fn a_join_in_a_task_of_another_pool_that_runs_here_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, _local) = local(&scope, PoolConfig::local());
        let work = started(&scope, "work", PoolConfig::leased(1));
        // With a place free `run` uses this thread.
        let seven = work.run(|| ui.submit(|| 7).expect("accepted").join()).expect("runs").expect("runs");
        assert_eq!(seven, 7);
        let eight = heirloom::blocking(|| ui.run(|| 8)).expect("runs");
        assert_eq!(eight, 8);
    });
}

#[test]
fn stopping_the_pool_here_runs_what_is_queued() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let task = ui.submit(|| 7).expect("accepted");
        ui.wait_idle().expect("from outside");
        assert_eq!(task.join().expect("runs"), 7);
        drop(ui.submit(|| ()).expect("accepted"));
        assert_eq!(ui.stop().expect("from outside").completed, 2);
        drop(local);
    });
}

#[test]
fn ending_a_scope_here_runs_what_was_asked_for_below_it() {
    bounded(|| {
        let outer = Scope::new("test");
        let (ui, _local) = local(&outer, PoolConfig::local());
        let task = Scope::run("request", |_| ui.submit(|| 7).expect("accepted"));
        assert_eq!(task.join().expect("has run"), 7);
    });
}

#[test]
fn a_shutdown_here_runs_what_is_queued() {
    bounded(|| {
        let family = Registry::new();
        let ui = family.root().create("ui");
        let local = ui.start_local(PoolConfig::local()).expect("starts");
        drop(ui.submit(|| ()).expect("accepted"));
        let report = family.shutdown_timeout(common::BOUND);
        assert!(report.is_complete(), "{report}");
        drop(local);
    });
}

#[test]
fn stopping_another_pool_whose_tasks_need_this_thread_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, _local) = local(&scope, PoolConfig::local());
        let work = started(&scope, "work", PoolConfig::leased(2));
        for _ in 0..50 {
            let ui = ui.clone();
            drop(work.submit(move || ui.submit(|| ()).expect("accepted").join()).expect("accepted"));
        }
        assert_eq!(work.stop().expect("from outside").completed, 50);
        assert_eq!(ui.stats().completed, 50);
    });
}

#[test]
fn a_stop_from_its_own_task_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let own = ui.clone();
        let task = ui.submit(move || matches!(own.stop(), Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. })))).expect("accepted");
        assert!(local.run_until(task).expect("runs"));
    });
}

#[test]
fn mapping_over_a_full_queue_makes_its_own_room() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, _local) = local(&scope, PoolConfig::local().queue_limit(1));
        drop(ui.submit(|| 0).expect("fills the queue"));
        let squares: Vec<u64> = ui.map(1..=5, |n: u64| n * n).expect("accepted").map(|n| n.expect("runs")).collect();
        assert_eq!(squares, [1, 4, 9, 16, 25]);
    });
}

#[test]
fn a_scope_of_borrowing_tasks_ends_also_when_they_submit_more() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, _local) = local(&scope, PoolConfig::local());
        let seen = Mutex::new(Vec::new());
        ui.scope(|s| {
            let seen = &seen;
            s.submit(move || {
                seen.lock().expect("not poisoned").push(1);
                s.submit(move || seen.lock().expect("not poisoned").push(2)).map(drop).expect("accepted");
            })
            .map(drop)
            .expect("accepted");
        });
        assert_eq!(*seen.lock().expect("not poisoned"), [1, 2]);
    });
}

#[test]
fn the_place_the_thread_had_in_another_pool_is_given_away_meanwhile() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = started(&scope, "work", PoolConfig::leased(1));
        let ui = Arc::new(scope.create("ui"));
        let (manager, other) = (Arc::clone(&ui), work.clone());
        let task = work
            .submit(move || {
                let local = manager.start_local(PoolConfig::local()).expect("starts");
                // The only place is this task's own.
                let inner = other.submit(|| 7).expect("accepted");
                local.run_until(inner)
            })
            .expect("accepted");
        assert_eq!(task.join().expect("runs").expect("runs"), 7);
    });
}

/// A task of `work` that needs a task of the pool.
fn needs(work: &PoolManager, pool: &PoolManager) -> heirloom::TaskHandle<u32> {
    let pool = pool.clone();
    work.submit(move || pool.submit(|| 7).expect("accepted").join().expect("runs")).expect("accepted")
}

#[test]
fn a_run_until_serves_every_pool_of_its_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let (_ui, of_ui) = local(&scope, PoolConfig::local());
        let gpu = scope.create("gpu");
        let of_gpu = gpu.start_local(PoolConfig::local()).expect("starts");
        let work = started(&scope, "work", PoolConfig::leased(1));
        assert_eq!(of_ui.run_until(needs(&work, &gpu)).expect("runs"), 7);
        drop(of_gpu);
        assert!(of_ui.run_until(work.submit(|| ()).expect("accepted")).is_ok(), "one that has gone is not waited for");
    });
}

#[test]
fn a_run_until_stopped_and_a_run_within_do_so_too() {
    fn serves(wait: impl Fn(&LocalPool)) {
        let scope = Scope::new("test");
        let (ui, of_ui) = local(&scope, PoolConfig::local());
        let gpu = scope.create("gpu");
        let _of_gpu = gpu.start_local(PoolConfig::local()).expect("starts");
        let work = started(&scope, "work", PoolConfig::leased(1));
        let needs = needs(&work, &gpu);
        let ends_the_ui = work.submit(move || {
            let seven = needs.join();
            ui.close();
            seven
        });
        wait(&of_ui);
        assert_eq!(ends_the_ui.expect("accepted").join().expect("runs").expect("runs"), 7);
    }
    bounded(|| {
        serves(|ui| drop(ui.run_until_stopped()));
        serves(|ui| assert!(ui.run_timeout(common::BOUND / 2), "it has ended"));
    });
}

#[test]
fn a_handle_that_a_run_until_polls_comes_in_its_turn_whichever_pools_it_is() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, of_ui) = local(&scope, PoolConfig::local());
        let gpu = scope.create("gpu");
        let _of_gpu = gpu.start_local(PoolConfig::local()).expect("starts");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = |pool: &PoolManager, name| {
            let seen = Arc::clone(&seen);
            pool.submit(move || seen.lock().expect("not poisoned").push(name)).expect("accepted")
        };
        let (first, second, third) = (notes(&gpu, 1), notes(&gpu, 2), notes(&gpu, 3));
        assert!(of_ui.run_until(second).is_ok());
        assert_eq!(*seen.lock().expect("not poisoned"), [1, 2]);
        assert!(first.is_finished() && !third.is_finished());
        drop((third, ui));
    });
}

#[test]
fn a_task_that_a_run_until_runs_may_poll_one_of_another_pool_of_its_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, of_ui) = local(&scope, PoolConfig::local());
        let gpu = scope.create("gpu");
        let _of_gpu = gpu.start_local(PoolConfig::local()).expect("starts");
        // An executor that knows nothing of the pools has the thread meanwhile.
        let polls = ui.submit(move || block_on(gpu.submit(|| 7).expect("accepted")));
        assert_eq!(of_ui.run_until(polls.expect("accepted")).expect("runs").expect("runs"), 7);
    });
}
