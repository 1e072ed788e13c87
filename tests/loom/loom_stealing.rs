//! The hand-over between a work-stealing pool and its threads, as rayon pools come and go: accepted tasks end, and no
//! thread is left. The pool, its threads and the requests for them are the engine's own; rayon is a small one.
//!
//! A thread that stays with a rayon pool which never ends is a deadlock to a model: each pool ends after all of its
//! threads.

use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};

use loom::sync::{Condvar, Mutex};

use crate::error::CancelReason;
use crate::model::{model, start};
use crate::pool::blocking::release::blocking;
use crate::pool::config::PoolConfig;
use crate::pool::core::pool::Pool;
use crate::pool::end;
use crate::pool::handle::submit::{self, run_and_wait};
use crate::pool::handle::task::TaskHandle;
use crate::pool::run::stop;
use crate::sync::os::{Arc, thread};
use crate::sync::rayon;

fn submit<T: Send + 'static>(pool: &Arc<Pool>, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
    match submit::submit_static(&pool, None, f) {
        Ok(handle) => handle,
        Err(refused) => panic!("{}", refused.reason),
    }
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
    assert!(pool.kind.is_gone());
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

// Work against the end of an idle rayon pool.

#[test]
fn a_task_that_comes_as_the_rayon_pool_ends_is_run() {
    model(2, || {
        let pool = start(PoolConfig::work_stealing(1));
        assert_eq!(submit(&pool, || 1).join().unwrap(), 1);
        assert_eq!(submit(&pool, || 2).join().unwrap(), 2);
    });
}

#[test]
fn tasks_from_two_threads_find_one_leader_or_two_and_end() {
    model(1, || {
        let pool = start(PoolConfig::work_stealing(1));
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || submit(&pool, || 1).join().unwrap())
        };
        assert_eq!(submit(&pool, || 2).join().unwrap() + other.join().unwrap(), 3);
    });
}

#[test]
fn as_many_threads_come_as_tasks_that_wait_for_each_other_need() {
    model(1, || {
        let pool = start(PoolConfig::work_stealing(2));
        let moments = Arc::new([Moment::default(), Moment::default()]);
        let tasks = [0, 1].map(|mine| {
            let moments = Arc::clone(&moments);
            submit(&pool, move || {
                moments[mine].happen();
                moments[1 - mine].wait();
            })
        });
        for task in tasks {
            task.join().unwrap();
        }
        stop(&pool);
    });
}

#[test]
fn a_last_task_on_top_of_another_piece_of_work_leaves_no_thread() {
    model(1, || {
        thread::most(3);
        let pool = start(PoolConfig::work_stealing(2));
        let own = Arc::clone(&pool);
        // Outlives the task that gave it to rayon.
        let job = move || {
            let install = || {
                if let Ok(task) = submit::submit_static(&own, None, || ()) {
                    while !task.is_finished() && rayon::run_one() {}
                }
            };
            drop(run_and_wait(&own, None, install));
        };
        submit(&pool, move || rayon::spawn(job)).join().unwrap();
    });
}

#[test]
fn whoever_does_the_last_work_sees_that_nobody_else_comes() {
    model(2, || {
        // Of one rayon pool: a part that comes too late for it is refused.
        thread::most(2);
        let pool = start(PoolConfig::work_stealing(2));
        let (own, moment) = (Arc::clone(&pool), Arc::new(Moment::default()));
        let begun = Arc::clone(&moment);
        let job = move || {
            begun.happen();
            drop(submit::submit_static(&own, None, || ()));
        };
        let task = submit(&pool, move || {
            rayon::spawn(job);
            moment.wait();
        });
        task.join().unwrap();
    });
}

// Ends.

#[test]
fn a_task_is_refused_or_ends_before_the_stop_and_no_thread_is_left() {
    model(2, || {
        let pool = start(PoolConfig::work_stealing(1));
        let ran = Arc::new(Count::new(0));
        let submitter = {
            let (pool, ran) = (Arc::clone(&pool), Arc::clone(&ran));
            thread::spawn(move || submit::submit_static(&pool, None, move || ran.fetch_add(1, SeqCst)).is_ok())
        };
        stop(&pool);
        let ran_before = ran.load(SeqCst);
        assert_eq!(ran_before, usize::from(submitter.join().unwrap()));
    });
}

#[test]
fn a_stop_as_the_rayon_pool_ends_leaves_no_thread() {
    model(2, || {
        let pool = start(PoolConfig::work_stealing(2));
        submit(&pool, || ()).join().unwrap();
        stop(&pool);
    });
}

#[test]
fn a_cancel_resolves_every_handle_and_leaves_no_thread() {
    model(2, || {
        let pool = start(PoolConfig::work_stealing(1).daemon());
        let submitter = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || _ = runs_or_is_told(&pool))
        };
        stop::cancel(&pool, CancelReason::Request);
        submitter.join().unwrap();
    });
}

#[test]
fn a_cancelled_task_ends_once_and_the_pool_with_it() {
    model(2, || {
        let pool = start(PoolConfig::work_stealing(1));
        let ran = Arc::new(Count::new(0));
        let counts = Arc::clone(&ran);
        let handle = submit(&pool, move || counts.fetch_add(1, SeqCst));
        let _ = handle.cancel();
        let ran_well = handle.join().is_ok();
        assert_eq!(ran.load(SeqCst), usize::from(ran_well));
        stop(&pool);
    });
}

// Waits.

#[test]
fn a_task_that_all_workers_wait_for_is_run() {
    model(2, || {
        let pool = start(PoolConfig::work_stealing(1));
        let moment = Arc::new(Moment::default());
        let tells = Arc::clone(&moment);
        let waits = submit(&pool, move || blocking(|| moment.wait()));
        let told = submit(&pool, move || tells.happen());
        waits.join().unwrap();
        told.join().unwrap();
        stop(&pool);
    });
}

#[test]
fn a_visit_that_was_sent_before_the_last_worker_waits_is_not_left_behind() {
    model(1, || {
        // As many as a model can have.
        thread::most(4);
        let pool = start(PoolConfig::work_stealing(2));
        let moment = Arc::new(Moment::default());
        let own = Arc::clone(&pool);
        let first = submit(&pool, move || {
            let (waits, tells) = (Arc::clone(&moment), Arc::clone(&moment));
            rayon::spawn(move || blocking(|| waits.wait()));
            let told = submit(&own, move || tells.happen());
            blocking(|| moment.wait());
            drop(told);
        });
        first.join().unwrap();
        stop(&pool);
    });
}

#[test]
fn a_job_of_no_task_that_waits_holds_up_nobody() {
    model(1, || {
        let pool = start(PoolConfig::work_stealing(1));
        let (moment, done) = (Arc::new(Moment::default()), Arc::new(Moment::default()));
        let (own, ends) = (Arc::clone(&pool), Arc::clone(&done));
        let job = move || {
            let tells = Arc::clone(&moment);
            // Its visit is sent here, if this rayon pool is still there, and its permit is released once this waits.
            let told = submit(&own, move || tells.happen());
            blocking(|| moment.wait());
            told.join().unwrap();
            ends.happen();
        };
        submit(&pool, move || rayon::spawn(job)).join().unwrap();
        done.wait();
        stop(&pool);
    });
}

#[test]
fn after_a_wait_nothing_starts_until_the_pool_is_below_its_limit() {
    model(1, || {
        let pool = start(PoolConfig::work_stealing(1));
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

// The system refuses a thread.

#[test]
fn a_refused_leader_strands_nothing() {
    model(1, || {
        let pool = start(PoolConfig::work_stealing(1));
        thread::refuse(1);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || runs_or_is_told(&pool))
        };
        let _ = runs_or_is_told(&pool);
        let _ = other.join().unwrap();
        // The system has threads again.
        assert!(runs_or_is_told(&pool));
        stop(&pool);
    });
}

#[test]
fn a_thread_that_is_refused_late_leaves_no_rayon_pool_behind() {
    model(2, || {
        thread::most(1);
        let pool = start(PoolConfig::work_stealing(2));
        let first = submit(&pool, || ());
        // The first thread may do this one too, before its own is refused.
        let _ = runs_or_is_told(&pool);
        first.join().unwrap();
    });
}

#[test]
fn a_refused_helper_is_one_worker_fewer() {
    model(2, || {
        thread::most(1);
        let pool = start(PoolConfig::work_stealing(3));
        assert_eq!(submit(&pool, rayon::wait_for_all).join().unwrap(), 1);
        stop(&pool);
    });
}
