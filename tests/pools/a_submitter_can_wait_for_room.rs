//! `submit_timeout` waits at most so long for room in a bounded queue, `submit_async` without blocking the runtime;
//! nobody who waits is forgotten, and dropping the future submits nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use heirloom::{FutureExt, PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskHandle};

use crate::common::{BOUND, bounded, eventually};

/// A pool of one that runs a task until the sender is dropped, and has one queued: full.
fn full(scope: &Scope) -> (PoolManager, mpsc::Sender<()>) {
    let pool = scope.create("full");
    pool.start(PoolConfig::leased(1).queue_limit(1)).expect("starts");
    let (go, gate) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    drop(pool.submit(move || {
        let _ = started.send(());
        let _ = gate.recv();
    }));
    running.recv().expect("runs");
    drop(pool.submit(|| ()));
    (pool, go)
}

#[test]
fn a_submitter_that_gets_room_in_time_is_accepted() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go) = full(&scope);
        let (asks, asked) = mpsc::channel();
        let submitter = std::thread::spawn(move || {
            let _ = asks.send(());
            pool.submit_timeout(|| 7, BOUND).expect("room comes").join().expect("ends")
        });
        asked.recv().expect("asks");
        drop(go);
        assert_eq!(submitter.join().expect("accepted"), 7);
    });
}

#[test]
fn a_submitter_that_gets_no_room_in_time_has_its_closure_back() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go) = full(&scope);
        let begun = Instant::now();
        let refused = pool.try_submit_timeout(|| 7, Duration::from_millis(60)).expect_err("no room comes");
        assert!(begun.elapsed() >= Duration::from_millis(60));
        assert!(
            matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { .. }))
                && refused.is_temporary()
        );
        assert_eq!(refused.into_task()(), 7);
        drop(go);
    });
}

#[test]
fn a_submitter_without_time_looks_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go) = full(&scope);
        assert!(pool.submit_timeout(|| 7, Duration::ZERO).is_err());
        drop(go);
        pool.wait_idle().expect("not from an own task");
        assert!(pool.submit_timeout(|| 7, Duration::ZERO).is_ok());
    });
}

#[test]
fn a_close_ends_the_wait() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go) = full(&scope);
        let (waiting, closer) = (pool.clone(), pool.clone());
        let (asks, asked) = mpsc::channel();
        let submitter = std::thread::spawn(move || {
            let _ = asks.send(());
            let refused = waiting.try_submit_timeout(|| (), BOUND * 10).expect_err("closed");
            matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. }))
        });
        asked.recv().expect("asks");
        closer.close();
        assert!(submitter.join().expect("refused"));
        drop(go);
    });
}

#[test]
fn every_one_of_many_is_accepted_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("narrow");
        pool.start(PoolConfig::leased(2).queue_limit(1)).expect("starts");
        let ran = Arc::new(AtomicUsize::new(0));
        let submitters: Vec<_> = (0..8)
            .map(|n| {
                let (pool, ran) = (pool.clone(), Arc::clone(&ran));
                std::thread::spawn(move || {
                    for _ in 0..200 {
                        let ran = Arc::clone(&ran);
                        let task = move || ran.fetch_add(1, Ordering::Relaxed);
                        // Half of them wait as futures.
                        let submitted = match n % 2 {
                            0 => pool.submit_timeout(task, BOUND),
                            _ => futures::executor::block_on(pool.submit_async(task)),
                        };
                        drop(submitted.expect("room comes"));
                    }
                })
            })
            .collect();
        for submitter in submitters {
            submitter.join().expect("all accepted");
        }
        pool.wait_idle().expect("not from an own task");
        assert_eq!(ran.load(Ordering::Relaxed), 1600);
        assert_eq!(pool.stats().refused, 0, "waiting is not being refused");
    });
}

#[test]
fn a_task_of_the_pool_itself_may_wait_for_its_room() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("one");
        pool.start(PoolConfig::leased(1).queue_limit(1)).expect("starts");
        let this = pool.clone();
        let outer = pool.submit(move || {
            let tasks: Vec<_> = (0..10).map(|n| this.submit_timeout(move || n, BOUND).expect("room comes")).collect();
            tasks.into_iter().map(|task| task.join().expect("ends")).sum::<i32>()
        });
        assert_eq!(outer.expect("accepted").join().expect("ends"), 45);
    });
}

#[test]
fn a_future_that_is_dropped_submits_nothing_and_keeps_no_room() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go) = full(&scope);
        let ran = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&ran);
        {
            let mut waits = Box::pin(pool.submit_async(move || set.store(true, Ordering::Relaxed)));
            assert!(matches!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        }
        assert_eq!(Arc::strong_count(&ran), 1, "the closure is gone");
        drop(go);
        pool.wait_idle().expect("not from an own task");
        assert!(!ran.load(Ordering::Relaxed));
        assert!(pool.submit(|| ()).is_ok(), "there is room");
    });
}

#[test]
fn a_notified_future_that_is_dropped_passes_its_turn_on() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, go) = full(&scope);
        let mut first = Box::pin(pool.submit_async(|| 1));
        let mut second = Box::pin(pool.submit_async(|| 2));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        drop(go);
        pool.wait_idle().expect("not from an own task");
        drop(first);
        assert_eq!(futures::executor::block_on(second).expect("room is there").join().expect("ends"), 2);
    });
}

#[test]
fn an_unbounded_queue_always_has_room() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("wide");
        pool.start(PoolConfig::leased(1)).expect("starts");
        assert_eq!(pool.submit_timeout(|| 1, Duration::ZERO).expect("accepted").join().expect("ends"), 1);
        let submitted = futures::executor::block_on(pool.submit_async(|| 2));
        assert_eq!(submitted.expect("accepted").join().expect("ends"), 2);
    });
}

fn nothing() {}

#[test]
fn a_submitter_whose_scope_ends_waits_no_longer() {
    bounded(|| {
        let outside = Scope::new("outside");
        let (pool, _go) = full(&outside);
        let ends: [fn(&Scope); 2] = [Scope::close, Scope::cancel];
        for end in ends {
            let before = pool.stats().refused;
            let request = Scope::new_in(outside.lineage(), "request");
            let waits = {
                let (pool, at) = (pool.clone(), request.lineage().clone());
                std::thread::spawn(move || at.run(|| pool.try_submit_timeout(nothing, BOUND * 10).map(drop)))
            };
            let awaits = {
                let (pool, at) = (pool.clone(), request.lineage().clone());
                let submit = async move { pool.try_submit_async(nothing).await.map(drop) };
                std::thread::spawn(move || futures::executor::block_on(submit.in_lineage(&at)))
            };
            eventually("both were refused once", || pool.stats().refused >= before + 2);
            end(&request);
            for refused in [waits.join().unwrap(), awaits.join().unwrap()] {
                let refused = refused.unwrap_err();
                let ended = matches!(
                    refused.reason().as_submit().map(|it| it.kind()),
                    Some(SubmitErrorKind::ScopeEnded { .. } | SubmitErrorKind::Cancelled { .. })
                );
                assert!(ended, "{refused}");
                refused.into_task()();
            }
        }
    });
}

#[test]
fn a_task_that_is_asked_to_stop_waits_no_longer() {
    bounded(|| {
        let scope = Scope::new("scope");
        let (pool, _go) = full(&scope);
        let asks = scope.create("asks");
        asks.start(PoolConfig::leased(1)).expect("starts");
        let at = pool.clone();
        let waits = asks.submit(move || {
            let _ = heirloom::current();
            at.submit_timeout(|| (), BOUND * 10).map(drop)
        });
        let waits = waits.expect("accepted");
        eventually("it was refused once", || pool.stats().refused >= 1);
        waits.cancel();
        assert!(
            matches!(waits.join().expect("runs"), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Cancelled { .. })))
        );
    });
}

/// Waits for room, and says why there was none.
fn refused(pool: &PoolManager, awaits: bool) -> heirloom::Error {
    let submitted = match awaits {
        false => pool.submit_timeout(nothing, BOUND * 10),
        true => futures::executor::block_on(pool.submit_async(nothing)),
    };
    submitted.expect_err("there is no room")
}

#[test]
fn a_task_that_nobody_has_looked_at_hears_its_handle_and_its_pool() {
    bounded(|| {
        let outer = Scope::new("outer");
        let (pool, _go) = full(&outer);
        let asks: [fn(&PoolManager, &TaskHandle<heirloom::Error>); 2] = [
            |_, task| {
                task.cancel();
            },
            |own, _| own.cancel(),
        ];
        for (ask, awaits) in asks.into_iter().flat_map(|ask| [(ask, false), (ask, true)]) {
            let before = pool.stats().refused;
            let own = outer.create("own");
            own.start(PoolConfig::leased(1)).expect("starts");
            let at = pool.clone();
            let waits = own.submit(move || refused(&at, awaits)).expect("accepted");
            eventually("it was refused once", || pool.stats().refused > before);
            ask(&own, &waits);
            assert!(matches!(
                waits.join().expect("runs").as_submit().map(|it| it.kind()),
                Some(SubmitErrorKind::Cancelled { .. })
            ));
        }
    });
}

#[test]
fn a_thread_that_nobody_has_looked_at_hears_its_handle() {
    bounded(|| {
        let outer = Scope::new("outer");
        let (pool, _go) = full(&outer);
        for awaits in [false, true] {
            let before = pool.stats().refused;
            let at = pool.clone();
            let waits = heirloom::thread::spawn(move || refused(&at, awaits)).expect("a thread starts");
            eventually("it was refused once", || pool.stats().refused > before);
            waits.cancel();
            assert!(matches!(
                waits.join().expect("ends").as_submit().map(|it| it.kind()),
                Some(SubmitErrorKind::Cancelled { .. })
            ));
        }
    });
}

#[test]
fn what_had_to_wait_stands_where_it_would_have_at_once() {
    bounded(|| {
        for awaits in [false, true] {
            let outer = Scope::new("outer");
            let (pool, go) = full(&outer);
            let own = outer.create("own");
            own.start(PoolConfig::leased(1)).expect("starts");
            let at = pool.clone();
            let submits = own.submit(move || {
                let parent = || heirloom::current().parent();
                let submitted = match awaits {
                    false => at.submit_timeout(parent, BOUND),
                    true => futures::executor::block_on(at.submit_async(parent)),
                };
                submitted.expect("room comes").join().expect("runs")
            });
            eventually("it was refused once", || pool.stats().refused > 0);
            drop(go);
            let stands = submits.expect("accepted").join().expect("runs");
            assert_ne!(stands.map(|above| above.kind()), Some(heirloom::NodeKind::Task));
        }
    });
}

#[test]
fn what_a_detached_pool_takes_waits_for_room_though_the_submitters_scope_has_ended() {
    bounded(|| {
        let scope = Scope::new("test");
        let detached = scope.create("detached");
        detached.start(PoolConfig::leased(1).queue_limit(1).detached()).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        drop(detached.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        }));
        running.recv().expect("runs");
        drop(detached.submit(|| ()));
        let request = Scope::new("request");
        request.close();
        let mut waits = Box::pin(detached.submit_async(|| 7).in_lineage(&request));
        let mut polled = || waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled().is_pending(), "it yields, and does not ask again and again");
        drop(go);
        eventually("there is room", || match polled() {
            Poll::Ready(task) => task.expect("accepted").join().expect("runs") == 7,
            Poll::Pending => false,
        });
    });
}
