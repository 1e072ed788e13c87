//! The engine's protocol: accepted tasks end, no task is left without a worker, and waiters see the end of a pool. The
//! pool, its worker, its waits and its end are the engine's own; they run on a cache of loom's threads, which end as
//! soon as they are idle.

use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};

use loom::sync::{Condvar, Mutex};

use crate::error::CancelReason;
use crate::lineage::current::{LazyNode, enter};
use crate::lineage::node::NodeRef;
use crate::model::{block, model, start};
use crate::pool::blocking::release::blocking;
use crate::pool::config::PoolConfig;
use crate::pool::core::pool::Pool;
use crate::pool::core::stats;
use crate::pool::end;
use crate::pool::handle::submit::{self, run_and_wait};
use crate::pool::handle::task::TaskHandle;
use crate::pool::run::stop;
use crate::sync::os::{Arc, thread};

fn submit<T: Send + 'static>(pool: &Arc<Pool>, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
    match submit::submit_static(&pool, None, f) {
        Ok(handle) => handle,
        Err(refused) => panic!("{}", refused.reason),
    }
}

/// An event that happens once, outside heirloom's sight.
#[derive(Default)]
struct Moment {
    happened: Mutex<bool>,
    changed: Condvar,
}

impl Moment {
    fn happen(&self) {
        *self.happened.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let mut happened = self.happened.lock().unwrap();
        while !*happened {
            happened = self.changed.wait(happened).unwrap();
        }
    }
}

// 1. Submit against a worker that leaves.

#[test]
fn a_task_pushed_while_the_worker_leaves_is_run() {
    model(3, || {
        let pool = start(PoolConfig::leased(1));
        let one = submit(&pool, || 1);
        let two = submit(&pool, || 2);
        assert_eq!(one.join().unwrap() + two.join().unwrap(), 3);
    });
}

#[test]
fn tasks_of_two_submitters_are_run() {
    model(1, || {
        let pool = start(PoolConfig::leased(1));
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || submit(&pool, || 1).join().unwrap())
        };
        let two = submit(&pool, || 2);
        assert_eq!(two.join().unwrap() + other.join().unwrap(), 3);
    });
}

#[test]
fn with_two_places_tasks_that_wait_for_each_other_both_run() {
    model(2, || {
        let pool = start(PoolConfig::leased(2));
        let moments = Arc::new([Moment::default(), Moment::default()]);
        let other = Arc::clone(&moments);
        let one = submit(&pool, move || {
            other[0].happen();
            other[1].wait();
        });
        let two = submit(&pool, move || {
            moments[1].happen();
            moments[0].wait();
        });
        one.join().unwrap();
        two.join().unwrap();
    });
}

#[test]
fn a_task_submitted_after_a_join_is_run_by_the_thread_that_looks() {
    model(1, || {
        let pool = start(PoolConfig::leased(2));
        // The join sees the result while the worker is between two tasks.
        assert_eq!(submit(&pool, || 1).join().unwrap(), 1);
        let moment = Arc::new(Moment::default());
        let other = Arc::clone(&moment);
        let waits = submit(&pool, move || moment.wait());
        let tells = submit(&pool, move || other.happen());
        waits.join().unwrap();
        tells.join().unwrap();
    });
}

#[test]
fn a_limit_of_one_runs_one_at_a_time() {
    model(1, || {
        let pool = start(PoolConfig::leased(1));
        let running = Arc::new(Count::new(0));
        let task = |running: &Arc<Count>| {
            let running = Arc::clone(running);
            move || {
                assert_eq!(running.fetch_add(1, SeqCst), 0);
                thread::yield_now();
                running.fetch_sub(1, SeqCst);
            }
        };
        let other = {
            let (pool, task) = (Arc::clone(&pool), task(&running));
            thread::spawn(move || submit(&pool, task).join().unwrap())
        };
        submit(&pool, task(&running)).join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_stop_waits_for_a_task_that_its_joiner_runs() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        let ended = Arc::new(Count::new(0));
        let task = {
            let ended = Arc::clone(&ended);
            submit(&pool, move || {
                thread::yield_now();
                ended.fetch_add(1, SeqCst);
            })
        };
        let joiner = thread::spawn(move || task.join().unwrap());
        assert!(end::stop(&pool, None).unwrap().is_complete());
        assert_eq!(ended.load(SeqCst), 1);
        joiner.join().unwrap();
    });
}

// 2. Waits.

#[test]
fn a_task_that_waits_lets_the_next_one_run() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        let moment = Arc::new(Moment::default());
        let other = Arc::clone(&moment);
        let waits = submit(&pool, move || blocking(|| moment.wait()));
        let tells = submit(&pool, move || other.happen());
        waits.join().unwrap();
        tells.join().unwrap();
    });
}

#[test]
fn a_wait_at_the_bound_lets_the_next_one_run_when_somebody_has_looked() {
    model(2, || {
        let pool = start(PoolConfig::leased(1).max_blocked(0));
        let moment = Arc::new(Moment::default());
        let other = Arc::clone(&moment);
        let waits = submit(&pool, move || blocking(|| moment.wait()));
        let tells = submit(&pool, move || other.happen());
        waits.join().unwrap();
        tells.join().unwrap();
    });
}

#[test]
fn a_wait_at_the_bound_ends_while_its_place_is_let_and_the_pool_has_as_many_as_before() {
    model(2, || {
        let pool = start(PoolConfig::leased(1).max_blocked(0));
        let waits = submit(&pool, || blocking(|| ()));
        let next = submit(&pool, || ());
        waits.join().unwrap();
        next.join().unwrap();
        assert!(end::stop(&pool, None).unwrap().is_complete());
        assert_eq!((pool.permits.taken(), stats::of(&pool).waiting), (0, 0));
    });
}

#[test]
fn a_task_that_joins_one_of_its_own_pool_is_not_held_up() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        let inner = Arc::clone(&pool);
        let outer = submit(&pool, move || submit(&inner, || 1).join().unwrap());
        let beside = submit(&pool, || 2);
        assert_eq!(outer.join().unwrap(), 1);
        assert_eq!(beside.join().unwrap(), 2);
    });
}

#[test]
fn after_a_wait_nothing_starts_until_the_pool_is_below_its_limit() {
    model(1, || {
        let pool = start(PoolConfig::leased(1));
        let moment = Arc::new(Moment::default());
        let others = Arc::new(Count::new(0));
        let (tells, counts) = (Arc::clone(&moment), Arc::clone(&others));
        let waits = submit(&pool, move || {
            blocking(|| moment.wait());
            counts.fetch_add(1, SeqCst);
            thread::yield_now();
            counts.fetch_sub(1, SeqCst);
        });
        // Goes on beside the first one, which came back without asking.
        let runs = Arc::clone(&others);
        let beside = submit(&pool, move || {
            runs.fetch_add(1, SeqCst);
            tells.happen();
            thread::yield_now();
            runs.fetch_sub(1, SeqCst);
        });
        let last = submit(&pool, move || assert_eq!(others.load(SeqCst), 0));
        waits.join().unwrap();
        beside.join().unwrap();
        last.join().unwrap();
    });
}

// 3. and 4. Ends.

fn a_stop_waits_for_what_was_accepted(config: PoolConfig) {
    let pool = start(config);
    let ran = Arc::new(Count::new(0));
    let submitter = {
        let (pool, ran) = (Arc::clone(&pool), Arc::clone(&ran));
        thread::spawn(move || match submit::submit_static(&pool, None, move || ran.fetch_add(1, SeqCst)) {
            Ok(handle) => {
                drop(handle);
                1
            }
            Err(_closed) => 0,
        })
    };
    let report = end::stop(&pool, None).unwrap();
    let ran_before = ran.load(SeqCst);
    assert!(pool.is_over());
    assert_eq!(report.remaining, 0);
    let accepted = submitter.join().unwrap();
    // Accepted means: before the close, and so before the stop returned.
    assert_eq!(ran_before, accepted);
    assert_eq!(ran.load(SeqCst), accepted);
}

#[test]
fn a_task_is_either_refused_or_ends_before_the_stop() {
    model(3, || a_stop_waits_for_what_was_accepted(PoolConfig::leased(1)));
}

#[test]
fn a_stop_waits_for_threads_of_the_pools_own() {
    model(2, || a_stop_waits_for_what_was_accepted(PoolConfig::dedicated(1)));
}

#[test]
fn two_stops_of_a_busy_pool_both_return() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        drop(submit(&pool, || ()));
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || end::stop(&pool, None).unwrap().completed)
        };
        assert_eq!(end::stop(&pool, None).unwrap().completed, 1);
        assert_eq!(other.join().unwrap(), 1);
    });
}

#[test]
fn an_end_that_was_seen_stays_one() {
    model(3, || {
        let pool = start(PoolConfig::leased(1));
        let handle = submit(&pool, || ());
        // The tombstone of a cancelled task may still be queued when the pool ends.
        let _ = handle.cancel();
        assert!(end::stop(&pool, None).unwrap().is_complete());
        assert!(pool.is_over());
        drop(handle);
        assert!(pool.is_over());
    });
}

#[test]
fn waiting_for_idleness_returns_when_nothing_is_left() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        let ran = Arc::new(Count::new(0));
        for _ in 0..2 {
            let ran = Arc::clone(&ran);
            drop(submit(&pool, move || ran.fetch_add(1, SeqCst)));
        }
        assert!(end::wait_idle(&pool, None).unwrap());
        assert_eq!(ran.load(SeqCst), 2);
        // Still open.
        assert_eq!(submit(&pool, || 1).join().unwrap(), 1);
    });
}

#[test]
fn closing_a_daemon_pool_resolves_every_handle() {
    model(2, || {
        let pool = start(PoolConfig::leased(1).daemon());
        let submitter = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || match submit::submit_static(&pool, None, || ()) {
                Ok(handle) => handle.join().is_ok_and(|()| true),
                Err(_closed) => false,
            })
        };
        stop::close(&pool, CancelReason::OwnerEnd);
        submitter.join().unwrap();
        block(&pool.tracker, || pool.is_over());
    });
}

#[test]
fn a_cancelled_task_ends_once_and_the_pool_with_it() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        let ran = Arc::new(Count::new(0));
        let counts = Arc::clone(&ran);
        let handle = submit(&pool, move || counts.fetch_add(1, SeqCst));
        let _ = handle.cancel();
        let ran_well = handle.join().is_ok();
        assert_eq!(ran.load(SeqCst), usize::from(ran_well));
        assert_eq!(end::stop(&pool, None).unwrap().cancelled, u64::from(!ran_well));
    });
}

#[test]
fn a_run_on_the_callers_thread_strands_nothing_and_the_pool_ends() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || submit(&pool, || 1).join().unwrap())
        };
        let two = run_and_wait(&pool, None, || 2).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(two + other.join().unwrap(), 3);
        assert_eq!(end::stop(&pool, None).unwrap().completed, 2);
    });
}

#[test]
fn a_task_is_refused_by_its_scope_or_waited_for_by_it() {
    model(2, || {
        let pool = start(PoolConfig::leased(1));
        let scope = NodeRef::scope();
        let ran = Arc::new(Count::new(0));
        let submitter = {
            let (pool, scope, ran) = (Arc::clone(&pool), scope.clone(), Arc::clone(&ran));
            thread::spawn(move || {
                let here = enter(scope, LazyNode::Nothing);
                let accepted = submit::submit_static(&pool, None, move || ran.fetch_add(1, SeqCst)).is_ok();
                drop(here);
                usize::from(accepted)
            })
        };
        for trackers in scope.node().scopes() {
            trackers.close();
            let tracker = trackers.of(true);
            block(tracker, || tracker.is_ended());
        }
        let ran_before = ran.load(SeqCst);
        assert_eq!(submitter.join().unwrap(), ran_before);
        assert!(end::stop(&pool, None).unwrap().is_complete());
    });
}

// 5. The system refuses a thread.

/// Whether the task was run. Otherwise its submit or its handle gets the refusal.
fn runs_or_is_told(pool: &Arc<Pool>) -> bool {
    match submit::submit_static(&pool, None, || ()) {
        Ok(handle) => handle.join().is_ok(),
        Err(_refused) => false,
    }
}

#[test]
fn a_refused_thread_strands_nothing() {
    model(1, || {
        let pool = start(PoolConfig::leased(1));
        thread::refuse(1);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || runs_or_is_told(&pool))
        };
        let _ = runs_or_is_told(&pool);
        let _ = other.join().unwrap();
        // The system has threads again.
        assert!(runs_or_is_told(&pool));
        assert!(end::stop(&pool, None).unwrap().is_complete());
    });
}

#[test]
fn a_pool_that_has_a_thread_goes_on_with_it_when_another_is_refused() {
    model(2, || {
        let pool = start(PoolConfig::leased(2));
        let moment = Arc::new(Moment::default());
        let other = Arc::clone(&moment);
        let busy = submit(&pool, move || moment.wait());
        thread::refuse(1);
        let accepted = submit::submit_static(&pool, None, || 2);
        other.happen();
        busy.join().unwrap();
        match accepted {
            Ok(handle) => assert_eq!(handle.join().unwrap(), 2),
            Err(refused) => panic!("a pool with a thread refused a task: {}", refused.reason),
        }
    });
}

#[test]
fn whoever_waits_for_room_is_told_of_it() {
    model(2, || {
        let pool = start(PoolConfig::leased(1).queue_limit(1));
        let submitter = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || (0..2).all(|_| submit::submit_waiting(&pool, None, || (), None).is_ok()))
        };
        assert!(submit::submit_waiting(&pool, None, || (), None).is_ok());
        assert!(submitter.join().unwrap());
        assert_eq!(end::stop(&pool, None).unwrap().completed, 3);
    });
}

// 6. Queued tasks that are cancelled, in a pool whose only permit is taken.

/// A pool of one whose task ends at a given moment.
fn busy(config: PoolConfig) -> (Arc<Pool>, Arc<Moment>) {
    let pool = start(config);
    let (runs, moment) = (Arc::new(Moment::default()), Arc::new(Moment::default()));
    let (starts, ends) = (Arc::clone(&runs), Arc::clone(&moment));
    drop(submit(&pool, move || {
        starts.happen();
        ends.wait();
    }));
    runs.wait();
    (pool, moment)
}

/// Submits at the node. `None` when that is refused.
fn submit_at(pool: &Arc<Pool>, place: &NodeRef) -> Option<TaskHandle<()>> {
    let here = enter(place.clone(), LazyNode::Nothing);
    let handle = submit::submit_static(&pool, None, || ()).ok();
    drop(here);
    handle
}

#[test]
fn a_cancelled_task_ends_once_whoever_claims_it() {
    model(2, || {
        let scope = NodeRef::scope();
        let pool = start(PoolConfig::leased(1));
        let ran = Arc::new(Count::new(0));
        let here = enter(scope.clone(), LazyNode::Nothing);
        let counts = Arc::clone(&ran);
        let handle = submit(&pool, move || counts.fetch_add(1, SeqCst));
        drop(here);
        let canceller = {
            let scope = scope.clone();
            thread::spawn(move || scope.node().cancel(CancelReason::Request))
        };
        // Beside a worker that pops it.
        handle.cancel();
        canceller.join().unwrap();
        let ran_well = handle.join().is_ok();
        assert_eq!(ran.load(SeqCst), usize::from(ran_well));
        assert_eq!(end::stop(&pool, None).unwrap().cancelled, u64::from(!ran_well));
        assert!(scope.node().scopes().all(|scope| scope.of(true).count() == 0));
    });
}

#[test]
fn whoever_waits_for_room_is_let_in_when_a_cancel_makes_some() {
    model(2, || {
        let scope = NodeRef::scope();
        let (pool, moment) = busy(PoolConfig::leased(1).queue_limit(1));
        let queued = submit_at(&pool, &scope).unwrap();
        let submitter = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || submit::submit_waiting(&pool, None, || (), None).is_ok())
        };
        scope.node().cancel(CancelReason::Request);
        // While the pool is busy.
        assert!(submitter.join().unwrap());
        assert!(queued.join().is_err());
        moment.happen();
        assert_eq!(end::stop(&pool, None).unwrap().completed, 2);
    });
}

#[test]
fn two_that_wait_for_room_are_both_let_in_when_two_tasks_are_cancelled() {
    model(1, || {
        let scope = NodeRef::scope();
        let (pool, moment) = busy(PoolConfig::leased(1).queue_limit(2));
        let queued = [(), ()].map(|()| submit_at(&pool, &scope).unwrap());
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || submit::submit_waiting(&pool, None, || (), None).is_ok())
        };
        let canceller = thread::spawn(move || scope.node().cancel(CancelReason::Request));
        assert!(submit::submit_waiting(&pool, None, || (), None).is_ok() && other.join().unwrap());
        canceller.join().unwrap();
        assert!(queued.into_iter().all(|queued| queued.join().is_err()));
        moment.happen();
        assert_eq!(end::stop(&pool, None).unwrap().completed, 3);
    });
}
