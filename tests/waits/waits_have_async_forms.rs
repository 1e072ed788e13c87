//! Each async form of a wait ends as the blocking one does, and loses nothing when it is dropped early.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::block_on;
use heirloom::{
    Gate, Heirloom, HeirloomMap, InitError, PoolConfig, Registry, Scope, StartErrorKind, StopError, thread,
};

use crate::common::pools::{Busy, started};
use crate::common::{bounded, busy_gate, eventually};

#[test]
fn waiting_until_idle() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        assert!(pool.wait_idle_async().now_or_never().is_none());
        busy.end();
        block_on(pool.wait_idle_async()).expect("from outside");
        let inner = pool.clone();
        let own = pool.submit(move || block_on(inner.wait_idle_async())).expect("accepted").join().expect("runs");
        assert!(matches!(own, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))));
    });
}

#[test]
fn a_shutdown_reports_what_is_left_at_its_deadline() {
    bounded(|| {
        let family = Registry::new();
        let pool = family.root().create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let busy = Busy::on(&pool);
        let report = block_on(family.shutdown_timeout_async(Duration::from_millis(20)));
        assert_eq!(report.pools[0].report.remaining, 1);
        busy.end();
        assert!(block_on(family.shutdown_timeout_async(Duration::MAX)).is_complete());
    });
}

#[test]
fn a_start_that_is_ensured() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let warm = || PoolConfig::dedicated(2).warm(2);
        block_on(pool.ensure_started_async(warm())).expect("starts");
        block_on(pool.ensure_started_async(warm())).expect("it runs so");
        let other = block_on(pool.ensure_started_async(PoolConfig::dedicated(3)));
        assert!(
            matches!(other, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::ConfigMismatch { .. })))
        );
    });
}

#[test]
fn a_map_loses_neither_result_nor_item() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).queue_limit(1));
        let mut map = pool.map(0..100, |n: u32| n).expect("accepted");
        let mut all = Vec::new();
        block_on(async {
            loop {
                // Dropped early now and then.
                let _ = map.next_async().now_or_never().flatten().map(|out| all.push(out.expect("runs")));
                match map.next_async().await {
                    Some(out) => all.push(out.expect("runs")),
                    None => break,
                }
            }
        });
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_map_waits_for_room_that_others_have() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).queue_limit(1));
        let busy = Busy::on(&pool);
        let fills = pool.submit(|| ()).expect("there is room for one");
        let mut map = pool.map(0..3, |n: u32| n).expect("it keeps what has no room");
        assert!(map.next_async().now_or_never().is_none());
        let ends = std::thread::spawn(move || busy.end());
        assert_eq!(block_on(map.next_async()).expect("there is one").expect("runs"), 0);
        ends.join().expect("ends");
        fills.join().expect("runs");
    });
}

#[test]
fn a_threads_join() {
    bounded(|| {
        let (go, gate) = mpsc::channel::<()>();
        let waits = thread::spawn(move || {
            let _ = gate.recv();
            7
        })
        .expect("a thread starts");
        let mut join = Box::pin(waits.join_async());
        assert!(join.as_mut().now_or_never().is_none());
        drop(go);
        assert_eq!(block_on(join).expect("no panic"), 7);
        assert!(block_on(thread::spawn(|| panic!("no")).expect("a thread starts").join_async()).is_err());
    });
}

#[test]
fn a_join_that_passes_requests_on() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let (starts, started) = mpsc::channel();
        let task = heirloom::Lineage::process().run(|| {
            pool.submit(move || {
                starts.send(()).expect("the test listens");
                heirloom::sleep(Duration::from_secs(3600)).is_err()
            })
        });
        started.recv().expect("it runs");
        let inner = Scope::new("inner");
        let mut join = Box::pin(task.expect("accepted").join_cancelling_async());
        assert!(inner.run(|| join.as_mut().now_or_never()).is_none());
        inner.cancel();
        assert!(inner.run(|| block_on(join)).is_err(), "it was asked while it waited");
    });
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn an_async_initialiser_runs_once_for_all_who_ask() {
    static KEY: Heirloom<u32> = Heirloom::new("key");
    static RUNS: AtomicU32 = AtomicU32::new(0);
    bounded(|| {
        let (go, gate) = oneshot::channel::<()>();
        let mut gate = Some(gate);
        let mut ask = || {
            let gate = gate.take();
            is_send(KEY.get_or_init_async(move || async move {
                RUNS.fetch_add(1, Ordering::SeqCst);
                let _ = gate.expect("the first one leads").await;
                7
            }))
        };
        let (mut leads, mut waits) = (Box::pin(ask()), Box::pin(ask()));
        assert!(leads.as_mut().now_or_never().is_none() && waits.as_mut().now_or_never().is_none());
        let blocked = std::thread::spawn(|| KEY.get_or_init(|| unreachable!("it is under way")).map(|value| *value));
        go.send(()).expect("it listens");
        let (one, two) = block_on(async { futures::join!(leads, waits) });
        assert_eq!((*one.expect("made"), *two.expect("made")), (7, 7));
        assert_eq!(blocked.join().expect("ends").expect("made"), 7);
        assert_eq!(RUNS.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn an_async_initialiser_that_is_dropped_is_begun_anew() {
    static KEY: HeirloomMap<u32, &str> = HeirloomMap::new("key");
    bounded(|| {
        for blocks in [0, 1] {
            let mut leads = Box::pin(KEY.get_or_init_async(&blocks, std::future::pending));
            assert!(leads.as_mut().now_or_never().is_none());
            if blocks == 1 {
                let waits = std::thread::spawn(move || KEY.get_or_init(&blocks, || "anew").map(|value| *value));
                eventually("it waits", || !waits.is_finished());
                drop(leads);
                assert_eq!(waits.join().expect("ends").expect("made"), "anew");
            } else {
                let mut waits = Box::pin(KEY.get_or_init_async(&blocks, || async { "anew" }));
                assert!(waits.as_mut().now_or_never().is_none());
                drop(leads);
                assert_eq!(*block_on(waits).expect("made"), "anew");
            }
        }
    });
}

#[test]
fn an_async_initialisers_error_and_panic_reach_all() {
    static KEY: HeirloomMap<u32, u32> = HeirloomMap::new("key");
    bounded(|| {
        let (fails, gate) = oneshot::channel::<()>();
        let mut leads = Box::pin(KEY.get_or_try_init_async(&0, || async { gate.await.map(|()| 7) }));
        assert!(leads.as_mut().now_or_never().is_none());
        let mut waits = Box::pin(KEY.get_or_init_async(&0, || async { unreachable!("it is under way") }));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(fails);
        let (one, two) = block_on(async { futures::join!(leads, waits) });
        assert!(
            [one, two]
                .iter()
                .all(|out| matches!(out, Err(it) if matches!(it.as_init(), Some(InitError::Failed { .. }))))
        );
        assert_eq!(*block_on(KEY.get_or_init_async(&0, || async { 8 })).expect("tried again"), 8);
        let panics = KEY.get_or_init_async(&1, || async { panic!("no") });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block_on(panics))).is_err());
        assert!(KEY.get(&1).is_err());
    });
}

#[test]
fn an_async_initialiser_stands_at_the_owner_and_is_told_when_it_asks_for_itself() {
    static KEY: Heirloom<bool> = Heirloom::new("key");
    bounded(|| {
        let scope = Scope::new("request");
        let made = scope.run(|| {
            block_on(KEY.get_or_init_async(|| async {
                let async_form = KEY.get_or_init_async(|| async { unreachable!("it is under way") }).await;
                let blocks = KEY.get_or_init(|| unreachable!("it is under way"));
                let told = |out: &Result<_, heirloom::Error>| matches!(out, Err(it) if matches!(it.as_init(), Some(InitError::Reentrant { .. })));
                told(&async_form) && told(&blocks) && heirloom::current() == heirloom::Lineage::process()
            }))
        });
        assert!(*made.expect("made"));
    });
}

#[test]
fn a_wait_for_an_async_initialiser_has_its_limit() {
    static KEY: Heirloom<u32> = Heirloom::new("key");
    bounded(|| {
        let mut leads = Box::pin(KEY.get_or_init_async(std::future::pending));
        assert!(leads.as_mut().now_or_never().is_none());
        let late = KEY.within(Duration::from_millis(5));
        let late = block_on(late.get_or_init_async(|| async { unreachable!("it is under way") }));
        assert!(matches!(late, Err(ref it) if matches!(it.as_init(), Some(InitError::TimedOut { .. }))));
    });
}

#[test]
fn a_gate() {
    static STAGE: Gate = Gate::new("stage");
    bounded(|| {
        let (holds, held) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let holder = std::thread::spawn(move || {
            let _in = STAGE.enter().expect("it is free");
            holds.send(()).expect("the test listens");
            let _ = gate.recv();
        });
        held.recv().expect("it is in");
        let busy = block_on(STAGE.enter_timeout_async(Duration::from_millis(5))).map(drop).expect_err("held");
        assert!(!busy_gate(&busy).would_deadlock && busy_gate(&busy).waited >= Duration::from_millis(5), "{busy}");
        let mut waits = Box::pin(is_send(STAGE.enter_timeout_async(Duration::MAX)));
        assert!(waits.as_mut().now_or_never().is_none());
        let scope = Scope::new("request");
        let mut asked = Box::pin(STAGE.enter_timeout_async(Duration::MAX));
        assert!(scope.run(|| asked.as_mut().now_or_never()).is_none());
        scope.cancel();
        assert!(scope.run(|| block_on(asked)).is_err_and(|busy| busy_gate(&busy).cancelled.is_some()));
        drop(go);
        let inside = block_on(waits).expect("it is let go");
        assert!(STAGE.is_held());
        drop(inside);
        assert!(!STAGE.is_held());
        holder.join().expect("ends");
    });
}
