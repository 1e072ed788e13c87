//! `call` finds a pool, submits and waits: one error for all of them and the closure; a dropped call cancels its task.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;

use heirloom::{Error, ErrorKind, PoolConfig, Scope, TaskKind, TaskType};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

/// An application's error.
#[derive(Debug)]
enum Failure {
    Pools(Error),
    Odd(u32),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Pools(error)
    }
}

fn half(n: u32) -> Result<u32, Failure> {
    if n.is_multiple_of(2) { Ok(n / 2) } else { Err(Failure::Odd(n)) }
}

#[test]
fn it_returns_the_closures_own_result() {
    bounded(|| {
        let scope = Scope::new("test");
        started(&scope, "work", PoolConfig::leased(1));
        scope.run(|| {
            assert_eq!(heirloom::call("work", || half(8)).join().expect("even"), 4);
            assert!(matches!(heirloom::call("work", || half(7)).join(), Err(Failure::Odd(7))));
        });
    });
}

#[test]
fn awaiting_it_is_the_same_wait() {
    bounded(|| {
        let scope = Scope::new("test");
        started(&scope, "work", PoolConfig::leased(1));
        scope.run(|| {
            futures::executor::block_on(async {
                assert_eq!(heirloom::call("work", || half(8)).await.expect("even"), 4);
                assert!(matches!(heirloom::call("work", || half(7)).await, Err(Failure::Odd(7))));
            });
        });
    });
}

#[test]
fn a_missing_manager_is_the_calls_error() {
    bounded(|| {
        let Err(Failure::Pools(error)) = heirloom::call("nowhere", || half(8)).join() else {
            panic!("no such manager")
        };
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_refusal_is_the_calls_error() {
    bounded(|| {
        let scope = Scope::new("test");
        let never_started = scope.create("work");
        let Err(Failure::Pools(error)) = never_started.call(|| half(8)).join() else { panic!("not started") };
        assert_eq!(error.kind(), ErrorKind::NotStarted);
        let awaited = futures::executor::block_on(never_started.call(|| half(8)));
        assert!(matches!(awaited, Err(Failure::Pools(error)) if error.kind() == ErrorKind::NotStarted));
    });
}

#[test]
fn a_full_queue_refuses_at_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).queue_limit(1));
        let busy = Busy::on(&pool);
        let queued = pool.call(|| half(2));
        let Err(Failure::Pools(error)) = pool.call(|| half(4)).join() else { panic!("the queue is full") };
        assert!(error.is_temporary());
        busy.end();
        assert_eq!(queued.join().expect("even"), 1);
    });
}

#[test]
fn a_panic_is_the_calls_error() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).log_panics(false));
        let panics = pool.call(|| if true { panic!("no") } else { half(2) });
        let Err(Failure::Pools(error)) = panics.join() else { panic!("it panics") };
        assert!(error.is_panic());
    });
}

#[test]
fn an_error_of_std_io_takes_in_those_of_the_crate() {
    bounded(|| {
        let missing = heirloom::call("nowhere", || io::Result::Ok(())).join().expect_err("no such manager");
        let inner = missing.downcast::<Error>().expect("it holds the crate's error");
        assert_eq!(inner.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn calls_run_beside_each_other_before_any_is_waited_for() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let both = Arc::new(Barrier::new(2));
        let meet = |both: &Arc<Barrier>| {
            let both = Arc::clone(both);
            pool.call(move || Ok::<_, Error>(both.wait().is_leader()))
        };
        let (one, two) = (meet(&both), meet(&both));
        assert_ne!(one.join().expect("meets"), two.join().expect("meets"));
    });
}

#[test]
fn dropping_it_takes_a_queued_task_out_of_the_queue() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        drop(pool.call(move || {
            runs.store(true, Ordering::SeqCst);
            half(2)
        }));
        assert_eq!(pool.stats().queued, 0);
        busy.end();
        pool.wait_idle().expect("not from an own task");
        assert!(!ran.load(Ordering::SeqCst));
    });
}

#[test]
fn dropping_its_future_cancels_a_running_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let (starts, has_started) = mpsc::channel();
        let (ends, ended) = mpsc::channel();
        let call = pool.call(move || {
            starts.send(()).expect("the test listens");
            let slept = heirloom::sleep(Duration::MAX);
            ends.send(slept.is_err()).expect("the test listens");
            half(2)
        });
        has_started.recv().expect("it starts");
        {
            let mut call = pin!(call);
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert!(ended.recv().expect("it ends"), "its sleep was interrupted");
    });
}

#[test]
fn its_plain_handle_detaches() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        drop(pool.call(|| half(2)).into_handle().expect("accepted"));
        busy.end();
        assert_eq!(pool.stop().expect("not from an own task").completed, 2);
    });
}

#[test]
fn a_call_inside_a_full_pool_of_one_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1), PoolConfig::leased(1).holds_permit()] {
            let pool = started(&scope, "work", config);
            let own = pool.clone();
            assert_eq!(pool.call(move || own.call(|| half(8)).join()).join().expect("even"), 4);
            pool.wait_idle().expect("not from an own task");
        }
    });
}

#[test]
fn a_cancel_of_the_waiting_caller_is_passed_on() {
    bounded(|| {
        let scope = Scope::new("test");
        let (outer, inner) =
            (started(&scope, "outer", PoolConfig::leased(1)), started(&scope, "inner", PoolConfig::leased(1)));
        let (starts, has_started) = mpsc::channel();
        let caller = outer.submit(move || {
            inner
                .call(move || {
                    starts.send(()).expect("the test listens");
                    heirloom::sleep(Duration::MAX)
                })
                .join()
        });
        let caller = caller.expect("accepted");
        has_started.recv().expect("it starts");
        caller.cancel();
        let error = caller.join().expect("the caller itself ends").expect_err("its call was cancelled");
        assert!(error.is_cancelled());
    });
}

#[test]
fn its_deadline_cancels_the_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let call = pool.call(|| heirloom::sleep(Duration::MAX)).timeout(Duration::from_millis(1));
        assert!(call.join().expect_err("it sleeps for ever").is_cancelled());
    });
}

#[test]
fn every_handle_of_a_manager_has_it() {
    struct Halves;
    impl TaskKind for Halves {}

    bounded(|| {
        let scope = Scope::new("test");
        let typed = started(&scope, "typed", PoolConfig::leased(1).task_type(TaskType::of::<Halves>()));
        assert_eq!(typed.of_type(TaskType::of::<Halves>()).call(|| half(8)).join().expect("even"), 4);
        let halves = typed.typed::<Halves>().expect("of this type");
        assert_eq!(halves.call(Halves::task(|| half(8))).join().expect("even"), 4);
        let config = PoolConfig::dedicated(1).worker_state(|| Ok::<_, io::Error>(8_u32));
        let stateful = started(&scope, "state", config).with_state::<u32>().expect("it has one");
        assert_eq!(stateful.call(|n| half(*n)).join().expect("even"), 4);
    });
}
