//! What a server of jobs on prepared workers needs: scenarios of LiveKit agents' own tests, told in this crate's words,
//! and its known faults, which must not happen here.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use heirloom::{Heirloom, PoolConfig, Scope, StartErrorKind, thread};

use crate::common::pools::started;
use crate::common::{BOUND, bounded, eventually};

/// Scenario 20: three prepared workers are wanted and two jobs come: three initialisations, before any job; both jobs
/// find what their worker prepared; all ends.
#[test]
fn prepared_workers_serve_jobs_with_what_they_prepared() {
    bounded(|| {
        static MODEL: Heirloom<usize> = Heirloom::new("model");
        let prepared = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&prepared);
        let scope = Scope::new("server");
        let jobs = scope.create("jobs");
        let config = PoolConfig::dedicated(3).warm(3).on_worker_start(move |worker| {
            MODEL.at(&worker.lineage()).bind(count.fetch_add(1, Ordering::SeqCst)).map(drop)
        });
        jobs.start(config).expect("all are ready");
        assert_eq!(prepared.load(Ordering::SeqCst), 3);
        let met = Arc::new(Barrier::new(2));
        let job = || {
            let met = Arc::clone(&met);
            jobs.submit(move || {
                met.wait();
                let worker = heirloom::worker().expect("a worker of the pool's own");
                (*MODEL.at(&worker.lineage()).get().expect("prepared"), worker.started_by(), MODEL.get().is_err())
            })
        };
        let (one, two) = (job().expect("accepted"), job().expect("accepted"));
        let (one, two) = (one.join().expect("runs"), two.join().expect("runs"));
        assert!(one.0 != two.0 && one.0 < 3 && two.0 < 3);
        assert_eq!((one.1.as_ref(), one.2), (Some(scope.lineage()), true), "a job stands below whoever asked for it");
        let report = jobs.stop().expect("from outside");
        assert!(report.is_complete() && report.completed == 2 && report.abandoned == 0);
        assert_eq!(prepared.load(Ordering::SeqCst), 3);
    });
}

/// Scenario 21: workers that all fail to start are an error of the start, with the reason; nothing hangs, nothing is
/// left, and the manager starts again.
#[test]
fn when_no_worker_can_be_prepared_the_start_says_why() {
    bounded(|| {
        let scope = Scope::new("server");
        let jobs = scope.create("jobs");
        let fails = PoolConfig::dedicated(3).warm(3).on_worker_start(|_| Err::<(), _>("no model"));
        let error = jobs.start(fails).unwrap_err();
        assert!(
            matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WorkerInit { error, .. }) if error.to_string() == "no model"),
            "{error}"
        );
        assert!(!jobs.is_running() && jobs.submit(|| ()).is_err());
        jobs.start(PoolConfig::dedicated(1)).expect("starts again");
        assert_eq!(jobs.submit(|| 7).expect("accepted").join().expect("runs"), 7);
    });
}

/// Scenarios 21 and 31: a worker that takes too long is given up, reported by the start and by the stop, gets no job
/// when it is ready at last, and another takes its place.
#[test]
fn a_slow_worker_is_given_up_and_replaced() {
    bounded(|| {
        let scope = Scope::new("server");
        let jobs = scope.create("jobs");
        let go = loop {
            let (go, gate) = channel::<()>();
            let gate = Mutex::new(gate);
            let slow = move |_: &heirloom::WorkerCtx| {
                gate.lock().map(|gate| gate.recv().is_err()).map(drop).map_err(|_| "poisoned")
            };
            let config = PoolConfig::dedicated(1).warm(1).warm_timeout(Duration::from_millis(5)).on_worker_start(slow);
            assert!(
                matches!(jobs.start(config), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WarmTimeout { ready: 0, wanted: 1, .. })))
            );
            // On a busy machine the worker may not have begun in that time, and never does then.
            if jobs.stop_timeout(BOUND).expect("from outside").abandoned == 1 {
                break go;
            }
        };
        jobs.start(PoolConfig::dedicated(1).warm(1).on_worker_start(|_| Ok::<(), String>(()))).expect("another");
        assert_eq!(jobs.submit(|| 7).expect("accepted").join().expect("runs"), 7);
        drop(go);
        assert_eq!(jobs.stop().expect("from outside").abandoned, 0);
    });
}

/// Scenario 31: a failed preparation is no prepared worker, whether it returned an error or panicked.
#[test]
fn a_failed_preparation_surfaces_and_a_stop_stays_bounded() {
    bounded(|| {
        let scope = Scope::new("server");
        for panics in [false, true] {
            let jobs = scope.create("jobs");
            let fails =
                move |_: &heirloom::WorkerCtx| if panics { panic!("no model") } else { Err::<(), _>("no model") };
            let error = jobs.start(PoolConfig::dedicated(2).warm(2).on_worker_start(fails)).unwrap_err();
            assert!(error.to_string().contains("no model"), "{error}");
            assert!(jobs.stop().expect("from outside").is_complete());
        }
    });
}

/// Scenario 22: a start whose waiter went away is neither lost nor left behind: it goes on, and an end reaps it.
#[test]
fn a_start_that_nobody_waits_for_any_more_is_reaped() {
    bounded(|| {
        let scope = Scope::new("server");
        let jobs = scope.create("jobs");
        let (begins, begun) = channel();
        let (go, gate) = channel::<()>();
        let (begins, gate) = (Mutex::new(begins), Mutex::new(gate));
        let prepare = move |_: &heirloom::WorkerCtx| {
            let _ = begins.lock().map(|begins| begins.send(()));
            let _ = gate.lock().map(|gate| gate.recv().is_err());
            Ok::<(), String>(())
        };
        let config = PoolConfig::dedicated(1).warm(1).on_worker_start(prepare);
        {
            let mut start = Box::pin(jobs.start_async(config));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(start.as_mut().poll(&mut cx).is_pending());
            begun.recv().expect("it prepares");
        } // dropped: the waiter is gone
        drop(go);
        let report = jobs.stop_timeout(BOUND).expect("from outside");
        assert!(report.is_complete());
        assert!(!jobs.is_running());
    });
}

/// Scenario 22: a job that is slow to end is reported when the deadline has passed, not waited for; asked to stop, it
/// ends, and its clean-up runs once.
#[test]
fn a_slow_job_is_reported_past_the_deadline_and_ends_when_it_is_asked() {
    bounded(|| {
        struct CleanUp(Arc<AtomicUsize>);
        impl Drop for CleanUp {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let cleaned = Arc::new(AtomicUsize::new(0));
        let scope = Scope::new("server");
        let jobs = started(&scope, "jobs", PoolConfig::leased(1));
        let (begins, begun) = channel();
        let at_end = CleanUp(Arc::clone(&cleaned));
        let job = jobs.submit(move || {
            let _at_end = at_end;
            begins.send(()).expect("the test listens");
            heirloom::sleep(BOUND * 10).is_err()
        });
        let job = job.expect("accepted");
        begun.recv().expect("it runs");
        let report = jobs.stop_timeout(Duration::from_millis(5)).expect("from outside");
        assert_eq!((report.remaining, report.still_running[0].id), (1, job.id()));
        jobs.cancel();
        assert!(job.join().expect("ends"));
        assert!(jobs.stop().expect("from outside").is_complete());
        assert_eq!(cleaned.load(Ordering::SeqCst), 1);
    });
}

/// Scenario 23: what a session bound for its end is done when the entry point fails, and when a part of the session
/// does not end: the rest of it does.
#[test]
fn what_belongs_to_a_session_ends_with_it_also_when_its_job_fails() {
    bounded(|| {
        struct Session(Arc<AtomicBool>);
        impl Drop for Session {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        static SESSION: Heirloom<Session> = Heirloom::new("session");
        let server = Scope::new("server");
        let jobs = started(&server, "jobs", PoolConfig::leased(2).log_panics(false));
        for hangs in [false, true] {
            let closed = Arc::new(AtomicBool::new(false));
            let session = Scope::new_in(&server, "session");
            SESSION.at(&session).bind(Session(Arc::clone(&closed))).expect("open");
            let (go, gate) = channel::<()>();
            let fails = session.run(|| jobs.submit(|| -> () { panic!("the entry point fails") })).expect("accepted");
            let hung = hangs.then(|| session.run(|| jobs.submit(move || gate.recv().is_err())).expect("accepted"));
            assert!(fails.join().is_err_and(|error| error.is_panic()));
            let report = session.stop_timeout(Duration::from_millis(5)).expect("from outside");
            assert_eq!(report.is_complete(), !hangs);
            assert_eq!(closed.load(Ordering::SeqCst), !hangs, "it is there as long as a part of the session runs");
            drop(go);
            if let Some(hung) = hung {
                assert!(hung.join().expect("ends"));
            }
            eventually("the session is closed", || closed.load(Ordering::SeqCst));
        }
    });
}

/// Scenario 24: opening it again inside gives the outer one, a sibling has its own, and only its owner's end closes it.
#[test]
fn a_nested_open_reuses_the_outer_one_and_only_the_owner_closes_it() {
    bounded(|| {
        struct Session(Arc<AtomicUsize>);
        impl Drop for Session {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        static HTTP: Heirloom<Session> = Heirloom::new("http");
        let closed = Arc::new(AtomicUsize::new(0));
        let open = |at: &Scope| at.run(|| HTTP.at(at).get_or_init(|| Session(Arc::clone(&closed)))).expect("open");
        let (one, two) = (Scope::new("one"), Scope::new("two"));
        let (outer, other) = (open(&one), open(&two));
        {
            let nested = Scope::new_in(&one, "nested");
            assert!(Arc::ptr_eq(&outer, &open(&nested)));
            assert!(!Arc::ptr_eq(&outer, &other));
            let _ = nested.stop();
        }
        drop(outer);
        assert_eq!(closed.load(Ordering::SeqCst), 0, "the inner end closes nothing");
        let _ = one.stop();
        assert_eq!(closed.load(Ordering::SeqCst), 1);
        let outside = HTTP.get().err().expect("outside there is none");
        assert!(outside.to_string().contains("http"), "{outside}");
        drop((other, two));
        assert_eq!(closed.load(Ordering::SeqCst), 2);
    });
}

/// Scenario 25: a drain that runs out of time says so, and what follows closes all the same.
#[test]
fn a_drain_that_runs_out_of_time_still_closes() {
    bounded(|| {
        let scope = Scope::new("server");
        let jobs = started(&scope, "jobs", PoolConfig::leased(1));
        let (begins, begun) = channel();
        let job = jobs.submit(move || {
            begins.send(()).expect("the test listens");
            heirloom::sleep(BOUND * 10).is_err()
        });
        begun.recv().expect("it runs");
        assert!(!jobs.wait_idle_timeout(Duration::from_millis(5)).expect("from outside"));
        assert!(jobs.is_running(), "waiting closes nothing");
        let report = jobs.stop_timeout(Duration::from_millis(5)).expect("from outside");
        assert!(!report.is_complete() && jobs.submit(|| ()).is_err());
        jobs.cancel();
        assert!(job.expect("accepted").join().expect("ends"));
        assert!(jobs.stop().expect("from outside").is_complete());
    });
}

/// Scenario 30: what `get_or_create` hands out after a stop can be started.
#[test]
fn after_a_stop_a_manager_that_is_found_can_be_started() {
    bounded(|| {
        let scope = Scope::new("server");
        let stopped = started(&scope, "jobs", PoolConfig::leased(1));
        assert!(stopped.stop().expect("from outside").is_complete());
        let found =
            scope.run(|| thread::spawn(|| heirloom::get_or_create("jobs")).expect("a thread starts").join()).unwrap();
        found.start(PoolConfig::leased(2)).expect("it can be started");
        assert_eq!(found.submit(|| 7).expect("accepted").join().expect("runs"), 7);
    });
}
