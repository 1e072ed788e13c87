//! Each async form of a wait ends as the blocking one does, and loses nothing when it is dropped early.

use std::sync::mpsc;
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use heirloom::{PoolConfig, Registry, Scope, StartError, StopError, thread};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

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
        assert!(matches!(own, Err(StopError::FromOwnTask { .. })));
    });
}

#[test]
fn a_shutdown_reports_what_is_left_at_its_deadline() {
    bounded(|| {
        let family = Registry::new();
        let pool = family.root().create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let busy = Busy::on(&pool);
        let report = block_on(family.shutdown_async(Duration::from_millis(20)));
        assert_eq!(report.pools[0].report.remaining, 1);
        busy.end();
        assert!(block_on(family.shutdown_async(Duration::MAX)).is_complete());
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
        assert!(matches!(other, Err(StartError::ConfigMismatch { .. })));
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
        });
        let mut join = Box::pin(waits.join_async());
        assert!(join.as_mut().now_or_never().is_none());
        drop(go);
        assert_eq!(block_on(join).expect("no panic"), 7);
        assert!(block_on(thread::spawn(|| panic!("no")).join_async()).is_err());
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
