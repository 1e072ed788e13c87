//! Hooks: a request that comes while one is armed is seen, each hook runs once, and none runs for a dropped guard.

use std::task::Waker;

use crate::hook::{CancelSource, Hook};
use crate::model::model;
use crate::pool::blocking::release::block_on_wakers;
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::os::{Arc, AtomicBool, thread};
use crate::wait::waker_set::WakerSet;

/// The source of requests: its waker set is notified after each.
struct NodeRef {
    asked: AtomicBool,
    changed: WakerSet,
}

impl NodeRef {
    fn new() -> Arc<Self> {
        Arc::new(Self { asked: AtomicBool::new(false), changed: WakerSet::new() })
    }

    fn cancel(&self) {
        self.asked.store(true, SeqCst);
        self.changed.wake_all();
    }

    /// A thread that makes a request.
    fn is_asked_elsewhere(self: &Arc<Self>) -> loom::thread::JoinHandle<()> {
        let place = Arc::clone(self);
        thread::spawn(move || place.cancel())
    }
}

struct Listens {
    place: Arc<NodeRef>,
    at: usize,
}

impl Listens {
    fn at(place: &Arc<NodeRef>) -> Self {
        Self { place: Arc::clone(place), at: place.changed.insert() }
    }
}

impl CancelSource for Listens {
    fn poll_cancel(&mut self, waker: &Waker) -> bool {
        self.place.changed.set(self.at, waker);
        self.place.asked.load(SeqCst)
    }
}

impl Drop for Listens {
    fn drop(&mut self) {
        self.place.changed.remove(self.at);
    }
}

fn arm(place: &Arc<NodeRef>, ran: &Arc<AtomicUsize>) -> Arc<Hook<Listens>> {
    let ran = Arc::clone(ran);
    Hook::arm(Listens::at(place), move || {
        ran.fetch_add(1, SeqCst);
    })
}

fn disarm(hook: &Hook<Listens>) {
    hook.disarm(|over, is_over| {
        block_on_wakers(over, None, is_over);
    });
}

#[test]
fn a_request_that_comes_while_it_is_armed_is_heard() {
    model(3, || {
        let (place, ran) = (NodeRef::new(), Arc::new(AtomicUsize::new(0)));
        let asks = place.is_asked_elsewhere();
        let hook = arm(&place, &ran);
        asks.join().unwrap();
        disarm(&hook);
        assert_eq!(ran.load(SeqCst), 1);
    });
}

#[test]
fn requests_that_meet_run_it_once() {
    model(3, || {
        let (place, ran) = (NodeRef::new(), Arc::new(AtomicUsize::new(0)));
        let hook = arm(&place, &ran);
        let asks = [(); 2].map(|()| place.is_asked_elsewhere());
        for asks in asks {
            asks.join().unwrap();
        }
        disarm(&hook);
        assert_eq!(ran.load(SeqCst), 1);
    });
}

#[test]
fn nothing_runs_once_it_is_disarmed() {
    model(3, || {
        let (place, ran) = (NodeRef::new(), Arc::new(AtomicUsize::new(0)));
        let hook = arm(&place, &ran);
        let asks = place.is_asked_elsewhere();
        disarm(&hook);
        let then = ran.load(SeqCst);
        asks.join().unwrap();
        assert_eq!(ran.load(SeqCst), then);
    });
}
