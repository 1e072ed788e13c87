//! A refusal names what the submitter cannot see: the scope that the pool ended with, the scope that the submitter stands
//! in, and the manager that runs behind one that does not.

use heirloom::{
    Lineage, PoolConfig, PoolManager, Registry, Scope, StartErrorKind, SubmitError, SubmitErrorKind, TaskKind, TaskType,
};

use crate::common::bounded;
use crate::common::pools::{block_on, started};

fn refused(pool: &PoolManager) -> String {
    pool.submit(|| ()).map(drop).expect_err("it does not run").to_string()
}

#[test]
fn what_a_static_made_in_a_request_ended_with_that_request() {
    bounded(|| {
        let first = Scope::new("request 1");
        let name = first.to_string();
        let mail = first.run(|| heirloom::create("mail"));
        mail.start(PoolConfig::leased(1)).expect("starts");
        drop(first);

        let second = Scope::new("request 2");
        let text = second.run(|| refused(&mail));
        assert!(text.contains(&format!("belonged to {name} and ended with it")), "{text}");
        assert!(text.contains("`Lineage::process().get_or_start(\"mail\", …)`"), "{text}");
        match mail.start(PoolConfig::leased(1)).as_ref().map_err(|it| it.as_start().expect("it did not start").kind()) {
            Err(StartErrorKind::ScopeEnded { scope, .. }) => assert_eq!(*scope, Some(name)),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn every_way_to_submit_says_so() {
    bounded(|| {
        struct Mail;
        impl TaskKind for Mail {}
        let scope = Scope::new("request");
        let config = PoolConfig::dedicated(1).worker_state(|| Ok::<_, std::io::Error>(0_u32));
        let pool = started(&scope, "mail", config);
        let typed = started(&scope, "typed", PoolConfig::leased(1).task_type(TaskType::of::<Mail>()));
        let typed = typed.typed::<Mail>().expect("its own");
        let stateful = pool.with_state::<u32>().expect("its own");
        scope.cancel();
        let patience = std::time::Duration::ZERO;
        let refusals = [
            pool.try_submit(|| ()).map(drop).map_err(|refused| refused.into_parts().1),
            pool.submit_timeout(|| (), patience).map(drop),
            block_on(pool.submit_async(|| ())).map(drop),
            pool.map([1], |n| n).map(drop),
            pool.of_type("any").map([1], |n| n).map(drop),
            typed.submit(Mail::task(|| ())).map(drop),
            typed.submit_timeout(Mail::task(|| ()), patience).map(drop),
            block_on(typed.submit_async(Mail::task(|| ()))).map(drop),
            typed.map([1], Mail::task(|n| n)).map(drop),
            stateful.submit(|_| ()).map(drop),
            stateful.submit_timeout(|_| (), patience).map(drop),
            block_on(stateful.submit_async(|_| ())).map(drop),
            pool.submit_with_state(|_: &mut u32| ()).map(drop),
        ];
        for refusal in refusals {
            match refusal.as_ref().err().and_then(heirloom::Error::as_submit).map(SubmitError::kind) {
                Some(SubmitErrorKind::Closed { ended_with, .. }) => assert_eq!(*ended_with, Some(scope.to_string())),
                other => panic!("{other:?}"),
            }
        }
        let run = pool.run(|| ()).expect_err("it has ended");
        assert!(run.to_string().contains("ended with it"), "{run}");
    });
}

#[test]
fn a_pool_that_was_stopped_is_no_scopes_end() {
    bounded(|| {
        let scope = Scope::new("request");
        let pool = started(&scope, "mail", PoolConfig::leased(1));
        assert!(pool.stop().expect("stops").is_complete());
        let text = refused(&pool);
        assert!(text.contains("is closed; `start` it again") && !text.contains("belonged"), "{text}");
    });
}

#[test]
fn a_scope_that_has_ended_is_named_to_who_submits_below_it() {
    bounded(|| {
        let (owner, tenant) = (Scope::new("owner"), Scope::new("tenant"));
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let request = Scope::new_in(&tenant, "request");
        tenant.close();
        match request.run(|| pool.submit(|| ()).map(drop)) {
            Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. })) => {
                let text = error.to_string();
                assert!(text.contains(&tenant.to_string()), "{error}");
                assert!(text.contains("`parent.run(|| …)`") && text.contains("`detached` pool"), "{error}");
            }
            other => panic!("{other:?}"),
        }

        // What the text recommends works.
        assert!(request.run(|| owner.run(|| pool.submit(|| ()).is_ok())));
        let sealed = started(&owner, "sealed", PoolConfig::leased(1).detached());
        assert!(request.run(|| sealed.submit(|| ()).is_ok()));
    });
}

#[test]
fn one_that_was_not_started_says_what_it_hides() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        root.create("render").start(PoolConfig::leased(1)).expect("starts");
        let request = Scope::new_in(&root, "request 7");
        let forgotten = request.create("render");
        let text = request.run(|| refused(&heirloom::get("render").expect("created")));
        assert!(text.contains(&format!("\"render\" of {request} was not started")), "{text}");
        assert!(text.contains(&format!("it hides the one of that name that runs at {root}")), "{text}");

        // What the text recommends works.
        assert!(request.remove("render").is_some());
        assert!(request.run(|| heirloom::get("render").expect("the root's").submit(|| ()).is_ok()));
        assert!(!refused(&forgotten).contains("hides"), "it is found no more");
    });
}

#[test]
fn one_that_was_stopped_says_what_it_hides() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        root.create("render").start(PoolConfig::leased(1)).expect("starts");
        let request = Scope::new_in(&root, "request 7");
        let own = started(&request, "render", PoolConfig::leased(1));
        assert!(own.stop().expect("stops").is_complete());
        let text = refused(&own);
        assert!(text.contains(&format!("it hides the one of that name that runs at {root}")), "{text}");
    });
}

#[test]
fn one_that_hides_nothing_says_nothing_of_it() {
    bounded(|| {
        let family = Registry::new();
        let outer = family.root().create("render");
        let request = Scope::new_in(&family.root(), "request 7");
        assert!(!refused(&request.create("render")).contains("hides"), "the outer one does not run either");
        assert!(!refused(&outer).contains("hides"));
        let thread = heirloom::thread::spawn(|| heirloom::create("render")).expect("a thread starts");
        assert!(!refused(&thread.join().expect("no panic")).contains("hides"), "its owner is gone");
        assert!(Lineage::process().get("render").is_err());
    });
}

#[test]
fn a_map_over_a_typed_pool_is_told_of_the_handle_that_has_the_type() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", PoolConfig::leased(1).task_type("component"));
        let text = pool.map([1], |n| n).map(drop).expect_err("it is typed").to_string();
        assert!(text.contains("`of_type(\"component\")`") && text.contains("`submit_as`"), "{text}");
        assert!(pool.of_type("component").map([1], |n| n).is_ok());
    });
}

#[test]
fn the_task_type_is_that_of_the_last_start() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("render");
        assert_eq!(pool.task_type(), None);
        pool.start(PoolConfig::leased(1).task_type("component")).expect("starts");
        assert!(pool.stop().expect("stops").is_complete());
        assert_eq!(pool.task_type(), Some(TaskType::from("component")));
        pool.start(PoolConfig::leased(1)).expect("starts again");
        assert_eq!(pool.task_type(), None);
    });
}
