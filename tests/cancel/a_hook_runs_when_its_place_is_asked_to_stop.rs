//! `on_cancel`: code that runs once when the running task or thread, or a place above it, is asked to stop, and not after
//! its guard is gone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heirloom::{FutureExt, Heirloom, Lineage, OnCancel, PoolConfig, PoolManager, Registry, Scope, thread};

use crate::common::pools::{block_on, started, this_thread};
use crate::common::{bounded, eventually};

/// How often a hook ran, and a hook that counts.
#[derive(Clone, Default)]
struct Ran(Arc<AtomicUsize>);

impl Ran {
    fn times(&self) -> usize {
        self.0.load(SeqCst)
    }

    fn hook(&self) -> OnCancel {
        heirloom::on_cancel(self.counts())
    }

    fn counts(&self) -> impl FnOnce() + Send + 'static {
        let ran = self.clone();
        move || {
            ran.0.fetch_add(1, SeqCst);
        }
    }
}

/// A task that has a hook and then waits, in a way that heirloom does not see, until the hook ends the wait. `ask` is
/// called when it waits.
fn ends_a_foreign_wait(scope: &Scope, pool: &PoolManager, ask: impl FnOnce(&heirloom::TaskHandle<bool>)) {
    let (waits, is_waiting) = mpsc::channel();
    let task = scope.run(|| {
        pool.submit(move || {
            let (interrupt, interrupted) = mpsc::channel();
            let _hook = heirloom::on_cancel(move || interrupt.send(()).expect("the task waits"));
            waits.send(()).expect("the test listens");
            interrupted.recv().is_ok()
        })
    });
    let task = task.expect("accepted");
    is_waiting.recv().expect("it starts");
    ask(&task);
    assert!(task.join().expect("runs"));
}

#[test]
fn every_kind_of_request_runs_it() {
    bounded(|| {
        let (scope, tenant) = (Scope::new("test"), Scope::new("tenant"));
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let pool = started(&scope, "work", config);
            ends_a_foreign_wait(&scope, &pool, |task| {
                let _ = task.cancel();
            });
            let request = Scope::new_in(&tenant, "request");
            ends_a_foreign_wait(&request, &pool, |_| request.cancel());
            let pool_is_cancelled = started(&scope, "other", PoolConfig::leased(1));
            ends_a_foreign_wait(&scope, &pool_is_cancelled, |_| pool_is_cancelled.cancel());
        }
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let request = Scope::new_in(&tenant, "request");
        ends_a_foreign_wait(&request, &pool, |_| tenant.cancel());
    });
}

#[test]
fn a_thread_hears_of_its_handles_request() {
    bounded(|| {
        let (waits, is_waiting) = mpsc::channel();
        let thread = thread::spawn(move || {
            let (interrupt, interrupted) = mpsc::channel();
            let _hook = heirloom::on_cancel(move || interrupt.send(()).expect("the thread waits"));
            waits.send(()).expect("the test listens");
            interrupted.recv().is_ok()
        })
        .expect("a thread starts");
        is_waiting.recv().expect("it starts");
        thread.cancel();
        assert!(thread.join().expect("it does not panic"));
    });
}

#[test]
fn it_runs_at_once_when_the_request_was_made_before() {
    bounded(|| {
        let scope = Scope::new("test");
        scope.cancel();
        let ran = Ran::default();
        let _hook = scope.run(|| ran.hook());
        assert_eq!(ran.times(), 1);
        let elsewhere = Ran::default();
        let _hook = scope.on_cancel(elsewhere.counts());
        assert_eq!(elsewhere.times(), 1);
    });
}

#[test]
fn it_runs_once_however_often_is_asked() {
    bounded(|| {
        let (tenant, ran) = (Scope::new("tenant"), Ran::default());
        let request = Scope::new_in(&tenant, "request");
        let _hook = request.run(|| ran.hook());
        request.cancel();
        request.cancel();
        tenant.cancel();
        assert_eq!(ran.times(), 1);
    });
}

#[test]
fn it_runs_on_the_thread_that_asks_and_stands_where_it_was_made() {
    static TENANT: Heirloom<&str> = Heirloom::new("tenant");
    bounded(|| {
        let scope = Scope::new("test");
        TENANT.at(&scope).bind("acme").expect("bound");
        let (said, heard) = mpsc::channel();
        let _hook = scope.run(|| {
            heirloom::on_cancel(move || {
                said.send((this_thread(), heirloom::current(), TENANT.get().ok().as_deref().copied())).expect("listens")
            })
        });
        let at = scope.lineage().clone();
        let canceller = std::thread::spawn(move || {
            at.cancel();
            this_thread()
        });
        let canceller = canceller.join().expect("it does not panic");
        let (thread, place, tenant) = heard.recv().expect("it ran");
        assert_eq!((thread, &place), (canceller, scope.lineage()));
        assert_eq!(tenant, Some("acme"));
    });
}

#[test]
fn what_the_canceller_itself_was_asked_is_none_of_the_hooks() {
    bounded(|| {
        let (scope, other) = (Scope::new("test"), Scope::new("other"));
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let (said, heard) = mpsc::channel();
        // It stands at `apart`, which nobody asks: what it hears would be the canceller's own.
        let apart = Scope::new("apart");
        let at = apart.lineage().clone();
        let _hook = other.on_cancel(move || at.run(|| said.send(heirloom::is_cancelled()).expect("listens")));
        let target = other.lineage().clone();
        let (starts, has_started) = mpsc::channel();
        let canceller = pool.submit(move || {
            starts.send(()).expect("the test listens");
            while !heirloom::is_cancelled() {
                std::thread::yield_now();
            }
            target.cancel();
        });
        let canceller = canceller.expect("accepted");
        has_started.recv().expect("it starts");
        canceller.cancel();
        canceller.join().expect("runs");
        assert_eq!(heard.recv(), Ok(false));
    });
}

#[test]
fn a_hook_that_was_taken_back_never_runs() {
    bounded(|| {
        let (scope, ran) = (Scope::new("test"), Ran::default());
        drop(scope.run(|| ran.hook()));
        let kept = Ran::default();
        let _hook = scope.run(|| kept.hook());
        scope.cancel();
        assert_eq!((ran.times(), kept.times()), (0, 1));
    });
}

#[test]
fn taking_it_back_waits_for_one_that_runs() {
    bounded(|| {
        let scope = Scope::new("test");
        let (runs, is_running) = mpsc::channel();
        let (drops, is_dropping) = mpsc::channel::<()>();
        let ended = Arc::new(AtomicBool::new(false));
        let hook = {
            let ended = Arc::clone(&ended);
            scope.on_cancel(move || {
                runs.send(()).expect("the test listens");
                is_dropping.recv().expect("the guard is dropped");
                // Time for a drop that does not wait to return.
                std::thread::sleep(Duration::from_millis(20));
                ended.store(true, SeqCst);
            })
        };
        let at = scope.lineage().clone();
        let canceller = std::thread::spawn(move || at.cancel());
        is_running.recv().expect("it runs");
        drops.send(()).expect("the hook listens");
        drop(hook);
        assert!(ended.load(SeqCst));
        canceller.join().expect("it does not panic");
    });
}

#[test]
fn a_hook_may_drop_its_own_guard() {
    bounded(|| {
        let scope = Scope::new("test");
        let guard = Arc::new(Mutex::new(None::<OnCancel>));
        let (done, is_done) = mpsc::channel();
        let hook = {
            let guard = Arc::clone(&guard);
            scope.on_cancel(move || {
                let own = guard.lock().expect("whole").take();
                drop(own);
                done.send(()).expect("the test listens");
            })
        };
        *guard.lock().expect("whole") = Some(hook);
        scope.cancel();
        assert_eq!(is_done.try_recv(), Ok(()));
    });
}

#[test]
fn a_panic_in_one_costs_nothing() {
    bounded(|| {
        let (scope, ran) = (Scope::new("test"), Ran::default());
        let _before = scope.on_cancel(ran.counts());
        let _panics = scope.on_cancel(|| std::panic::panic_any("in a hook"));
        let _after = scope.on_cancel(ran.counts());
        scope.cancel();
        assert_eq!(ran.times(), 2);
        assert!(scope.is_closed());
    });
}

#[test]
fn a_hook_may_use_pools_and_ask_others() {
    bounded(|| {
        let (scope, other) = (Scope::new("test"), Scope::new("other"));
        let pool = started(&other, "work", PoolConfig::leased(1));
        let target = other.lineage().clone();
        let (said, heard) = mpsc::channel();
        let _hook = scope.on_cancel(move || {
            let ran = Lineage::process().run(|| pool.submit(|| "ran")).expect("accepted").join();
            target.cancel();
            said.send(ran.expect("runs")).expect("the test listens");
        });
        scope.cancel();
        assert_eq!(heard.try_recv(), Ok("ran"));
        assert!(other.is_cancelled());
    });
}

#[test]
fn a_declined_request_is_none() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let ran = Ran::default();
        let (starts, has_started) = mpsc::channel();
        let (tells, is_told) = mpsc::channel();
        let task = {
            let ran = ran.clone();
            pool.submit(move || {
                starts.send(()).expect("the test listens");
                while !heirloom::acknowledge_cancel() {
                    std::thread::yield_now();
                }
                let _hook = ran.hook();
                let before = ran.times();
                tells.send(()).expect("the test listens");
                while ran.times() == 0 {
                    std::thread::yield_now();
                }
                before
            })
        };
        let task = task.expect("accepted");
        has_started.recv().expect("it starts");
        task.cancel();
        is_told.recv().expect("it declined");
        task.cancel(); // a new one
        assert_eq!(task.join().expect("runs"), 0);
        assert_eq!(ran.times(), 1);
    });
}

#[test]
fn a_future_keeps_its_hook_over_awaits() {
    bounded(|| {
        let request = Scope::new("request");
        let ran = Ran::default();
        let (waits, is_waiting) = mpsc::channel();
        let (go, gate) = futures::channel::oneshot::channel::<()>();
        let at = request.lineage().clone();
        let handler = {
            let ran = ran.clone();
            async move {
                let hook = ran.hook();
                waits.send(()).expect("the test listens");
                let _ = gate.await;
                drop(hook);
                ran.times()
            }
        };
        let server = std::thread::spawn(move || block_on(handler.in_lineage(&at)));
        is_waiting.recv().expect("it begins");
        request.cancel();
        assert_eq!(ran.times(), 1);
        go.send(()).expect("it waits");
        assert_eq!(server.join().expect("it does not panic"), 1);
    });
}

#[test]
fn outside_of_anything_that_can_be_asked_it_never_runs() {
    bounded(|| {
        let ran = Ran::default();
        let hook = Lineage::process().run(|| ran.hook());
        let scope = Scope::new("test");
        scope.cancel();
        assert_eq!(Lineage::process().cancel(), heirloom::CancelOutcome::NotCancellable);
        drop(hook);
        assert_eq!(ran.times(), 0);
    });
}

#[test]
fn its_place_lives_no_longer_than_the_guard() {
    bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "request");
        let hook = scope.on_cancel(|| ());
        scope.finish();
        assert_eq!(family.snapshot().nodes.len(), 2);
        drop(hook);
        eventually("the scope's node is gone", || family.snapshot().nodes.len() == 1);
    });
}

#[test]
fn after_the_guard_is_gone_nothing_runs_whatever_came_first() {
    bounded(|| {
        for round in 0..2000 {
            let scope = Scope::new("test");
            let ran = Ran::default();
            let hook = scope.on_cancel(ran.counts());
            let at = scope.lineage().clone();
            let canceller = std::thread::spawn(move || at.cancel());
            for _ in 0..round % 50 {
                std::hint::spin_loop();
            }
            drop(hook);
            let then = ran.times();
            canceller.join().expect("it does not panic");
            assert_eq!(ran.times(), then);
        }
    });
}
