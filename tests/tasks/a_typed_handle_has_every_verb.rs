//! `of_type` and `typed` give handles with every verb that submits, so a typed pool's submitter can wait, map, borrow and
//! run as any other.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use heirloom::{OfType, PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskKind, TaskType, TypedManager};

use crate::common::pools::{block_on, started};
use crate::common::{BOUND, bounded};

struct Render;
impl TaskKind for Render {}

fn is_unknown(error: &heirloom::Error) -> bool {
    matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { .. }))
}

fn for_render(scope: &Scope, config: PoolConfig) -> (PoolManager, TypedManager<Render>) {
    let pool = started(scope, "render", config.task_type(TaskType::of::<Render>()));
    let typed = pool.typed().expect("it takes this kind");
    (pool, typed)
}

#[test]
fn a_handle_of_the_pools_type_is_accepted_by_each_verb() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", PoolConfig::leased(2).task_type("page")).of_type("page");
        let text = String::from("borrowed");
        assert_eq!(pool.submit(|| 1).expect("accepted").join().expect("runs"), 1);
        assert_eq!(pool.try_submit(|| 2).expect("accepted").join().expect("runs"), 2);
        assert_eq!(pool.submit_timeout(|| 3, BOUND).expect("accepted").join().expect("runs"), 3);
        assert_eq!(block_on(pool.submit_async(|| 4)).expect("accepted").join().expect("runs"), 4);
        assert_eq!(pool.map(0..3, |n| n).expect("accepted").filter_map(Result::ok).sum::<i32>(), 3);
        assert_eq!(pool.scope(|s| s.submit(|| text.len()).expect("accepted").join().expect("runs")), 8);
        assert_eq!(pool.run(|| text.len()).expect("runs"), 8);
        assert_eq!((pool.stats().completed, pool.stats().refused), (9, 0));
    });
}

#[test]
fn a_handle_of_another_type_is_refused_by_each_verb() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", PoolConfig::leased(2).task_type("page"));
        let fetch = pool.of_type("page").of_type("fetch");
        assert!(fetch.submit(|| ()).is_err_and(|error| is_unknown(&error)));
        assert!(fetch.try_submit(|| ()).is_err_and(|refused| is_unknown(refused.reason())));
        assert!(fetch.try_submit_timeout(|| (), BOUND).is_err_and(|refused| is_unknown(refused.reason())));
        assert!(block_on(fetch.try_submit_async(|| ())).is_err_and(|refused| is_unknown(refused.reason())));
        assert!(fetch.map(0..3, |n| n).is_err_and(|error| is_unknown(&error)));
        fetch.scope(|s| assert!(s.submit(|| ()).is_err_and(|error| is_unknown(&error))));
        assert!(fetch.run(|| ()).is_err_and(|error| is_unknown(&error)));
        assert_eq!((pool.stats().completed, pool.stats().refused), (0, 7));
        assert_eq!(fetch.submit_as("page", || 7).expect("for this one task").join().expect("runs"), 7);
    });
}

#[test]
fn it_is_the_same_manager_from_start_to_start() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("render");
        let pages = pool.of_type("page");
        assert!(pages.is_same(&pool) && pages.clone().is_same(&pages));
        assert!(matches!(
            pages.submit(|| ()).expect_err("not started").as_submit().map(|it| it.kind()),
            Some(SubmitErrorKind::NotStarted { .. })
        ));
        assert!(pages.scope(|s| s.submit(|| ()).is_err()));
        pages.start(PoolConfig::leased(1).task_type("page")).expect("starts");
        assert_eq!(pages.submit(|| 1).expect("accepted").join().expect("runs"), 1);
        assert!(scope.get("render").expect("it is there").submit(|| ()).is_err(), "a look-up's handle has no type");
        assert!(pool.stop().expect("from outside").is_complete());
        pool.start(PoolConfig::leased(1).task_type("other")).expect("starts again");
        assert_eq!(pages.task_type(), Some(TaskType::from("other")), "the pool's, not the handle's");
        assert!(pages.submit(|| ()).is_err_and(|error| is_unknown(&error)));
        assert!(format!("{pages:?}").contains("OfType") && format!("{pages:?}").contains("\"page\""));
    });
}

#[test]
fn it_is_kept_beside_its_manager_and_goes_into_a_future() {
    bounded(|| {
        let scope = Scope::new("test");
        started(&scope, "render", PoolConfig::leased(1).task_type("page"));
        let pages = scope.get("render").expect("it is there").of_type(String::from("page"));
        drop(scope.remove("render"));
        let page = async move { pages.submit_async(|| 7).await };
        assert_eq!(
            thread::spawn(|| block_on(page)).join().expect("no panic").expect("accepted").join().expect("runs"),
            7
        );
    });
}

#[test]
fn a_kinds_task_is_accepted_by_each_verb() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, typed) = for_render(&scope, PoolConfig::leased(2));
        let text = String::from("borrowed");
        assert_eq!(typed.submit(Render::task(|| 1)).expect("accepted").join().expect("runs"), 1);
        assert_eq!(typed.try_submit(Render::task(|| 2)).expect("accepted").join().expect("runs"), 2);
        assert_eq!(typed.submit_timeout(Render::task(|| 3), BOUND).expect("accepted").join().expect("runs"), 3);
        assert_eq!(block_on(typed.submit_async(Render::task(|| 4))).expect("accepted").join().expect("runs"), 4);
        assert_eq!(typed.map(0..3, Render::task(|n| n)).expect("accepted").filter_map(Result::ok).sum::<i32>(), 3);
        let length = typed.scope(|s| s.submit(Render::task(|| text.len())).expect("accepted").join().expect("runs"));
        assert_eq!(length, 8);
        assert_eq!(typed.run(Render::task(|| text.len())).expect("runs"), 8);
        assert_eq!((pool.stats().completed, pool.stats().refused), (9, 0));
        assert!(
            pool.of_type(TaskType::of::<Render>())
                .typed::<Render>()
                .expect("the same")
                .manager()
                .submit(|| ())
                .is_err()
        );
    });
}

/// Starts a task that runs until the returned closure is called.
fn busy(pool: &OfType) -> impl FnOnce() {
    let ((go, gate), (here, started)) = (mpsc::channel::<()>(), mpsc::channel());
    let task = pool.submit(move || (here.send(()).is_ok(), gate.recv().is_ok()));
    started.recv().expect("it starts");
    move || {
        go.send(()).expect("the task listens");
        task.expect("accepted").join().expect("runs");
    }
}

/// Fills the one slot of the pool's queue behind a task that runs, lets `waits` begin, and then frees the slot.
fn frees_capacity_for(pool: &OfType, waits: impl FnOnce(mpsc::Sender<()>) -> u32 + Send + 'static) {
    let busy = busy(pool);
    let queued = pool.submit(|| ()).expect("the queue has capacity for one");
    assert!(matches!(
        pool.submit(|| ()).expect_err("full").as_submit().map(|it| it.kind()),
        Some(SubmitErrorKind::QueueFull { limit: 1, tenant: None })
    ));
    let (asks, asked) = mpsc::channel();
    let submitter = thread::spawn(move || waits(asks));
    asked.recv().expect("the submitter begins");
    busy();
    queued.join().expect("runs");
    assert_eq!(submitter.join().expect("accepted"), 7);
}

#[test]
fn a_typed_pools_submitter_waits_for_capacity() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, typed) = for_render(&scope, PoolConfig::leased(1).queue_limit(1));
        let pool = pool.of_type(TaskType::of::<Render>());
        let refused = |pool: &OfType, typed: &TypedManager<Render>| {
            let (busy, short) = (busy(pool), Duration::from_millis(20));
            let queued = pool.submit(|| ()).expect("the queue has capacity for one");
            let refused = typed.try_submit_timeout(Render::task(|| 7), short).expect_err("no capacity in time");
            assert!(refused.is_temporary());
            assert_eq!(refused.into_task()(), 7);
            assert!(pool.submit_timeout(|| 7, short).is_err());
            busy();
            queued.join().expect("runs");
        };
        refused(&pool, &typed);
        let (of_kind, of_type) = (typed.clone(), pool.clone());
        frees_capacity_for(&pool, move |asks| {
            asks.send(()).expect("the test listens");
            of_kind.submit_timeout(Render::task(|| 7), BOUND).expect("capacity comes").join().expect("runs")
        });
        frees_capacity_for(&pool, move |asks| {
            asks.send(()).expect("the test listens");
            of_type.submit_timeout(|| 7, BOUND).expect("capacity comes").join().expect("runs")
        });
        let of_type = pool.clone();
        frees_capacity_for(&pool, move |asks| {
            asks.send(()).expect("the test listens");
            block_on(typed.submit_async(Render::task(|| 7))).expect("capacity comes").join().expect("runs")
        });
        frees_capacity_for(&pool, move |asks| {
            asks.send(()).expect("the test listens");
            block_on(of_type.submit_async(|| 7)).expect("capacity comes").join().expect("runs")
        });
    });
}

#[test]
fn a_task_with_its_workers_state_has_the_handles_type() {
    bounded(|| {
        let scope = Scope::new("test");
        let config = PoolConfig::dedicated(1).task_type("row").worker_state(|| Ok::<_, std::io::Error>(7));
        let pool = started(&scope, "db", config);
        assert!(pool.submit_with_state(|n: &mut i32| *n).is_err_and(|error| is_unknown(&error)));
        let rows = pool.of_type("row").with_state::<i32>().expect("it has");
        assert_eq!(rows.submit(|n| *n).expect("accepted").join().expect("runs"), 7);
        assert_eq!(rows.submit_timeout(|n| *n, BOUND).expect("accepted").join().expect("runs"), 7);
        assert_eq!(block_on(rows.submit_async(|n| *n)).expect("accepted").join().expect("runs"), 7);
        assert_eq!(pool.of_type("row").submit_with_state(|n: &mut i32| *n).expect("accepted").join().expect("runs"), 7);
    });
}
