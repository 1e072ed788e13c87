//! Remote jobs from inside of runtimes: futures, handlers that are given up, and blocking calls beside them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::future::Either;
use heirloom::{ErrorKind, FutureExt, PoolConfig, Scope};

use crate::common::{BOUND, bounded};
use crate::world::{Double, Key, World};

/// Runs the future on a runtime of one thread.
fn on_one_thread<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}

#[test]
fn a_handle_is_awaited_on_a_runtimes_one_thread() {
    bounded(|| {
        let world = World::new();
        let (pool, _worker) = (world.pool(4), world.worker(2));
        on_one_thread(async {
            let both = async |n| pool.send(Double(n)).expect("accepted").await.expect("runs");
            assert_eq!(futures::join!(both(1), both(2)), (2, 4));
        });
    });
}

#[test]
fn a_spawned_future_awaits_it_on_any_thread() {
    bounded(|| {
        let world = World::new();
        let (pool, _worker) = (world.pool(4), world.worker(2));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let pool = pool.clone();
                runtime.spawn(async move { pool.send(Double(n)).expect("accepted").await.expect("runs") })
            })
            .collect();
        let results = runtime.block_on(futures::future::join_all(tasks));
        assert!(results.into_iter().zip(0..).all(|(result, n)| result.expect("ends") == 2 * n));
    });
}

#[test]
fn a_blocking_job_of_a_runtime_joins_it() {
    bounded(|| {
        let world = World::new();
        let (pool, _worker) = (world.pool(1), world.worker(1));
        let joined = on_one_thread(async move {
            tokio::task::spawn_blocking(move || pool.send(Double(21)).expect("accepted").join().expect("runs")).await
        });
        assert_eq!(joined.expect("ends"), 42);
    });
}

#[test]
fn a_handler_that_a_layer_gives_up_stops_its_job() {
    bounded(|| {
        let world = World::new();
        let (pool, key, worker) = (world.pool(1), Key::new(), world.worker(1));
        let request = Scope::new_in(&world.scope, "request 7");
        on_one_thread(async {
            let handler = async { pool.send(key.job()).expect("accepted").await }.in_scope(request);
            let begins = async { tokio::task::spawn_blocking(move || key.has_begun(1)).await.expect("it begins") };
            // As a layer with a time limit does: the other branch is dropped.
            match futures::future::select(Box::pin(handler), Box::pin(begins)).await {
                Either::Left(_) => panic!("the job is held"),
                Either::Right(((), handler)) => drop(handler),
            }
        });
        key.was_cancelled();
        assert!(worker.serving.stop().expect("stops").is_complete());
    });
}

#[test]
fn an_async_send_waits_for_the_engine() {
    bounded(|| {
        let world = World::new();
        let (pool, _worker) = (world.pool(1), world.worker(1));
        world.origin.disconnect();
        let output = on_one_thread(async {
            let mut sends = pin!(pool.send_async(Double(4)));
            let first = poll_fn(|cx| Poll::Ready(sends.as_mut().poll(cx).is_pending())).await;
            assert!(first, "there is no connection");
            world.origin.reconnect();
            sends.await.expect("the engine has it").await.expect("runs")
        });
        assert_eq!(output, 8);
    });
}

/// Polls once, and says that the future waits.
async fn waits(future: std::pin::Pin<&mut impl Future>) {
    let mut future = future;
    assert!(poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await, "it waits");
}

#[test]
fn an_async_send_waits_for_capacity_instead_of_a_refusal() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool_with(PoolConfig::remote(1, world.origin.queue("work")).queue_limit(1));
        let first = pool.send(Double(1)).expect("accepted");
        assert_eq!(pool.send(Double(2)).expect_err("one waits").kind(), ErrorKind::QueueFull);
        let output = on_one_thread(async {
            let mut sends = pin!(pool.send_async(Double(4)));
            waits(sends.as_mut()).await;
            let _worker = world.worker(1);
            let second = sends.await.expect("the first one has begun");
            assert_eq!(first.await.expect("runs"), 2);
            second.await.expect("runs")
        });
        assert_eq!((output, pool.stats().refused), (8, 1));
    });
}

#[test]
fn a_dropped_async_send_sends_nothing() {
    bounded(|| {
        let world = World::new();
        let (pool, key) = (world.pool(1), Key::new());
        key.open();
        world.origin.disconnect();
        on_one_thread(async {
            let mut sends = Box::pin(pool.send_async(key.job()));
            waits(sends.as_mut()).await;
            assert_eq!(pool.stats().queued, 1);
            drop(sends);
        });
        assert_eq!((pool.stats().queued, pool.stats().cancelled), (0, 1));
        world.origin.reconnect();
        let _worker = world.worker(1);
        assert_eq!(pool.send(Double(1)).expect("accepted").join().expect("runs"), 2);
        assert_eq!(key.begins(), 0);
    });
}

#[test]
fn an_async_send_that_is_dropped_while_the_queue_is_full_sends_nothing() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool_with(PoolConfig::remote(1, world.origin.queue("work")).queue_limit(1));
        let first = pool.send(Double(1)).expect("accepted");
        on_one_thread(async {
            let mut sends = Box::pin(pool.send_async(Double(2)));
            waits(sends.as_mut()).await;
        });
        let _worker = world.worker(1);
        assert_eq!(first.join().expect("runs"), 2);
        let stats = pool.stats();
        assert_eq!((stats.completed, stats.cancelled, stats.queued), (1, 0, 0), "{stats:?}");
    });
}

#[test]
fn a_cancel_ends_the_wait_of_an_async_send() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool_with(PoolConfig::remote(1, world.origin.queue("work")).queue_limit(1));
        let _first = pool.send(Double(1)).expect("accepted");
        let request = Scope::new_in(&world.scope, "request 7");
        let at = request.lineage().clone();
        let refused = on_one_thread(async {
            let mut sends = pin!(pool.send_async(Double(2)).in_lineage(&at));
            waits(sends.as_mut()).await;
            request.cancel();
            sends.await.expect_err("the client has gone")
        });
        assert!(refused.is_cancelled(), "{refused}");
    });
}

#[test]
fn a_timed_send_waits_for_capacity() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool_with(PoolConfig::remote(1, world.origin.queue("work")).queue_limit(1));
        let first = pool.send(Double(1)).expect("accepted");
        let late = pool.send_timeout(Double(2), Duration::from_millis(5)).expect_err("one waits");
        assert_eq!(late.kind(), ErrorKind::QueueFull);
        let sender = pool.clone();
        let sends = std::thread::spawn(move || sender.send_timeout(Double(2), BOUND));
        let _worker = world.worker(1);
        assert_eq!(sends.join().expect("no panic").expect("accepted").join().expect("runs"), 4);
        assert_eq!(first.join().expect("runs"), 2);
    });
}

#[test]
fn a_worker_stops_inside_a_runtime() {
    bounded(|| {
        let world = World::new();
        let (pool, key, worker) = (world.pool(1), Key::new(), world.worker(1));
        let task = key.begun(&pool);
        on_one_thread(async {
            let late = worker.serving.stop_timeout_async(Duration::from_millis(1)).await.expect("given up in time");
            assert_eq!(late.still_running.len(), 1);
        });
        assert!(task.join().is_err());
    });
}
