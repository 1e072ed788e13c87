//! A pool with a task type takes only that type; every other submission is refused before anything is queued. A pool
//! without one takes any.

use std::sync::Arc;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskKind, TaskType};

use crate::common::bounded;
use crate::common::pools::{block_on, started};

fn typed(scope: &Scope) -> PoolManager {
    started(scope, "render", PoolConfig::leased(1).task_type("page"))
}

#[test]
fn its_own_type_runs() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = typed(&scope);
        assert_eq!(pool.task_type(), Some(TaskType::from("page")));
        assert_eq!(pool.submit_as("page", || 7).expect("accepted").join().expect("runs"), 7);
        assert_eq!(pool.submit_as(String::from("page"), || 8).expect("the same text").join().expect("runs"), 8);
        assert_eq!(pool.submit_as(Arc::<str>::from("page"), || 9).expect("the same text").join().expect("runs"), 9);
    });
}

#[test]
fn no_type_and_other_types_are_refused_with_what_was_given_and_what_is_allowed() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = typed(&scope);
        for wanted in [None, Some(TaskType::from("fetch")), Some(TaskType::from("Page")), Some(TaskType::from(7_u64))] {
            let answer = match wanted.clone() {
                None => pool.submit(|| ()),
                Some(other) => pool.submit_as(other, || ()),
            };
            let error = answer.expect_err("of another type");
            let text = error.to_string();
            assert!(text.contains("render") && text.contains("page"), "{text}");
            assert!(!error.is_temporary());
            match error.as_submit().map(|it| it.kind()) {
                Some(SubmitErrorKind::UnknownTaskType { given, allowed }) => {
                    assert_eq!((given, allowed), (&wanted, &TaskType::from("page")));
                }
                other => panic!("{wanted:?}: {other:?}"),
            }
        }
    });
}

#[test]
fn nothing_is_queued_or_counted_in_when_it_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "render", PoolConfig::leased(1).task_type("page").queue_limit(1));
        let request = Scope::new("request");
        let held = Arc::new(());
        request.lineage().run(|| {
            for _ in 0..10 {
                let inside = held.clone();
                assert!(pool.submit(move || drop(inside)).is_err());
            }
        });
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.running, stats.completed, stats.refused), (0, 0, 0, 10));
        assert_eq!(request.pending(), 0);
        assert_eq!(Arc::strong_count(&held), 1, "the closures are gone");
        assert!(pool.submit_as("page", || ()).is_ok(), "and they took no room");
    });
}

#[test]
fn each_way_to_submit_is_checked() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = typed(&scope);
        let is_unknown = |error: &heirloom::Error| {
            matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { .. }))
        };
        let refused = pool.try_submit(|| 7).expect_err("no type");
        assert!(is_unknown(refused.reason()) && !refused.is_temporary());
        assert_eq!(refused.into_task()(), 7);
        assert!(pool.of_type("fetch").try_submit(|| ()).is_err_and(|refused| is_unknown(refused.reason())));
        let day = Duration::from_secs(86_400);
        assert!(pool.try_submit_timeout(|| (), day).is_err_and(|refused| is_unknown(refused.reason())));
        assert!(block_on(pool.try_submit_async(|| ())).is_err_and(|refused| is_unknown(refused.reason())));
        assert!(pool.map(0..3, |n| n).is_err_and(|error| is_unknown(&error)));
        assert!(pool.of_type("fetch").map(0..3, |n| n).is_err_and(|error| is_unknown(&error)));
        pool.scope(|s| {
            assert!(s.submit(|| ()).is_err_and(|error| is_unknown(&error)));
        });
        pool.of_type("fetch").scope(|s| assert!(s.submit(|| ()).is_err_and(|error| is_unknown(&error))));
        pool.of_type("page").scope(|s| s.submit(|| ()).expect("accepted").join().expect("runs"));
        assert_eq!(pool.of_type("page").map(0..3, |n| n).expect("accepted").filter_map(Result::ok).sum::<i32>(), 3);
        assert!(
            pool.run(|| ()).is_err()
                && pool.of_type("fetch").run(|| ()).is_err()
                && pool.of_type("page").run(|| ()).is_ok()
        );
    });
}

#[test]
fn its_own_tasks_are_checked_too() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = typed(&scope);
        let inner = pool.clone();
        let answers = pool.submit_as("page", move || {
            (inner.submit(|| ()).is_err(), inner.submit_as("page", || 7).expect("accepted").join().expect("in place"))
        });
        assert_eq!(answers.expect("accepted").join().expect("runs"), (true, 7));
    });
}

#[test]
fn a_pool_without_a_type_takes_any() {
    bounded(|| {
        struct Kind;
        let scope = Scope::new("test");
        let pool = started(&scope, "any", PoolConfig::leased(1));
        assert_eq!(pool.task_type(), None);
        assert_eq!(pool.submit(|| 1).expect("accepted").join().expect("runs"), 1);
        assert_eq!(pool.submit_as("page", || 2).expect("accepted").join().expect("runs"), 2);
        assert_eq!(pool.submit_as(7_u64, || 3).expect("accepted").join().expect("runs"), 3);
        assert_eq!(pool.submit_as(TaskType::of::<Kind>(), || 4).expect("accepted").join().expect("runs"), 4);
        assert_eq!(pool.of_type("page").run(|| 5).expect("runs"), 5);
    });
}

mod vault {
    use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle, TaskKind, TaskType};

    /// Nobody outside this module can name it.
    struct Vault;
    impl TaskKind for Vault {}

    pub(super) fn open(scope: &Scope) -> PoolManager {
        let pool = scope.create("vault");
        pool.start(PoolConfig::leased(1).task_type(TaskType::of::<Vault>())).expect("starts");
        pool
    }

    pub(super) fn withdraw(pool: &PoolManager) -> Result<TaskHandle<u32>, heirloom::Error> {
        pool.typed::<Vault>().expect("it takes this kind").submit(Vault::task(|| 7))
    }
}

#[test]
fn a_private_kind_cannot_be_forged_by_its_name() {
    bounded(|| {
        struct Vault;
        impl TaskKind for Vault {}
        let scope = Scope::new("test");
        let pool = vault::open(&scope);
        let shown = pool.task_type().expect("it is typed").to_string();
        let forged = [
            TaskType::from("Vault"),
            TaskType::from("vault::Vault"),
            TaskType::from(shown.clone()),
            TaskType::from(Arc::<str>::from(shown)),
            TaskType::of::<Vault>(),
            TaskType::from(0_u64),
        ];
        for forged in forged {
            assert!(
                matches!(pool.submit_as(forged, || 0), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { .. })))
            );
        }
        assert!(pool.typed::<Vault>().is_err(), "a type of the same name is another one");
        assert_eq!(vault::withdraw(&pool).expect("accepted").join().expect("runs"), 7);
    });
}
