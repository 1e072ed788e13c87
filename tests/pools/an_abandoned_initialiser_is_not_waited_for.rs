//! An initialiser that no task needs any more is abandoned: no end of the pool waits for it, `StopReport::abandoned`
//! counts it until it returns, and its thread ends then without ever having had a task.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Registry, Scope};

use crate::common::pools::{self, started};
use crate::common::{bounded, eventually};

/// Tells that its thread has ended.
struct Gone(mpsc::Sender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

thread_local! {
    static GONE: std::cell::RefCell<Option<Gone>> = const { std::cell::RefCell::new(None) };
}

/// A pool whose initialisers hang until they are released.
struct Hanging {
    release: mpsc::Sender<()>,
    begun: mpsc::Receiver<()>,
    gone: mpsc::Receiver<()>,
}

fn hanging(n: usize) -> (Hanging, PoolConfig) {
    let (release, gate) = mpsc::channel::<()>();
    let (says, begun) = mpsc::channel();
    let (tells, gone) = mpsc::channel();
    let gate = Mutex::new(gate);
    let config = PoolConfig::dedicated(n).on_worker_start(move |_| {
        GONE.set(Some(Gone(tells.clone())));
        let _ = says.send(());
        let _ = gate.lock().expect("not poisoned").recv();
        Ok::<(), std::convert::Infallible>(())
    });
    (Hanging { release, begun, gone }, config)
}

fn released(hanging: &Hanging, pool: &PoolManager) {
    hanging.release.send(()).expect("listens");
    hanging.gone.recv().expect("its thread ends");
    eventually("it is no longer counted", || pool.stop().expect("from outside").abandoned == 0);
}

#[test]
fn stop_returns_and_counts_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let (hanging, config) = hanging(1);
        let pool = started(&scope, "work", config);
        let task = pool.submit(|| unreachable!("the worker never becomes one")).expect("accepted");
        hanging.begun.recv().expect("it begins");
        task.cancel();
        let report = pool.stop().expect("from outside");
        assert_eq!((report.remaining, report.cancelled, report.abandoned), (0, 1, 1));
        assert!(report.is_complete() && report.to_string().contains("1 abandoned"), "{report}");
        assert!(task.join().expect_err("cancelled").is_cancelled());
        released(&hanging, &pool);
    });
}

#[test]
fn a_bounded_stop_leaves_it_to_the_tasks_that_need_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let (hanging, config) = hanging(1);
        let pool = started(&scope, "work", config);
        let task = pool.submit(|| 7).expect("accepted");
        hanging.begun.recv().expect("it begins");
        let report = pool.stop_timeout(Duration::from_millis(10)).expect("from outside");
        assert_eq!((report.remaining, report.abandoned), (1, 0));
        hanging.release.send(()).expect("listens");
        assert_eq!(task.join().expect("what was accepted runs"), 7);
        assert!(pool.stop().expect("from outside").is_complete());
    });
}

#[test]
fn the_others_work_and_end_without_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let (release, gate) = mpsc::channel::<()>();
        let (says, begun) = mpsc::channel();
        let gate = Mutex::new(gate);
        let config = PoolConfig::dedicated(2).warm(1).on_worker_start(move |worker| {
            if worker.index() > 0 {
                let _ = says.send(());
                let _ = gate.lock().expect("not poisoned").recv();
            }
            Ok::<(), std::convert::Infallible>(())
        });
        let pool = started(&scope, "work", config);
        let busy = pools::Busy::on(&pool);
        let other = pool.submit(|| 7).expect("accepted");
        begun.recv().expect("a second one comes");
        busy.end();
        assert_eq!(other.join().expect("the first one runs it"), 7);
        let report = pool.stop().expect("from outside");
        assert_eq!((report.completed, report.abandoned), (2, 1));
        drop(release);
        eventually("it has returned", || pool.stop().expect("from outside").abandoned == 0);
    });
}

#[test]
fn cancelling_the_scope_abandons_it_and_its_family_goes_on() {
    bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "request");
        let (hanging, config) = hanging(2);
        let pool = started(&scope, "work", config);
        drop(pool.submit(|| ()).expect("accepted"));
        hanging.begun.recv().expect("it begins");
        scope.cancel();
        let report = scope.stop().expect("from outside");
        assert_eq!((report.remaining, report.abandoned), (0, 1));
        assert!(family.shutdown_timeout(Duration::from_secs(10)).is_complete());
        pool.start(PoolConfig::leased(1)).expect_err("the scope has ended");
        released(&hanging, &pool);
    });
}

#[test]
fn several_of_a_start_that_timed_out_are_counted() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let (hanging, config) = hanging(3);
        pool.start(config.warm(3).warm_timeout(Duration::from_millis(50))).expect_err("all hang");
        // On a busy machine not all have begun in that time, and the others never do then.
        let begun = pool.stop().expect("from outside").abandoned;
        (0..begun).for_each(|_| hanging.begun.recv().expect("it has begun"));
        assert!(hanging.begun.try_recv().is_err(), "one that is not counted");
        (0..begun).for_each(|_| hanging.release.send(()).expect("listens"));
        (0..begun).for_each(|_| hanging.gone.recv().expect("its thread ends"));
        eventually("none is counted", || pool.stop().expect("from outside").abandoned == 0);
    });
}

#[test]
fn dropping_the_manager_leaves_nothing_but_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let (hanging, config) = hanging(1);
        let pool = started(&scope, "work", config.daemon());
        let task = pool.submit(|| ()).expect("accepted");
        hanging.begun.recv().expect("it begins");
        drop(pool);
        drop(scope);
        assert!(task.join().expect_err("cancelled").is_cancelled());
        hanging.release.send(()).expect("listens");
        hanging.gone.recv().expect("its thread ends");
    });
}
