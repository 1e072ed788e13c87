//! `try_submit`, `submit_timeout` and `submit_async` give a refused closure back, and say whether trying again can help.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, Scope, SubmitErrorKind};

use crate::common::bounded;

#[test]
fn a_full_queue_may_have_room_later() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("full");
        pool.start(PoolConfig::leased(1).queue_limit(1)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        let first = pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        });
        running.recv().expect("runs");
        let second = pool.submit(|| ()).expect("there is room");
        let precious = String::from("not to be lost");
        let refused = pool.try_submit(move || precious).expect_err("no room");
        assert!(refused.is_temporary());
        assert!(matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { .. })));
        let task = refused.into_task();
        drop(go);
        first.expect("accepted").join().expect("ends");
        second.join().expect("ends");
        assert_eq!(pool.try_submit(task).expect("there is room").join().expect("ends"), "not to be lost");
    });
}

#[test]
fn a_closed_pool_never_takes_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("closed");
        pool.start(PoolConfig::leased(1)).expect("starts");
        pool.close();
        let (task, reason) = pool.try_submit(|| 7).expect_err("closed").into_parts();
        assert!(
            matches!(reason.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. }))
                && !reason.is_temporary(),
            "{reason}"
        );
        assert_eq!(task(), 7);
        let refused = pool.try_submit_timeout(|| 8, Duration::from_secs(600)).expect_err("closed, and says so at once");
        assert!(!refused.is_temporary());
        assert_eq!(refused.into_task()(), 8);
        let refused = futures::executor::block_on(pool.try_submit_async(|| 9)).expect_err("closed");
        assert!(!refused.is_temporary());
        assert_eq!(refused.into_task()(), 9);
    });
}

#[test]
fn another_task_type_never_fits() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("typed");
        pool.start(PoolConfig::leased(1).task_type("a")).expect("starts");
        let refused = pool.of_type("b").try_submit(|| 7).expect_err("the wrong type");
        assert!(!refused.is_temporary());
        let task = refused.into_task();
        assert_eq!(pool.of_type("a").try_submit(task).expect("the right type").join().expect("ends"), 7);
    });
}

#[test]
fn a_scope_that_has_ended_never_takes_it() {
    bounded(|| {
        let outer = Scope::new("outer");
        let pool = outer.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let inner = Scope::new_in(&outer, "inner");
        inner.close();
        let refused = inner.run(|| pool.try_submit(|| 7)).expect_err("the scope has ended");
        assert!(
            matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. }))
                && !refused.is_temporary()
        );
        assert_eq!(outer.run(|| pool.try_submit(refused.into_task())).expect("from outside").join().expect("ends"), 7);
    });
}

#[test]
fn a_detached_pool_without_its_owner_never_takes_it() {
    bounded(|| {
        let pool = {
            let scope = Scope::new("owner");
            let pool = scope.create("detached");
            pool.start(PoolConfig::leased(1).detached()).expect("starts");
            scope.finish();
            pool
        };
        let refused = pool.try_submit(|| 7).expect_err("the owner is gone");
        assert!(!refused.is_temporary(), "{refused:?}");
        assert_eq!(refused.into_task()(), 7);
    });
}

#[test]
fn a_refused_closure_of_submit_is_dropped_before_it_returns() {
    bounded(|| {
        let pool = Scope::new("test").create("never started");
        let (held, dropped) = mpsc::channel::<()>();
        assert!(pool.submit(move || drop(held)).is_err());
        assert_eq!(dropped.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    });
}
