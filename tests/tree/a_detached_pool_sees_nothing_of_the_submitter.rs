//! The tasks of a pool started with `.detached()` stand below the manager's owner and see nothing of the submitter; once
//! the owner is gone, submitting is refused with `OwnerEnded`.

use heirloom::{Lineage, PoolConfig, PoolManager, Scope, SubmitErrorKind, current, thread};

use crate::common;

fn detached(owner: &Lineage, config: PoolConfig) -> PoolManager {
    let pool = owner.create("detached");
    pool.start(config.detached()).expect("starts");
    pool
}

fn configs() -> [PoolConfig; 2] {
    [PoolConfig::leased(2), PoolConfig::dedicated(2)]
}

#[test]
fn its_tasks_stand_below_the_owner() {
    common::bounded(|| {
        for config in configs() {
            let owner = Scope::new("owner");
            let pool = detached(&owner, config);
            let request = Scope::new("request");
            let task = request.run(|| pool.submit(current)).expect("open").join().expect("ends");
            assert_eq!(task.parent().as_ref(), Some(owner.lineage()));
        }
    });
}

#[test]
fn its_tasks_find_what_the_owner_has_and_not_what_the_submitter_has() {
    common::bounded(|| {
        for config in configs() {
            let owner = Scope::new("owner");
            let mine = owner.create("mine");
            let pool = detached(&owner, config);
            let request = Scope::new("request");
            let _theirs = request.create("theirs");
            let (found, other) = request
                .run(|| pool.submit(|| (heirloom::get("mine"), heirloom::get("theirs").is_ok())))
                .expect("open")
                .join()
                .expect("ends");
            assert!(found.expect("the owner's is found").is_same(&mine));
            assert!(!other);
        }
    });
}

#[test]
fn every_way_of_submitting_is_detached() {
    common::bounded(|| {
        for config in configs() {
            let owner = Scope::new("owner");
            let here = Some(owner.lineage().clone());
            let pool = detached(&owner, config);
            let request = Scope::new("request");
            let parent = || current().parent();
            request.run(|| {
                assert_eq!(pool.try_submit(parent).expect("open").join().expect("ends"), here);
                assert_eq!(pool.run(parent).expect("ends"), here);
                assert_eq!(pool.scope(|s| s.submit(parent).expect("open").join().expect("ends")), here);
                for mapped in pool.map(0..20, move |_| parent()).expect("open") {
                    assert_eq!(mapped.expect("ends"), here);
                }
                assert_eq!(current(), *request, "the submitter's place is restored");
            });
        }
    });
}

#[test]
fn a_task_run_in_place_is_detached_too() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let pool = owner.create("one");
        pool.start(PoolConfig::leased(1).holds_permit().detached()).expect("starts");
        let again = pool.clone();
        let (outer, inner) = pool
            .submit(move || (current(), again.submit(current).expect("open").join().expect("ends")))
            .expect("open")
            .join()
            .expect("ends");
        // Below the owner, not below the task that submitted it.
        assert_eq!(inner.parent().as_ref(), Some(owner.lineage()));
        assert_eq!(outer.parent().as_ref(), Some(owner.lineage()));
    });
}

#[test]
fn the_submitters_end_does_not_reach_it() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let pool = detached(&owner, PoolConfig::leased(1));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let blocker = pool.submit(move || wait.recv().is_ok()).expect("open");
        let request = Scope::new("request");
        let queued = request.run(|| pool.submit(|| 7)).expect("open");
        assert_eq!(request.pending(), 0, "it does not stand below the submitter");
        drop(request);
        drop(go);
        assert_eq!(queued.join().expect("it was not cancelled"), 7);
        assert!(blocker.join().is_ok());
    });
}

#[test]
fn a_detached_pool_without_its_owner_refuses() {
    common::bounded(|| {
        for config in configs() {
            let owner = Scope::new("owner");
            let pool =
                thread::spawn(move || detached(&current(), config)).expect("a thread starts").join().expect("ends");
            assert!(pool.owner().is_none(), "the thread is over");
            let refused = owner.run(|| pool.submit(|| ()));
            assert!(
                matches!(refused, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::OwnerEnded))),
                "{refused:?}"
            );
            let refused = pool.try_submit(|| 7).expect_err("refused");
            assert!(matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::OwnerEnded)));
            assert_eq!(refused.into_task()(), 7, "the closure comes back");
            assert!(pool.run(|| ()).is_err_and(|error| error.as_submit().is_some()));
        }
    });
}

#[test]
fn an_owner_that_ended_and_is_held_still_answers() {
    common::bounded(|| {
        let (pool, owner) = thread::spawn(|| (detached(&current(), PoolConfig::leased(1)), current()))
            .expect("a thread starts")
            .join()
            .expect("ends");
        let task = pool.submit(current).expect("the owner's node lives").join().expect("ends");
        assert_eq!(task.parent(), Some(owner));
    });
}

#[test]
fn a_queued_task_keeps_the_owner() {
    common::bounded(|| {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (pool, id, queued) = thread::spawn(move || {
            let pool = detached(&current(), PoolConfig::leased(1));
            drop(pool.submit(move || wait.recv().is_ok()).expect("open"));
            let queued = pool.submit(|| current().parent().map(|parent| parent.id())).expect("open");
            (pool, current().id(), queued)
        })
        .expect("a thread starts")
        .join()
        .expect("ends");
        drop(go);
        assert_eq!(queued.join().expect("ends"), Some(id));
        drop(pool);
    });
}
