//! A waker is user code. One that panics keeps nobody else from hearing of a request to stop, and one that looks at the
//! tree, waits or asks itself meets no lock.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use heirloom::{Lineage, Scope, thread};

use crate::common::bounded;

type Waits = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that waits for a request, and does `wake` when it hears of it.
fn waits(at: &Lineage, wake: impl Fn() + Send + Sync + 'static) -> Waits {
    struct Does<F>(F);
    impl<F: Fn() + Send + Sync> Wake for Does<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }
    let mut waits: Waits = Box::pin(at.cancelled());
    assert!(waits.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Does(wake))))).is_pending());
    waits
}

#[test]
fn a_waker_that_panics_keeps_no_other_from_hearing() {
    bounded(|| {
        let request = Scope::new("request");
        let first = waits(&request, || panic!("this waker does not like to wake"));
        let (says, said) = channel::<()>();
        let sleepers: Vec<_> = request.run(|| {
            let sleeper = |says| {
                move || {
                    drop(says);
                    heirloom::sleep(Duration::from_secs(3600))
                }
            };
            (0..4).map(|_| thread::spawn(sleeper(says.clone())).expect("a thread starts")).collect()
        });
        drop(says);
        assert!(said.recv().is_err(), "all are about to sleep");
        std::thread::sleep(Duration::from_millis(20));
        let (heard, hears) = channel();
        let last = waits(&request, move || heard.send(()).unwrap());
        request.cancel();
        hears.recv().expect("it is woken");
        for sleeper in sleepers {
            assert!(sleeper.join().unwrap().is_err());
        }
        drop((first, last));
        assert!(request.is_cancelled());
    });
}

#[test]
fn a_waker_that_comes_back_meets_no_lock() {
    bounded(|| {
        let request = Scope::new("request");
        let (at, inner) = (request.lineage().clone(), Mutex::new(None));
        let seen = Arc::new(AtomicBool::new(false));
        let sees = Arc::clone(&seen);
        let waiting = waits(&request, move || {
            let mut again: Waits = Box::pin(at.cancelled());
            let told = again.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(());
            at.cancel();
            *inner.lock().unwrap() = Some(again);
            sees.store(told, Ordering::SeqCst);
        });
        request.cancel();
        assert!(seen.load(Ordering::SeqCst));
        drop(waiting);
    });
}
