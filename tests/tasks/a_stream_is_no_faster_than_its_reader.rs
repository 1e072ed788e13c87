//! A stream's task sends into a bounded buffer: it waits for its reader, and ends with it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::{Error, ErrorKind, PoolConfig, Scope, StreamSender, TaskKind, TaskType};

use crate::common::pools::{Busy, started};
use crate::common::{bounded, eventually};

#[derive(Debug)]
enum Failure {
    Pools(Error),
    Own,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Pools(error)
    }
}

/// Sends 0, 1, 2, … until a send fails.
fn count(out: &StreamSender<u64>) -> Result<(), Failure> {
    (0..).try_for_each(|n| out.send(n)).map_err(Failure::from)
}

#[test]
fn items_come_in_order_and_then_the_end() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let mut items =
            pool.stream(|out| (0..1000).try_for_each(|n| out.send(n)).map_err(Failure::from)).expect("accepted");
        let all: Vec<i32> = items.by_ref().map(|item| item.expect("all are sent")).collect();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert!(items.next().is_none());
    });
}

#[test]
fn awaiting_the_items_is_the_same() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let mut items =
            pool.stream(|out| (0..1000).try_for_each(|n| out.send(n)).map_err(Failure::from)).expect("accepted");
        let all = futures::executor::block_on(async {
            let mut all = Vec::new();
            while let Some(item) = items.next_async().await {
                all.push(item.expect("all are sent"));
            }
            all
        });
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn neither_end_misses_a_wake_of_the_other() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let sends = |out: &StreamSender<u64>| (0..30_000).try_for_each(|n| out.send(n)).map_err(Failure::from);
        let mut items = pool.stream_with_capacity(1, sends).expect("accepted");
        let read = futures::executor::block_on(async {
            let mut read = 0;
            while let Some(item) = items.next_async().await {
                assert_eq!(item.expect("all are sent"), read);
                read += 1;
            }
            read
        });
        assert_eq!(read, 30_000);
    });
}

#[test]
fn the_task_is_ahead_by_the_capacity_at_most() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let sent = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&sent);
        let mut items = pool
            .stream_with_capacity(3, move |out| -> Result<(), Failure> {
                for n in 0.. {
                    out.send(n)?;
                    counts.store(n + 1, Ordering::SeqCst);
                }
                Ok(())
            })
            .expect("accepted");
        for read in 0..20 {
            eventually("the task waits", || pool.stats().waiting == 1);
            assert_eq!(sent.load(Ordering::SeqCst), read + 3);
            assert_eq!(items.next().expect("endless").expect("sent"), read);
            eventually("the next is sent", || sent.load(Ordering::SeqCst) == read + 4);
        }
    });
}

#[test]
fn a_send_that_waits_releases_its_permit() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let items = pool.stream_with_capacity(1, count).expect("accepted");
        assert_eq!(pool.submit(|| "another").expect("accepted").join().expect("ends"), "another");
        drop(items);
    });
}

#[test]
fn an_error_of_the_closure_is_the_last_item() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let mut items = pool
            .stream(|out| {
                out.send(1)?;
                Err(Failure::Own)
            })
            .expect("accepted");
        assert!(matches!(items.next(), Some(Ok(1))));
        assert!(matches!(items.next(), Some(Err(Failure::Own))));
        assert!(items.next().is_none());
    });
}

#[test]
fn a_panic_is_the_last_item() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).log_panics(false));
        let mut items = pool
            .stream(|out| -> Result<(), Failure> {
                out.send(1)?;
                panic!("no")
            })
            .expect("accepted");
        assert!(matches!(items.next(), Some(Ok(1))));
        assert!(matches!(items.next(), Some(Err(Failure::Pools(error))) if error.is_panic()));
        assert!(items.next().is_none());
    });
}

#[test]
fn a_cancel_is_the_last_item_although_the_closure_hides_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let request = Scope::new_in(scope.lineage(), "request");
        let hides = |out: &StreamSender<u64>| {
            let _ = count(out);
            Ok::<_, Failure>(())
        };
        let mut items = request.run(|| pool.stream(hides)).expect("accepted");
        assert!(items.next().is_some_and(|item| item.is_ok()));
        request.cancel();
        let error = items.find_map(Result::err).expect("a cut stream has an error");
        assert!(matches!(error, Failure::Pools(error) if error.is_cancelled()));
        assert!(items.next().is_none());
    });
}

#[test]
fn a_stream_that_never_started_ends_with_the_cancel() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let request = Scope::new_in(scope.lineage(), "request");
        let mut items = request.run(|| pool.stream(count)).expect("accepted");
        request.cancel();
        assert!(matches!(items.next(), Some(Err(Failure::Pools(error))) if error.kind() == ErrorKind::Cancelled));
        assert!(items.next().is_none());
        busy.end();
    });
}

#[test]
fn a_cancel_interrupts_a_send_that_waits() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let request = Scope::new_in(scope.lineage(), "request");
        let items = request.run(|| pool.stream(count)).expect("accepted");
        eventually("the task waits", || pool.stats().waiting == 1);
        request.cancel();
        pool.wait_idle().expect("the task has ended, although its items are unread");
        drop(items);
    });
}

#[test]
fn dropping_the_reader_ends_a_send_that_waits() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let (ends, ended) = mpsc::channel();
        let items = pool.stream(move |out| {
            let error = count(out);
            ends.send(
                error.is_err_and(|error| matches!(error, Failure::Pools(error) if error.is_cancelled()))
                    && out.is_closed(),
            )
            .expect("the test listens");
            Ok::<_, Failure>(())
        });
        eventually("the task waits", || pool.stats().waiting == 1);
        drop(items);
        assert_eq!(ended.recv(), Ok(true));
    });
}

#[test]
fn dropping_the_reader_takes_a_queued_task_out_of_the_queue() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        drop(pool.stream(count).expect("accepted"));
        assert_eq!(pool.stats().queued, 0);
        busy.end();
    });
}

#[test]
fn unread_items_are_dropped_with_the_reader() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let item = Arc::new(());
        let sends = Arc::clone(&item);
        let items = pool.stream_with_capacity(2, move |out| -> Result<(), Failure> {
            loop {
                out.send(Arc::clone(&sends))?;
            }
        });
        eventually("the task waits", || pool.stats().waiting == 1);
        drop(items);
        pool.wait_idle().expect("not from an own task");
        assert_eq!(Arc::strong_count(&item), 1);
    });
}

#[test]
fn a_reader_in_a_task_of_the_same_pool_of_one_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1), PoolConfig::leased(1).max_blocked(0)] {
            let pool = started(&scope, "work", config);
            let own = pool.clone();
            let sum = move || -> Result<u64, Failure> { own.stream(count)?.take(100).sum() };
            assert_eq!(pool.call(sum).join().expect("all are sent"), 4950);
            pool.wait_idle().expect("not from an own task");
        }
    });
}

#[test]
fn a_reader_that_keeps_the_only_permit_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).holds_permit());
        let own = pool.clone();
        let first = pool.submit(move || own.stream(count).expect("accepted").next()).expect("accepted");
        let Some(Err(Failure::Pools(error))) = first.join().expect("it ends") else { panic!("no permit is free") };
        assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
    });
}

#[test]
fn a_local_pools_thread_reads_from_its_own_pool() {
    bounded(|| {
        let scope = Scope::new("test");
        let manager = scope.create("ui");
        let local = manager.start_local(PoolConfig::local()).expect("starts");
        let sends = |out: &StreamSender<u64>| (0..100).try_for_each(|n| out.send(n)).map_err(Failure::from);
        let sum: Result<u64, Failure> = manager.stream(sends).expect("accepted").sum();
        assert_eq!(sum.expect("all are sent"), 4950);
        let mut items = manager.stream(sends).expect("accepted");
        let sum = local.run_until(async {
            let mut sum = 0;
            while let Some(item) = items.next_async().await {
                sum += item.expect("all are sent");
            }
            sum
        });
        assert_eq!(sum, 4950);
    });
}

#[test]
fn a_cancel_of_the_waiting_reader_is_passed_on() {
    bounded(|| {
        let scope = Scope::new("test");
        let (outer, inner) =
            (started(&scope, "outer", PoolConfig::leased(1)), started(&scope, "inner", PoolConfig::leased(1)));
        let (starts, has_started) = mpsc::channel();
        let reader = outer
            .submit(move || {
                let mut items = inner.stream(move |_: &StreamSender<()>| {
                    starts.send(()).expect("the test listens");
                    heirloom::sleep(Duration::MAX).map_err(Failure::from)
                });
                items.as_mut().expect("accepted").next()
            })
            .expect("accepted");
        has_started.recv().expect("it starts");
        reader.cancel();
        let last = reader.join().expect("the reader itself ends");
        assert!(matches!(last, Some(Err(Failure::Pools(error))) if error.is_cancelled()));
    });
}

#[test]
fn a_time_limit_leaves_the_stream_as_it_is() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let (go, gate) = mpsc::channel::<()>();
        let mut items = pool
            .stream(move |out| {
                let _ = gate.recv();
                out.send(7).map_err(Failure::from)
            })
            .expect("accepted");
        let none = items.next_timeout(Duration::from_millis(1)).expect_err("it waits");
        assert_eq!(none.kind(), ErrorKind::TimedOut);
        drop(go);
        assert!(matches!(items.next_timeout(Duration::MAX), Ok(Some(Ok(7)))));
        assert!(matches!(items.next_timeout(Duration::MAX), Ok(None)));
    });
}

#[test]
fn tasks_of_a_borrowing_scope_share_the_sender() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(3));
        let own = pool.clone();
        let items = pool.stream_with_capacity(1, move |out| -> Result<(), Failure> {
            own.scope(|s| {
                let halves =
                    [0..500, 500..1000].map(|range| s.submit(|| range.into_iter().try_for_each(|n| out.send(n))));
                for half in halves {
                    half?.join()??;
                }
                Ok(())
            })
        });
        let mut all: Vec<u32> = items.expect("accepted").map(|item| item.expect("all are sent")).collect();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn a_stop_of_the_pool_waits_for_the_reader() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let items = pool.stream(|out| (0..100).try_for_each(|n| out.send(n)).map_err(Failure::from)).expect("accepted");
        let stopped = std::thread::spawn(move || pool.stop().expect("not from an own task").completed);
        assert_eq!(items.map(|item| item.expect("all are sent")).sum::<i32>(), 4950);
        assert_eq!(stopped.join().expect("it stops"), 1);
    });
}

#[test]
fn every_handle_of_a_manager_has_it() {
    struct Counts;
    impl TaskKind for Counts {}

    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "typed", PoolConfig::leased(1).task_type(TaskType::of::<Counts>()));
        assert_eq!(pool.of_type(TaskType::of::<Counts>()).stream(count).expect("accepted").take(9).count(), 9);
        let typed = pool.typed::<Counts>().expect("of this type");
        assert_eq!(typed.stream(Counts::task(count)).expect("accepted").take(9).count(), 9);
        let config = PoolConfig::dedicated(1).worker_state(|| Ok::<_, io::Error>(vec![1_u32, 2, 3]));
        let stateful = started(&scope, "state", config).with_state::<Vec<u32>>().expect("it has one");
        let rows = stateful.stream(|rows, out| rows.iter().try_for_each(|row| out.send(*row)).map_err(Failure::from));
        assert_eq!(rows.expect("accepted").map(|row| row.expect("sent")).sum::<u32>(), 6);
    });
}
