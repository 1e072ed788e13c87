//! The current place is restored after every task and every guard, also when it panics. Guards may be dropped out of
//! order: the current place is that of the newest guard alive. What foreign code forgot is taken off with it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use heirloom::{Entered, Lineage, PoolConfig, PoolManager, Scope, current};

use crate::common;

thread_local! {
    /// Where a task leaves a guard for whoever comes after it on the same thread.
    static LEFT: RefCell<Option<Entered>> = const { RefCell::new(None) };
}

fn scopes<const N: usize>() -> [Scope; N] {
    std::array::from_fn(|i| Scope::new(format!("scope {i}")))
}

/// A pool with exactly one thread, on which a task can find what the one before it left.
fn one_thread(scope: &Scope) -> PoolManager {
    let pool = scope.create("one thread");
    pool.start(PoolConfig::dedicated(1).log_panics(false)).expect("starts");
    pool
}

fn on<T: Send + 'static>(pool: &PoolManager, f: impl FnOnce() -> T + Send + 'static) -> T {
    pool.submit(f).expect("open").join().expect("ends")
}

#[test]
fn a_dropped_guard_restores_the_place() {
    common::bounded(|| {
        let here = current();
        let [a, b] = scopes();
        let in_a = a.enter();
        assert_eq!(current(), *a);
        let in_b = b.enter();
        assert_eq!(current(), *b);
        drop(in_b);
        assert_eq!(current(), *a);
        drop(in_a);
        assert_eq!(current(), here);
    });
}

#[test]
fn a_guard_that_unwinds_restores_the_place() {
    common::bounded(|| {
        let here = current();
        let [a, b] = scopes();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let _in_a = a.enter();
            let _in_b = b.enter();
            resume_unwind(Box::new(()));
        }));
        assert!(failed.is_err());
        assert_eq!(current(), here);
    });
}

#[test]
fn guards_out_of_order_leave_the_newest_alive() {
    common::bounded(|| {
        let here = current();
        let [a, b, c] = scopes();
        let (in_a, in_b, in_c) = (a.enter(), b.enter(), c.enter());
        drop(in_a);
        assert_eq!(current(), *c);
        drop(in_c);
        assert_eq!(current(), *b, "what was left earlier does not come back");
        drop(in_b);
        assert_eq!(current(), here);
    });
}

#[test]
fn every_order_of_dropping_ends_where_it_began() {
    common::bounded(|| {
        let here = current();
        let scopes: [Scope; 4] = scopes();
        // The 24 orders, each as the digits of a number.
        for order in 0..24_usize {
            let mut guards: Vec<(usize, Entered)> =
                scopes.iter().enumerate().map(|(i, scope)| (i, scope.enter())).collect();
            let mut rest = order;
            for left in (1..=4).rev() {
                drop(guards.remove(rest % left));
                rest /= left;
                let newest = guards.last().map_or(&here, |(i, _)| &scopes[*i]);
                assert_eq!(current(), *newest);
            }
        }
    });
}

#[test]
fn the_same_place_twice_is_left_twice() {
    common::bounded(|| {
        let here = current();
        let [a, b] = scopes();
        let first = a.enter();
        let between = b.enter();
        let second = a.enter();
        drop(first);
        assert_eq!(current(), *a);
        drop(second);
        assert_eq!(current(), *b);
        drop(between);
        assert_eq!(current(), here);
    });
}

#[test]
fn a_run_restores_the_place() {
    common::bounded(|| {
        let here = current();
        let [a, b] = scopes();
        assert_eq!(a.lineage().run(|| b.lineage().run(current)), *b);
        assert_eq!(current(), here);
        let failed = catch_unwind(AssertUnwindSafe(|| a.lineage().run(|| resume_unwind(Box::new(())))));
        assert!(failed.is_err());
        assert_eq!(current(), here);
    });
}

#[test]
fn a_run_with_a_forgotten_guard_restores_the_place() {
    common::bounded(|| {
        let here = current();
        let [a, b] = scopes();
        a.lineage().run(|| std::mem::forget(b.enter()));
        assert_eq!(current(), here);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            a.lineage().run(|| {
                std::mem::forget(b.enter());
                resume_unwind(Box::new(()))
            })
        }));
        assert!(failed.is_err());
        assert_eq!(current(), here);
    });
}

#[test]
fn a_guard_that_outlives_the_run_it_was_made_in_changes_nothing() {
    common::bounded(|| {
        let here = current();
        let [a, b, c] = scopes();
        let late = a.lineage().run(|| b.enter());
        assert_eq!(current(), here);
        let in_c = c.enter();
        drop(late);
        assert_eq!(current(), *c);
        drop(in_c);
        assert_eq!(current(), here);
    });
}

#[test]
fn a_guard_from_outside_may_end_inside_a_run() {
    common::bounded(|| {
        let here = current();
        let [a, b] = scopes();
        let outside = a.enter();
        b.lineage().run(|| {
            drop(outside);
            assert_eq!(current(), *b);
        });
        assert_eq!(current(), here);
    });
}

#[test]
fn a_scopes_run_restores_the_place() {
    common::bounded(|| {
        let here = current();
        let forgotten = Scope::new("forgotten");
        Scope::run("request", |request| {
            assert_eq!(current(), **request);
            std::mem::forget(forgotten.enter());
        });
        assert_eq!(current(), here);
        let failed = catch_unwind(AssertUnwindSafe(|| Scope::run("request", |_| resume_unwind(Box::new(())))));
        assert!(failed.is_err());
        assert_eq!(current(), here);
    });
}

#[test]
fn a_task_restores_the_place() {
    common::bounded(|| {
        let [a, b] = scopes();
        let pool = one_thread(&a);
        let outer = on(&pool, || current().parent());
        let at = b.lineage().clone();
        on(&pool, move || {
            let guard = at.enter();
            assert_eq!(current(), at);
            drop(guard);
        });
        assert_eq!(on(&pool, || current().parent()), outer);
    });
}

#[test]
fn a_task_that_forgot_a_guard_restores_the_place() {
    common::bounded(|| {
        let [a, b] = scopes();
        let pool = one_thread(&a);
        let at = b.lineage().clone();
        on(&pool, move || std::mem::forget(at.enter()));
        // By way of the process, so that nothing but what the first task left could lead to `b`.
        let next = Lineage::process().run(|| on(&pool, current));
        assert_eq!(next.parent(), Some(Lineage::process()));
    });
}

#[test]
fn a_task_that_panicked_inside_a_guard_restores_the_place() {
    common::bounded(|| {
        let [a, b] = scopes();
        let pool = one_thread(&a);
        let at = b.lineage().clone();
        let failed = pool.submit(move || {
            std::mem::forget(at.enter());
            let _guard = at.enter();
            resume_unwind(Box::new(()));
        });
        assert!(failed.expect("open").join().expect_err("it panicked").is_panic());
        let next = Lineage::process().run(|| on(&pool, current));
        assert_eq!(next.parent(), Some(Lineage::process()));
    });
}

#[test]
fn a_guard_that_a_task_left_behind_changes_nothing_for_the_next() {
    common::bounded(|| {
        let [a, b] = scopes();
        let pool = one_thread(&a);
        let at = b.lineage().clone();
        on(&pool, move || LEFT.with(|left| *left.borrow_mut() = Some(at.enter())));
        Lineage::process().run(|| {
            on(&pool, || {
                let mine = current();
                assert_eq!(mine.parent(), Some(Lineage::process()));
                let left = LEFT.with(|left| left.borrow_mut().take());
                assert!(left.is_some(), "it is the same thread");
                drop(left);
                assert_eq!(current(), mine);
            });
        });
    });
}

#[test]
fn a_task_that_runs_in_place_restores_the_place() {
    common::bounded(|| {
        let [a, b] = scopes();
        let pool = a.create("one place");
        pool.start(PoolConfig::leased(1).holds_permit().log_panics(false)).expect("starts");
        let at = b.lineage().clone();
        let again = pool.clone();
        on(&pool, move || {
            let mine = current();
            let forgets = at.clone();
            let inner = again.submit(move || std::mem::forget(forgets.enter())).expect("open");
            assert!(inner.join().is_ok());
            assert_eq!(current(), mine);
            let inner = again.submit(move || {
                std::mem::forget(at.enter());
                resume_unwind(Box::new(()));
            });
            assert!(inner.expect("open").join().is_err());
            assert_eq!(current(), mine);
        });
    });
}

#[test]
fn a_task_that_runs_on_the_callers_thread_restores_the_place() {
    common::bounded(|| {
        let [a, b] = scopes();
        let pool = a.create("idle");
        pool.start(PoolConfig::leased(2).log_panics(false)).expect("starts");
        let here = current();
        assert!(pool.run(|| std::mem::forget(b.enter())).is_ok());
        assert_eq!(current(), here);
        let failed = pool.run(|| {
            std::mem::forget(b.enter());
            resume_unwind(Box::new(()))
        });
        assert!(failed.is_err_and(|error| error.is_panic()));
        assert_eq!(current(), here);
    });
}

#[test]
fn borrowing_tasks_restore_the_place() {
    common::bounded(|| {
        let [a, b] = scopes();
        let pool = one_thread(&a);
        let here = current();
        pool.scope(|s| {
            for _ in 0..4 {
                let _ = s.submit(|| std::mem::forget(b.enter())).expect("open");
            }
        });
        assert_eq!(current(), here);
        let next = Lineage::process().run(|| on(&pool, current));
        assert_eq!(next.parent(), Some(Lineage::process()));
    });
}

#[test]
fn a_guards_last_reference_may_come_back_here() {
    /// Looks around when it is dropped.
    struct Looks(std::sync::mpsc::Sender<Lineage>);
    impl Drop for Looks {
        fn drop(&mut self) {
            let guard = Lineage::process().enter();
            drop(guard);
            let _ = self.0.send(current());
        }
    }
    common::bounded(|| {
        let here = current();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (said, heard) = std::sync::mpsc::channel();
        let scope = Scope::new("ends with its guard");
        let pool = scope.create("owned");
        pool.start(PoolConfig::leased(1).daemon()).expect("starts");
        let blocker = pool.submit(move || wait.recv()).expect("open");
        let looks = Looks(said);
        drop(pool.submit(move || drop(looks)).expect("open"));
        let guard = scope.enter();
        scope.finish();
        drop(pool);
        drop(guard);
        // Where it was dropped depends on whether closing the scope or the guard ended it; nothing panicked or hung.
        assert!(heard.recv().is_ok());
        assert_eq!(current(), here);
        drop(go);
        let _ = blocker.join();
    });
}
