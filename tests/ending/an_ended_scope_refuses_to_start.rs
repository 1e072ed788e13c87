//! In a scope that has ended, `get`, `get_or_create` and `create` still answer, but a manager created there refuses to
//! start, with `StartErrorKind::ScopeEnded`.

use heirloom::{Lineage, PoolConfig, PoolManager, Scope, StartErrorKind, current, thread};

use crate::common;

fn refuses(manager: &PoolManager) {
    let refused = manager.start(PoolConfig::leased(1));
    assert!(
        matches!(refused, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::ScopeEnded { .. }))),
        "{refused:?}"
    );
    let refused = manager.ensure_started(PoolConfig::leased(1));
    assert!(
        matches!(refused, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::ScopeEnded { .. }))),
        "{refused:?}"
    );
    assert!(!manager.is_running(), "a refusal changes nothing");
}

/// All three verbs, at a place that is in an ended scope.
fn all_three_answer_and_refuse(at: &Lineage, before: &PoolManager) {
    assert!(at.get("before").expect("what was there is still found").is_same(before));
    assert!(at.get_or_create("before").is_same(before));
    refuses(&at.get_or_create("new"));
    assert!(at.get("new").is_ok());
    let newer = at.create("new");
    assert!(at.get("new").is_ok_and(|found| found.is_same(&newer)));
    refuses(&newer);
    at.run(|| {
        assert!(heirloom::get("before").is_ok_and(|found| found.is_same(before)));
        refuses(&heirloom::get_or_create("newest"));
        refuses(&heirloom::create("newest"));
    });
}

#[test]
fn a_closed_scope_refuses() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let before = scope.create("before");
        scope.close();
        all_three_answer_and_refuse(&scope, &before);
    });
}

#[test]
fn a_stopped_scope_refuses() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let before = scope.create("before");
        assert!(scope.stop().is_ok());
        all_three_answer_and_refuse(&scope, &before);
    });
}

#[test]
fn a_cancelled_scope_refuses() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let before = scope.create("before");
        scope.cancel();
        all_three_answer_and_refuse(&scope, &before);
    });
}

#[test]
fn a_dropped_scope_whose_lineage_is_held_refuses() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let at = scope.lineage().clone();
        let before = scope.create("before");
        drop(scope);
        all_three_answer_and_refuse(&at, &before);
    });
}

#[test]
fn a_finished_scope_whose_lineage_is_held_refuses() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let at = scope.lineage().clone();
        let before = scope.create("before");
        scope.finish();
        all_three_answer_and_refuse(&at, &before);
    });
}

#[test]
fn a_scope_that_ran_to_its_end_refuses() {
    common::bounded(|| {
        let (at, before) = Scope::run("ended", |scope| (scope.lineage().clone(), scope.create("before")));
        all_three_answer_and_refuse(&at, &before);
    });
}

#[test]
fn a_manager_made_before_the_end_is_refused() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let before = scope.create("before");
        scope.close();
        refuses(&before);
    });
}

#[test]
fn a_manager_stopped_before_the_end_does_not_start_again_after_it() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let before = scope.create("before");
        before.start(PoolConfig::leased(1)).expect("the scope is open");
        assert!(before.stop().is_ok());
        scope.close();
        refuses(&before);
    });
}

#[test]
fn a_manager_whose_scope_is_gone_altogether_is_refused() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let held = scope.create("held");
        drop(scope);
        assert!(held.owner().is_none());
        refuses(&held);
    });
}

#[test]
fn a_manager_of_a_thread_below_a_scope_that_is_gone_is_refused() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let held =
            scope.run(|| thread::spawn(|| heirloom::create("held")).expect("a thread starts")).join().expect("ends");
        drop(scope);
        refuses(&held);
    });
}

#[test]
fn an_unlinked_manager_of_an_ended_scope_is_refused() {
    common::bounded(|| {
        let scope = Scope::new("ended");
        let first = scope.create("name");
        let _second = scope.create("name");
        scope.close();
        refuses(&first);
    });
}

#[test]
fn a_place_below_an_ended_scope_refuses() {
    common::bounded(|| {
        let outer = Scope::new("ended");
        let inner = Scope::new_in(&outer, "inner");
        let before = inner.create("before");
        let child = inner.run(|| thread::spawn(current).expect("a thread starts")).join().expect("ends");
        outer.close();
        assert!(!inner.is_closed());
        all_three_answer_and_refuse(&inner, &before);
        refuses(&child.create("of the child"));
        refuses(&Scope::new_in(&outer, "opened after the end").create("name"));
    });
}

#[test]
fn a_scope_beside_or_above_an_ended_one_starts() {
    common::bounded(|| {
        let outer = Scope::new("outer");
        let ended = Scope::new_in(&outer, "ended");
        let beside = Scope::new_in(&outer, "beside");
        ended.close();
        assert!(beside.create("name").start(PoolConfig::leased(1)).is_ok());
        assert!(outer.create("name").start(PoolConfig::leased(1)).is_ok());
    });
}

#[test]
fn no_pool_is_left_running_when_start_and_end_race() {
    common::bounded(|| {
        for _ in 0..300 {
            let scope = Scope::new("ended");
            let manager = scope.create("name");
            let met = std::sync::Barrier::new(2);
            std::thread::scope(|s| {
                s.spawn(|| {
                    met.wait();
                    let _ = manager.start(PoolConfig::leased(1));
                });
                met.wait();
                scope.close();
            });
            assert!(!manager.is_running());
            refuses(&manager);
        }
    });
}
