//! Room in a bounded queue wakes one who waits for it; if that one may not submit any more, the next is woken instead.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use heirloom::{FutureExt, PoolConfig, Scope, SubmitErrorKind};

use crate::common::{bounded, eventually};

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_submitter_whose_scope_has_ended_passes_the_room_on() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("bounded");
        pool.start(PoolConfig::leased(1).queue_limit(1)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (in_it, started) = mpsc::channel();
        let busy = pool
            .submit(move || {
                in_it.send(()).expect("the test listens");
                let _ = gate.recv();
            })
            .expect("accepted");
        started.recv().expect("it starts");
        let fills = pool.submit(|| ()).expect("there is room for one");

        let (first_woken, second_woken) = (Arc::new(Count(AtomicUsize::new(0))), Arc::new(Count(AtomicUsize::new(0))));
        let (first_waker, second_waker) = (Waker::from(first_woken.clone()), Waker::from(second_woken.clone()));
        let ends = Scope::new("ends");
        let mut first = pin!(pool.submit_async(|| 1).in_lineage(ends.lineage()));
        let mut second = pin!(pool.submit_async(|| 2));
        assert!(first.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
        assert!(second.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());

        ends.close();
        fills.cancel();
        eventually("somebody is told of the room", || {
            first_woken.0.load(Ordering::SeqCst) + second_woken.0.load(Ordering::SeqCst) > 0
        });
        match first.as_mut().poll(&mut Context::from_waker(&first_waker)) {
            Poll::Ready(Err(refused)) => {
                assert!(matches!(refused.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. })))
            }
            other => panic!("its scope has ended: {other:?}"),
        }
        eventually("the other one is told", || second_woken.0.load(Ordering::SeqCst) > 0);
        let Poll::Ready(Ok(accepted)) = second.as_mut().poll(&mut Context::from_waker(&second_waker)) else {
            panic!("there is room");
        };
        go.send(()).expect("the task listens");
        assert_eq!(accepted.join().expect("runs"), 2);
        busy.join().expect("runs");
    });
}
