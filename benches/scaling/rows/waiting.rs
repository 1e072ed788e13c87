//! Waiters: for capacity, for a value.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use heirloom::{Heirloom, PoolConfig, Scope};

use super::super::judge::Row;
use super::super::measure::of;
use super::linear;

pub(super) const ROWS: &[Row] = &[
    linear("so many submitters wait for capacity, and give up", capacity_given_up),
    linear("so many submitters are notified of capacity before one looks", capacity_notified),
    linear("so many callers wait for one value", value),
];

/// Polls once, without a waker.
fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// In an order that is neither that of the list nor its reverse.
fn shuffle<T>(list: &mut [T]) {
    let mut state = 1_u64;
    for at in (1..list.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(at, (state >> 33) as usize % (at + 1));
    }
}

fn capacity_given_up(waiters: usize) -> f64 {
    let scope = Scope::new("scope");
    let queue = scope.create("queue");
    let _local = queue.start_local(PoolConfig::local().queue_limit(1)).expect("it starts");
    drop(queue.submit(|| ()).expect("it is accepted"));
    let all = || {
        let mut waiting: Vec<_> = (0..waiters).map(|_| Box::pin(queue.submit_async(|| ()))).collect();
        waiting.iter_mut().for_each(|waiter| assert!(poll(waiter).is_pending()));
        shuffle(&mut waiting);
        drop(waiting);
    };
    of(all) / waiters as f64
}

fn capacity_notified(waiters: usize) -> f64 {
    let scope = Scope::new("scope");
    let queue = scope.create("queue");
    let _local = queue.start_local(PoolConfig::local().queue_limit(waiters)).expect("it starts");
    let queued: Vec<_> = (0..waiters).map(|_| queue.submit(|| ()).expect("it is accepted")).collect();
    let mut waiting: Vec<_> = (0..waiters).map(|_| Box::pin(queue.submit_async(|| ()))).collect();
    waiting.iter_mut().for_each(|waiter| assert!(poll(waiter).is_pending()));
    let all = || {
        for handle in &queued {
            let _ = handle.cancel();
        }
        waiting.iter_mut().for_each(|waiter| assert!(poll(waiter).is_ready()));
    };
    of(all) / waiters as f64
}

fn value(waiters: usize) -> f64 {
    static KEY: Heirloom<u64> = Heirloom::new("key");
    let scope = Scope::new("scope");
    let at = KEY.at(&scope);
    let (send, receive) = futures::channel::oneshot::channel();
    let mut leader = Box::pin(at.get_or_init_async(|| async { receive.await.expect("the bench sends") }));
    let all = || {
        assert!(poll(&mut leader).is_pending());
        let never = || async { unreachable!("another caller leads") };
        let mut waiting: Vec<_> = (0..waiters).map(|_| Box::pin(at.get_or_init_async(never))).collect();
        waiting.iter_mut().for_each(|waiter| assert!(poll(waiter).is_pending()));
        send.send(1).expect("the leader lives");
        assert!(poll(&mut leader).is_ready());
        shuffle(&mut waiting);
        waiting.iter_mut().for_each(|waiter| assert!(poll(waiter).is_ready()));
    };
    scope.run(|| of(all)) / waiters as f64
}
