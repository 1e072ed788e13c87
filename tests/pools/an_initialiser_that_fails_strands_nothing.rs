//! When a worker that came for a task cannot be initialised, ready ones go on with what is queued; where there is none,
//! what is queued ends with the initialiser's error. No worker is tried again before a pause is over.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, Scope, SubmitErrorKind};

use crate::common::pools::{self, Busy, started};
use crate::common::{bounded, eventually};

/// Whether initialisers fail now, and how many have run.
#[derive(Default)]
struct Weather {
    bad: AtomicBool,
    ran: AtomicUsize,
}

impl Weather {
    fn bad() -> Arc<Self> {
        let weather = Arc::new(Self::default());
        weather.bad.store(true, Ordering::SeqCst);
        weather
    }

    fn config(self: &Arc<Self>, n: usize) -> PoolConfig {
        let weather = Arc::clone(self);
        PoolConfig::dedicated(n).on_worker_start(move |_| {
            weather.ran.fetch_add(1, Ordering::SeqCst);
            if weather.bad.load(Ordering::SeqCst) { Err("no licence") } else { Ok(()) }
        })
    }

    fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }
}

#[test]
fn every_task_of_a_pool_without_a_worker_ends_with_the_error() {
    bounded(|| {
        for n in [1, 4] {
            let weather = Weather::bad();
            let scope = Scope::new("test");
            let pool = started(&scope, "work", weather.config(n));
            let mut refused = 0;
            for _ in 0..2_000 {
                match pool.submit(|| ()) {
                    Ok(task) => {
                        let error = task.join().expect_err("nobody can run it");
                        assert!(
                            error.kind() == heirloom::ErrorKind::WorkerInit && error.to_string().contains("no licence"),
                            "{error}"
                        );
                        assert_eq!(error.source().expect("the initialiser's error").to_string(), "no licence");
                    }
                    Err(error)
                        if matches!(
                            error.as_submit().map(|it| it.kind()),
                            Some(SubmitErrorKind::WorkerInit { .. })
                        ) =>
                    {
                        assert!(error.is_temporary() && error.to_string().contains("no licence"), "{error}");
                        refused += 1;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            assert!(refused > 0, "a pause says so at once");
            // The pause begins at 100 ms, so a storm would be far more.
            assert!(weather.ran() <= 40 * n, "{} initialisers ran", weather.ran());
            let report = pool.stop().expect("from outside");
            assert!(report.is_complete() && report.completed == 0);
        }
    });
}

#[test]
fn everything_queued_ends_whoever_submits_meanwhile() {
    bounded(|| {
        let weather = Weather::bad();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", weather.config(2));
        let submitters: Vec<_> = (0..4)
            .map(|_| {
                let pool = pool.clone();
                std::thread::spawn(move || {
                    let tasks: Vec<_> = (0..500).filter_map(|_| pool.submit(|| ()).ok()).collect();
                    tasks
                        .into_iter()
                        .all(|task| task.join().is_err_and(|error| error.kind() == heirloom::ErrorKind::WorkerInit))
                })
            })
            .collect();
        assert!(submitters.into_iter().all(|submitter| submitter.join().expect("no panic")));
        assert!(pool.stop().expect("from outside").is_complete());
    });
}

#[test]
fn a_failed_initialiser_is_tried_again_after_the_pause() {
    bounded(|| {
        let weather = Weather::bad();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", weather.config(1));
        let first = pool.submit(|| ()).expect("nothing has failed yet");
        assert!(first.join().expect_err("it fails").kind() == heirloom::ErrorKind::WorkerInit);
        weather.bad.store(false, Ordering::SeqCst);
        eventually("a worker is there again", || {
            pool.submit(|| 7).is_ok_and(|task| task.join().is_ok_and(|seven| seven == 7))
        });
        assert_eq!(weather.ran(), 2);
    });
}

#[test]
fn a_refusal_in_the_pause_gives_the_closure_back() {
    bounded(|| {
        let weather = Weather::bad();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", weather.config(1));
        let first = pool.submit(|| ()).expect("nothing has failed yet");
        assert!(first.join().expect_err("it fails").kind() == heirloom::ErrorKind::WorkerInit);
        let refused = pool.try_submit(|| 7).expect_err("the pause has just begun");
        assert!(refused.is_temporary());
        assert_eq!(refused.into_task()(), 7);
    });
}

#[test]
fn workers_that_are_ready_go_on_and_no_other_is_tried_all_the_time() {
    bounded(|| {
        let weather = Arc::new(Weather::default());
        let scope = Scope::new("test");
        let pool = started(&scope, "work", weather.config(4).warm(1));
        weather.bad.store(true, Ordering::SeqCst);
        let busy = Busy::on(&pool);
        // Each of these sends for another worker.
        let tasks: Vec<_> = (0..1_000).map(|n| pool.submit(move || n).expect("a worker serves the pool")).collect();
        eventually("another one was tried", || weather.ran() > 1);
        busy.end();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().expect("the ready one runs it"), n);
        }
        assert!(weather.ran() <= 41, "{} initialisers ran", weather.ran());
        assert_eq!(pool.stop().expect("from outside").completed, 1_001);
    });
}

#[test]
fn an_idle_worker_takes_over_what_a_failing_one_came_for() {
    bounded(|| {
        let scope = Scope::new("test");
        let (goes, gate) = mpsc::channel::<()>();
        let (says, begun) = mpsc::channel();
        let gate = Mutex::new(gate);
        let config = PoolConfig::dedicated(2).warm(1).on_worker_start(move |worker| {
            if worker.index() == 0 {
                return Ok(());
            }
            let _ = says.send(());
            let _ = gate.lock().expect("not poisoned").recv();
            Err("no licence")
        });
        let pool = started(&scope, "work", config);
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| 7).expect("accepted");
        begun.recv().expect("a second one comes for it");
        busy.end();
        assert_eq!(queued.join().expect("the first one runs it"), 7);
        goes.send(()).expect("listens");
        assert_eq!(pool.stop().expect("from outside").completed, 2);
    });
}

#[test]
fn a_panic_in_it_costs_nothing_else() {
    bounded(|| {
        let scope = Scope::new("test");
        let config = PoolConfig::dedicated(1).on_worker_start(|_| -> Result<(), &str> { panic!("no camera") });
        let pool = started(&scope, "work", config);
        let error = pool.submit(|| ()).expect("accepted").join().expect_err("it panics");
        assert!(error.kind() == heirloom::ErrorKind::WorkerInit && error.to_string().contains("no camera"), "{error}");
        assert!(pool.stop().expect("from outside").is_complete());
    });
}

#[test]
fn a_failed_worker_never_gets_a_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let failed = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&failed);
        let tries = AtomicUsize::new(0);
        let config = PoolConfig::dedicated(3).warm(1).on_worker_start(move |_| {
            if tries.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                return Ok(());
            }
            notes.lock().expect("not poisoned").push(std::thread::current().id());
            Err("every second one")
        });
        let pool = started(&scope, "work", config);
        let until = std::time::Instant::now() + Duration::from_millis(300);
        let mut ran = Vec::new();
        while std::time::Instant::now() < until {
            let tasks: Vec<_> = (0..8).map(|_| pool.submit(pools::this_thread).expect("accepted")).collect();
            ran.extend(tasks.into_iter().map(|task| task.join().expect("a worker is ready")));
        }
        assert!(pool.stop().expect("from outside").is_complete());
        let failed = failed.lock().expect("not poisoned");
        assert!(ran.iter().all(|thread| !failed.contains(thread)));
    });
}
