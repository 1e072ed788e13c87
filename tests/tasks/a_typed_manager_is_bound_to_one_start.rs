//! `typed::<K>()` gives a view of one start that takes only `K`'s tasks; after that start has ended it is `Closed`,
//! also when the manager was started again.

use std::sync::mpsc;

use heirloom::{PoolConfig, Scope, SubmitErrorKind, TaskKind, TaskType};

use crate::common::bounded;
use crate::common::pools::started;

struct Render;
impl TaskKind for Render {}
struct Fetch;
impl TaskKind for Fetch {}

fn for_render() -> PoolConfig {
    PoolConfig::leased(1).task_type(TaskType::of::<Render>())
}

#[test]
fn it_takes_its_kind() {
    bounded(|| {
        let scope = Scope::new("test");
        let typed = started(&scope, "render", for_render()).typed::<Render>().expect("it takes this kind");
        assert_eq!(typed.submit(Render::task(|| 7)).expect("accepted").join().expect("runs"), 7);
        assert_eq!(typed.clone().try_submit(Render::task(|| 8)).expect("accepted").join().expect("runs"), 8);
        assert_eq!(typed.namespace(), typed.manager().namespace());
    });
}

#[test]
fn the_untyped_door_is_checked_all_the_same() {
    bounded(|| {
        let scope = Scope::new("test");
        let typed = started(&scope, "render", for_render()).typed::<Render>().expect("it takes this kind");
        assert!(
            matches!(typed.manager().submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { .. })))
        );
        assert!(typed.manager().submit_as(TaskType::of::<Fetch>(), || ()).is_err());
        assert!(typed.manager().submit_as(TaskType::of::<Render>(), || ()).is_ok());
    });
}

fn unknown(error: &heirloom::Error) -> &heirloom::UnknownTaskType {
    error.as_unknown_task_type().unwrap_or_else(|| panic!("{error}"))
}

#[test]
fn a_pool_of_another_kind_gives_none_and_says_which() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", for_render());
        let error = pool.typed::<Fetch>().expect_err("another kind");
        assert_eq!(
            (unknown(&error).wanted.clone(), unknown(&error).allowed.clone()),
            (TaskType::of::<Fetch>(), Some(TaskType::of::<Render>()))
        );
        assert!(error.to_string().contains("render"), "{error}");
        assert_eq!(
            unknown(&started(&scope, "any", PoolConfig::leased(1)).typed::<Render>().expect_err("takes any")).allowed,
            None
        );
        assert_eq!(unknown(&scope.create("idle").typed::<Render>().expect_err("does not run")).allowed, None);
        pool.close();
        assert!(pool.typed::<Render>().is_err(), "it does not run any more");
    });
}

#[test]
fn it_is_closed_after_a_stop() {
    bounded(|| {
        let scope = Scope::new("test");
        let typed = started(&scope, "render", for_render()).typed::<Render>().expect("it takes this kind");
        assert!(typed.manager().stop().expect("from outside").is_complete());
        let refused = typed.try_submit(Render::task(|| 7)).expect_err("closed");
        assert!(
            matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. }))
                && !refused.is_temporary()
        );
        assert_eq!(refused.into_task()(), 7);
    });
}

#[test]
fn it_is_still_closed_after_a_restart() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", for_render());
        let old = pool.typed::<Render>().expect("it takes this kind");
        for config in [for_render(), PoolConfig::leased(1), PoolConfig::dedicated(2).task_type(TaskType::of::<Fetch>())]
        {
            assert!(pool.stop().expect("from outside").is_complete());
            pool.start(config).expect("starts again");
            assert!(
                matches!(old.submit(Render::task(|| ())), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. })))
            );
        }
        assert!(pool.stop().expect("from outside").is_complete());
        pool.start(for_render()).expect("starts again");
        let new = pool.typed::<Render>().expect("it takes this kind");
        assert_eq!(new.submit(Render::task(|| 7)).expect("accepted").join().expect("runs"), 7);
        assert!(
            matches!(old.submit(Render::task(|| ())), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. }))),
            "and the old one stays closed"
        );
        assert_eq!(pool.stats().completed, 1);
    });
}

#[test]
fn it_respects_the_queue_limit_and_gives_the_closure_back() {
    bounded(|| {
        let scope = Scope::new("test");
        let typed =
            started(&scope, "render", for_render().queue_limit(1)).typed::<Render>().expect("it takes this kind");
        let (go, gate) = mpsc::channel::<()>();
        let (here, starts) = mpsc::channel();
        let first = typed.submit(Render::task(move || {
            here.send(()).expect("the test listens");
            let _ = gate.recv();
        }));
        let first = first.expect("room");
        starts.recv().expect("it starts");
        let queued = typed.submit(Render::task(|| ())).expect("room for one");
        let refused = typed.try_submit(Render::task(|| 7)).expect_err("the queue is full");
        assert!(matches!(
            refused.reason().as_submit().map(|it| it.kind()),
            Some(SubmitErrorKind::QueueFull { limit: 1, .. })
        ));
        assert_eq!(refused.into_task()(), 7);
        go.send(()).expect("the task listens");
        queued.join().expect("runs");
        first.join().expect("runs");
    });
}

#[test]
fn it_keeps_its_manager_alive() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", for_render());
        let typed = pool.typed::<Render>().expect("it takes this kind");
        drop(scope.remove("render"));
        drop(pool);
        assert_eq!(typed.submit(Render::task(|| 7)).expect("accepted").join().expect("runs"), 7);
    });
}
