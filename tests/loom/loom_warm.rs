//! Workers that are initialised before their first task: a start gets its threads or its failure, once; a queued task
//! runs or ends; and a pool's end waits for no initialiser. The pool, its threads and their preparation are the
//! engine's own.

use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};

use loom::sync::{Condvar, Mutex};

use crate::model::{model, start};
use crate::pool::config::PoolConfig;
use crate::pool::core::pool::Pool;
use crate::pool::end;
use crate::pool::handle::submit;
use crate::pool::kinds::dedicated::own::Dedicated;
use crate::pool::kinds::dedicated::start;
use crate::pool::kinds::dedicated::warm::WarmupError;
use crate::sync::os::{Arc, thread};

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

fn fine(n: usize) -> PoolConfig {
    PoolConfig::dedicated(n).on_worker_start(|_| Ok::<(), &str>(()))
}

/// The first initialiser fails, the others do not.
fn first_fails(n: usize) -> PoolConfig {
    let ran = Count::new(0);
    PoolConfig::dedicated(n)
        .on_worker_start(move |_| if ran.fetch_add(1, SeqCst) == 0 { Err("no licence") } else { Ok(()) })
}

/// Whether the task was run. Otherwise its submit or its handle gets the refusal.
fn runs_or_is_told(pool: &Arc<Pool>) -> bool {
    match submit::submit_static(&pool, None, || ()) {
        Ok(handle) => handle.join().is_ok(),
        Err(_refused) => false,
    }
}

fn stop(pool: &Arc<Pool>) {
    assert!(end::stop(&pool, None).unwrap().is_complete());
}

#[test]
fn a_start_returns_when_all_are_ready() {
    model(2, || {
        let pool = start(fine(2).warm(2));
        start::warm_up(&pool);
        assert!(start::wait_ready(&pool, None).is_ok());
        assert_eq!(pool.kind.as_any().downcast_ref::<Dedicated>().unwrap().cache.stats().live, 2);
        stop(&pool);
    });
}

#[test]
fn one_at_a_time_is_enough() {
    model(1, || {
        let pool = start(fine(2).warm(2).warm_concurrency(1));
        start::warm_up(&pool);
        assert!(start::wait_ready(&pool, None).is_ok());
        stop(&pool);
    });
}

#[test]
fn a_failure_ends_the_start_and_all_that_was_queued() {
    model(1, || {
        let pool = start(first_fails(2).warm(2));
        let submitter = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || runs_or_is_told(&pool))
        };
        start::warm_up(&pool);
        assert!(matches!(start::wait_ready(&pool, None), Err(WarmupError::Init(_))));
        submitter.join().unwrap();
        stop(&pool);
    });
}

#[test]
fn a_start_that_times_out_ends_once_and_leaves_its_initialiser_alone() {
    model(2, || {
        let moment = Arc::new(Moment::default());
        let hook = Arc::clone(&moment);
        let pool = start(PoolConfig::dedicated(1).warm(1).on_worker_start(move |_| {
            hook.wait();
            Ok::<(), &str>(())
        }));
        start::warm_up(&pool);
        let other = {
            let moment = Arc::clone(&moment);
            thread::spawn(move || moment.happen())
        };
        start::time_out(&pool);
        let outcome = start::wait_ready(&pool, None);
        assert!(matches!(outcome, Ok(()) | Err(WarmupError::TimedOut { .. })));
        // Not waited for: it may hang for ever.
        stop(&pool);
        assert!(submit::submit_static(&pool, None, || ()).is_err());
        other.join().unwrap();
    });
}

#[test]
fn ending_the_pool_ends_the_start_and_waits_for_no_initialiser() {
    model(2, || {
        let moment = Arc::new(Moment::default());
        let hook = Arc::clone(&moment);
        let pool = start(PoolConfig::dedicated(1).warm(1).on_worker_start(move |_| {
            hook.wait();
            Ok::<(), &str>(())
        }));
        let ender = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || stop(&pool))
        };
        start::warm_up(&pool);
        assert!(matches!(start::wait_ready(&pool, None), Err(WarmupError::Ended)));
        ender.join().unwrap();
        moment.happen();
    });
}

#[test]
fn two_tasks_get_a_worker_each_or_share_one() {
    model(1, || {
        let pool = start(fine(2));
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || assert!(runs_or_is_told(&pool)))
        };
        assert!(runs_or_is_told(&pool));
        other.join().unwrap();
        stop(&pool);
    });
}

#[test]
fn tasks_that_wait_for_each_other_get_a_worker_each() {
    model(1, || {
        let pool = start(fine(2));
        let moments = Arc::new([Moment::default(), Moment::default()]);
        let tasks = [0, 1].map(|mine| {
            let moments = Arc::clone(&moments);
            let meet = move || {
                moments[mine].happen();
                moments[1 - mine].wait();
            };
            submit::submit_static(&pool, None, meet).ok().unwrap()
        });
        for task in tasks {
            task.join().unwrap();
        }
        stop(&pool);
    });
}

#[test]
fn a_worker_that_fails_strands_nothing() {
    model(1, || {
        let pool = start(first_fails(2));
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || runs_or_is_told(&pool))
        };
        let _ = runs_or_is_told(&pool);
        let _ = other.join().unwrap();
        stop(&pool);
    });
}

#[test]
fn a_ready_worker_takes_over_what_a_hanging_one_came_for() {
    model(1, || {
        let moment = Arc::new(Moment::default());
        let (hook, ran) = (Arc::clone(&moment), Count::new(0));
        let pool = start(PoolConfig::dedicated(2).warm(1).on_worker_start(move |_| {
            if ran.fetch_add(1, SeqCst) > 0 {
                hook.wait();
            }
            Ok::<(), &str>(())
        }));
        start::warm_up(&pool);
        assert!(start::wait_ready(&pool, None).is_ok());
        // Perhaps a second thread comes for it, before the first one becomes idle.
        assert!(runs_or_is_told(&pool));
        stop(&pool);
        moment.happen();
    });
}

#[test]
fn a_cancelled_task_needs_no_initialiser_and_the_pool_ends() {
    model(2, || {
        let moment = Arc::new(Moment::default());
        let hook = Arc::clone(&moment);
        let pool = start(PoolConfig::dedicated(1).on_worker_start(move |_| {
            hook.wait();
            Ok::<(), &str>(())
        }));
        let handle = submit::submit_static(&pool, None, || ()).ok().unwrap();
        let _ = handle.cancel();
        stop(&pool);
        moment.happen();
    });
}

#[test]
fn a_refused_thread_ends_the_start() {
    model(2, || {
        let pool = start(fine(2).warm(2));
        thread::refuse(1);
        start::warm_up(&pool);
        assert!(matches!(start::wait_ready(&pool, None), Err(WarmupError::Thread(_))));
        stop(&pool);
    });
}
