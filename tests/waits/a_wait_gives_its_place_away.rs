//! Every wait of heirloom's in a task that does not run something in place gives the task's place to the next one, so a
//! pool with one place goes on. Each test waits, in a task of a pool with one place, for something that another task of
//! that pool has to do first.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, TaskSet};

use crate::common::bounded;
use crate::common::pools::{Busy, block_on, started};

const LONG: Duration = Duration::from_secs(50);

/// What a waiting task finds.
struct Setting {
    scope: Scope,
    /// The pool with one place that the waiting task runs in.
    one: PoolManager,
    /// Another pool, with one task that runs until the task after the waiting one has run.
    other: PoolManager,
    held: heirloom::TaskHandle<()>,
}

fn goes_on(wait: impl Fn(Setting) + Clone + Send + 'static) {
    bounded(move || {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let test = Scope::new("test");
            let one = started(&test, "one", config);
            let scope = Scope::new_in(test.lineage(), "inner");
            let other = started(&scope, "other", PoolConfig::leased(1));
            let (go, gate) = mpsc::channel::<()>();
            let (up, is_up) = mpsc::channel();
            let held = scope.run_in(|| {
                other
                    .submit(move || {
                        up.send(()).expect("the test listens");
                        let _ = gate.recv();
                    })
                    .expect("accepted")
            });
            is_up.recv().expect("it starts");
            let setting = Setting { scope, one: one.clone(), other, held };
            let wait = wait.clone();
            let waits = one.submit(move || wait(setting)).expect("accepted");
            // Queued behind the waiting one; it is what that one waits for in the end.
            let frees = one.submit(move || go.send(()).expect("the held task listens")).expect("accepted");
            frees.join().expect("runs although the one place was taken");
            waits.join().expect("its wait ends");
        }
    });
}

/// Running at a scope without giving it up.
trait RunIn {
    fn run_in<T>(&self, f: impl FnOnce() -> T) -> T;
}

impl RunIn for Scope {
    fn run_in<T>(&self, f: impl FnOnce() -> T) -> T {
        self.lineage().run(f)
    }
}

#[test]
fn a_join_of_another_pools_task_gives_it_away() {
    goes_on(|at| at.held.join().expect("runs"));
}

#[test]
fn a_timed_join_of_another_pools_task_gives_it_away() {
    goes_on(|at| at.held.join_timeout(LONG).expect("in time").expect("runs"));
}

#[test]
fn a_wait_for_a_set_gives_it_away() {
    goes_on(|at| {
        let mut set = TaskSet::from_iter([at.held]);
        set.join_next().expect("one is in it").1.expect("runs");
    });
}

#[test]
fn a_timed_wait_for_a_set_gives_it_away() {
    goes_on(|at| {
        let mut set = TaskSet::from_iter([at.held]);
        set.join_next_timeout(LONG).expect("in time").expect("one is in it").1.expect("runs");
    });
}

#[test]
fn a_wait_for_another_pool_to_be_idle_gives_it_away() {
    goes_on(|at| at.other.wait_idle().expect("no task of its own"));
}

#[test]
fn a_timed_wait_for_another_pool_to_be_idle_gives_it_away() {
    goes_on(|at| assert!(at.other.wait_idle_timeout(LONG).expect("no task of its own")));
}

#[test]
fn a_stop_of_another_pool_gives_it_away() {
    goes_on(|at| assert!(at.other.stop().expect("no task of its own").is_complete()));
}

#[test]
fn a_bounded_stop_of_another_pool_gives_it_away() {
    goes_on(|at| assert!(at.other.stop_timeout(LONG).expect("no task of its own").is_complete()));
}

#[test]
fn a_stop_of_a_scope_gives_it_away() {
    goes_on(|at| assert!(at.scope.stop().expect("this task is not below it").is_complete()));
}

#[test]
fn a_run_on_another_pool_gives_it_away() {
    goes_on(|at| assert_eq!(at.other.run(|| 7).expect("runs after the held one"), 7));
}

#[test]
fn a_borrowing_scope_on_another_pool_gives_it_away() {
    goes_on(|at| {
        let mut local = 0;
        at.other.scope(|s| drop(s.submit(|| local = 7).expect("accepted")));
        assert_eq!(local, 7);
    });
}

#[test]
fn a_scoped_join_on_another_pool_gives_it_away() {
    goes_on(|at| at.other.scope(|s| s.submit(|| ()).expect("accepted").join().expect("runs")));
}

#[test]
fn a_wait_for_results_of_another_pools_map_gives_it_away() {
    goes_on(|at| assert_eq!(at.other.map(0..9, |n| n).expect("accepted").filter_map(Result::ok).sum::<i32>(), 36));
}

#[test]
fn a_wait_for_room_in_another_pools_queue_gives_it_away() {
    goes_on(|at| {
        let full = started(&at.scope, "full", PoolConfig::leased(1).queue_limit(1));
        let held = at.held;
        let (up, is_up) = mpsc::channel();
        let first = full.submit(move || {
            up.send(()).expect("the task listens");
            held.join().expect("runs");
            // Over only when the wait is.
        });
        drop(first.expect("accepted"));
        is_up.recv().expect("it starts");
        // The one above waits, so its pool goes on with this one, which keeps the place until the held one ends.
        let (tx, rx) = mpsc::channel::<()>();
        let blocks = full.submit_timeout(
            move || {
                let _ = rx.recv();
            },
            LONG,
        );
        let handle = full.submit_timeout(|| 7, LONG).expect("there is room in time");
        drop(tx);
        blocks.expect("accepted").join().expect("runs");
        assert_eq!(handle.join().expect("runs"), 7);
    });
}

#[test]
fn any_other_wait_inside_blocking_gives_it_away() {
    goes_on(|at| heirloom::blocking(|| block_on(at.held)).expect("runs"));
}

#[test]
fn blocking_inside_blocking_gives_it_away_once() {
    goes_on(|at| heirloom::blocking(|| heirloom::blocking(|| at.held.join())).expect("runs"));
}

#[test]
fn a_wait_in_a_task_that_runs_in_place_gives_it_away() {
    goes_on(|at| {
        let held = at.held;
        at.one.submit(move || held.join().expect("runs")).expect("accepted").join().expect("runs in place");
    });
}

#[test]
fn a_wait_in_a_run_in_place_gives_both_places_away() {
    goes_on(|at| {
        let between = started(&at.scope, "between", PoolConfig::leased(1));
        let held = at.held;
        let inner = between.clone();
        between
            .run(move || {
                let (up, is_up) = mpsc::channel();
                drop(inner.submit(move || up.send(()).expect("the test listens")).expect("accepted"));
                heirloom::blocking(|| is_up.recv()).expect("the pool in between goes on");
                held.join().expect("runs");
            })
            .expect("runs");
    });
}

#[test]
fn a_timed_join_of_an_own_pools_queued_task_gives_it_away() {
    goes_on(|at| {
        // It is queued behind the one that frees the held task, on this same pool.
        let held = at.held;
        let last = at.one.submit(move || held.join().expect("runs")).expect("accepted");
        last.join_timeout(LONG).expect("in time").expect("runs");
    });
}

#[test]
fn a_place_is_back_after_a_wait_and_can_be_given_again() {
    bounded(|| {
        let scope = Scope::new("test");
        let one = started(&scope, "one", PoolConfig::leased(1));
        let inner = one.clone();
        one.submit(move || {
            for _ in 0..200 {
                let (tx, rx) = mpsc::channel();
                drop(inner.submit(move || tx.send(()).expect("the task listens")).expect("accepted"));
                heirloom::blocking(|| rx.recv()).expect("the next task runs");
            }
        })
        .expect("accepted")
        .join()
        .expect("runs");
    });
}

#[test]
fn a_panic_in_blocking_takes_the_place_back() {
    bounded(|| {
        let scope = Scope::new("test");
        let one = started(&scope, "one", PoolConfig::leased(1).log_panics(false));
        for _ in 0..100 {
            let error = one.submit(|| heirloom::blocking(|| panic!("inside"))).expect("accepted").join();
            assert!(error.is_err_and(|error| error.is_panic()));
        }
        let busy = Busy::on(&one);
        let next = one.submit(|| ()).expect("accepted");
        let stats = one.stats();
        assert_eq!((stats.running, stats.waiting, stats.queued), (1, 0, 1), "one place, and no more");
        busy.end();
        next.join().expect("runs");
    });
}

#[test]
fn blocking_outside_of_any_task_is_the_call_alone() {
    bounded(|| assert_eq!(heirloom::blocking(|| 7), 7));
}
