//! A map that waits for capacity in a poll: a cancel ends the wait, and a map that is not polled on holds up no other
//! submitter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use heirloom::{PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskHandle};

use crate::common::bounded;
use crate::common::pools::{Busy, block_on, started};

/// A pool with a full queue.
fn full(scope: &Scope, config: PoolConfig) -> (PoolManager, Busy, TaskHandle<()>) {
    let pool = started(scope, "work", config.queue_limit(1));
    let busy = Busy::on(&pool);
    let queued = pool.submit(|| ()).expect("there is capacity");
    (pool, busy, queued)
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn is_cancelled(error: &heirloom::Error) -> bool {
    matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Cancelled { .. }))
}

#[test]
fn a_cancel_of_the_polling_code_ends_the_map() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy, _queued) = full(&scope, PoolConfig::leased(1));
        let readers = started(&scope, "readers", PoolConfig::leased(2));
        let mut map = pool.map(0..3, |n| n).expect("held up");
        let mut unordered = pool.map_unordered(0..3, |n| n).expect("held up");
        let first =
            readers.submit(move || (block_on(map.next_async()), block_on(map.next_async()), map.into_rest().count()));
        let second = readers.submit(move || {
            (block_on(unordered.next_async()), block_on(unordered.next_async()), unordered.into_rest().count())
        });
        for reader in [first, second] {
            let reader = reader.expect("accepted");
            while reader.status() == heirloom::TaskStatus::Queued {
                std::thread::yield_now();
            }
            reader.cancel();
            let (refused, end, rest) = reader.join().expect("returns");
            assert!(is_cancelled(&refused.expect("the refusal").expect_err("it was cancelled")));
            assert!(end.is_none(), "the map has ended");
            assert_eq!(rest, 3, "no input is lost");
        }
        busy.end();
    });
}

#[test]
fn a_detached_pools_capacity_is_waited_for_where_the_request_was_cancelled() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy, queued) = full(&scope, PoolConfig::leased(1).detached());
        let request = Scope::new("request");
        let mut map = request.run(|| pool.map(0..3, |n| n)).expect("held up");
        request.cancel();
        assert!(map.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
        busy.end();
        queued.join().expect("runs");
        assert_eq!(block_on(map.next_async()).expect("not refused").expect("runs"), 0);
    });
}

#[test]
fn an_idle_map_swallows_no_notification() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy, _queued) = full(&scope, PoolConfig::leased(1));
        let mut map = pool.map(0..3, |n| n).expect("held up");
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut given_up = std::pin::pin!(map.next_async());
            assert!(given_up.as_mut().poll(&mut cx).is_pending());
        }
        let mut other = std::pin::pin!(pool.submit_async(|| 7));
        assert!(other.as_mut().poll(&mut cx).is_pending(), "it waits behind the map");
        busy.end();
        assert_eq!(block_on(other).expect("accepted").join().expect("runs"), 7);
        assert_eq!(map.map(|n| n.expect("runs")).collect::<Vec<_>>(), [0, 1, 2]);
    });
}

#[test]
fn a_cancel_of_the_maps_node_wakes_a_poll_from_elsewhere() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy, _queued) = full(&scope, PoolConfig::leased(1));
        let request = Scope::new("request");
        let mut map = request.run(|| pool.map(0..3, |n| n)).expect("held up");
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert!(map.poll_next(&mut cx).is_pending());
        request.cancel();
        assert!(woken.0.load(Ordering::SeqCst), "the cancel wakes the poll");
        let Poll::Ready(Some(Err(refused))) = map.poll_next(&mut cx) else { panic!("the refusal") };
        assert!(
            matches!(refused.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. })),
            "{refused}"
        );
        busy.end();
    });
}
