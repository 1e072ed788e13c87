//! `submit` and `submit_as` never block: they are refused, or answer at once while nothing can run.

use std::sync::mpsc;

use heirloom::{PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskHandle, TaskStatus};

use crate::common::bounded;

/// A manager whose only place is taken until the sender is dropped.
fn busy(scope: &Scope, config: PoolConfig) -> (PoolManager, mpsc::Sender<()>, TaskHandle<()>) {
    let pool = scope.create("busy");
    pool.start(config).expect("starts");
    let (go, gate) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let task = pool.submit_as("t", move || {
        let _ = started.send(());
        let _ = gate.recv();
    });
    running.recv().expect("runs");
    (pool, go, task.expect("accepted"))
}

#[test]
fn tasks_are_queued_while_every_place_is_taken() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go, first) = busy(&scope, PoolConfig::leased(1));
        let queued: Vec<_> = (0..1000).map(|n| pool.submit(move || n).expect("accepted")).collect();
        assert!(queued.iter().all(|task| task.status() == TaskStatus::Queued));
        assert_eq!(pool.stats().queued, 1000);
        drop(go);
        first.join().expect("ends");
        for (n, task) in queued.into_iter().enumerate() {
            assert_eq!(task.join().expect("ends"), n);
        }
    });
}

#[test]
fn a_full_queue_refuses_at_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go, _first) = busy(&scope, PoolConfig::leased(1).queue_limit(2));
        let queued: Vec<_> = (0..2).map(|_| pool.submit(|| ()).expect("there is room")).collect();
        let refused = pool.submit(|| ()).expect_err("no room");
        assert!(
            matches!(refused.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { limit: 2, .. }))
                && refused.is_temporary(),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("busy"), "{refused}");
        drop(go);
        drop(queued);
    });
}

#[test]
fn the_queues_limit_does_not_count_what_runs() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go, first) = busy(&scope, PoolConfig::dedicated(1).queue_limit(1));
        let queued = pool.submit(|| ()).expect("one runs, none is queued");
        assert!(pool.submit(|| ()).is_err());
        drop(go);
        first.join().expect("ends");
        queued.join().expect("ends");
    });
}

#[test]
fn room_comes_back_when_a_queued_task_is_cancelled() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go, _first) = busy(&scope, PoolConfig::leased(1).queue_limit(1));
        for _ in 0..200 {
            let queued = pool.submit(|| ()).expect("there is room again");
            assert!(pool.submit(|| ()).is_err(), "the queue is full");
            queued.cancel();
        }
        drop(go);
    });
}

#[test]
fn a_typed_pool_refuses_at_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go, _first) = busy(&scope, PoolConfig::leased(1).task_type("t").queue_limit(1));
        assert!(
            matches!(pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { given: None, .. })))
        );
        assert!(
            matches!(pool.submit_as("u", || ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { given: Some(_), .. })))
        );
        assert_eq!(pool.stats().queued, 0, "nothing was queued");
        drop(go);
    });
}

#[test]
fn a_manager_that_never_started_refuses() {
    bounded(|| {
        let pool = Scope::new("test").create("idle");
        assert!(
            matches!(pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::NotStarted { .. })))
        );
    });
}

#[test]
fn refusals_are_counted() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go, _first) = busy(&scope, PoolConfig::leased(1).queue_limit(1));
        let _queued = pool.submit(|| ()).expect("there is room");
        for _ in 0..3 {
            assert!(pool.submit(|| ()).is_err());
        }
        assert_eq!(pool.stats().refused, 3);
        drop(go);
    });
}
