//! A deadline against the end of its owner, against another moment for it, and against its acknowledgement.

use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use crate::model::model;
use crate::names::id::NodeId;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::os::{Arc, thread};
use crate::timer::Timer;
use crate::timer::deadlines::{Deadlines, Owner};

const TIMED: usize = 1;
const ENDED: usize = 1 << 1;

/// A node with its state, and the table.
struct Timed {
    owner: Owner,
    table: Deadlines,
    state: AtomicUsize,
    requests: AtomicUsize,
    early: Instant,
    late: Instant,
}

impl Timed {
    fn new() -> Arc<Self> {
        let early = Instant::now();
        Arc::new(Self {
            owner: Owner::Node(NodeId::next()),
            table: Deadlines::new(),
            state: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            early,
            late: early + Duration::from_secs(1),
        })
    }

    fn note(&self) -> bool {
        self.state.fetch_or(TIMED, Ordering::SeqCst) & ENDED == 0
    }

    fn set(&self, at: Instant) {
        self.table.set(self.owner, at, || None, || self.note());
    }

    /// The alarm of any moment up to this one.
    fn alarm(&self, now: Instant) {
        if self.table.fire(self.owner, now) {
            self.requests.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn end(&self) {
        if self.state.fetch_or(ENDED, Ordering::SeqCst) & TIMED != 0 {
            self.table.end(self.owner);
        }
    }

    /// The drop, when no other code knows the node.
    fn is_forgotten(&self) -> bool {
        if self.state.load(Ordering::SeqCst) & TIMED != 0 {
            self.table.forget(self.owner);
        }
        !self.table.any() && self.table.get(self.owner).is_none()
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[test]
fn a_deadline_that_is_set_while_its_node_ends_leaves_nothing_behind() {
    model(3, || {
        let node = Timed::new();
        let setter = {
            let node = Arc::clone(&node);
            thread::spawn(move || node.set(node.late))
        };
        node.end();
        setter.join().unwrap();
        assert!(!node.table.any(), "an entry of an ended node is left");
        assert_eq!(node.requests(), 0);
    });
}

#[test]
fn a_deadline_that_comes_while_its_node_ends_comes_once_or_not_at_all() {
    model(3, || {
        let node = Timed::new();
        node.set(node.early);
        let timer = {
            let node = Arc::clone(&node);
            thread::spawn(move || node.alarm(node.early))
        };
        node.end();
        timer.join().unwrap();
        assert!(node.requests() <= 1);
        // Fired: there is no time left at the ended node.
        assert_eq!(node.table.any(), node.requests() == 1);
        assert!(node.is_forgotten());
    });
}

#[test]
fn a_deadline_that_is_moved_while_it_comes_comes_once() {
    model(3, || {
        let node = Timed::new();
        node.set(node.early);
        let timer = {
            let node = Arc::clone(&node);
            thread::spawn(move || node.alarm(node.early))
        };
        node.set(node.late);
        timer.join().unwrap();
        let came = node.requests() == 1;
        assert_eq!(node.table.get(node.owner), Some(if came { node.early } else { node.late }));
        node.alarm(node.late);
        assert_eq!(node.requests(), 1);
        node.end();
        assert!(node.is_forgotten());
    });
}

#[test]
fn an_acknowledged_deadline_does_not_come_again_and_the_next_one_does() {
    model(3, || {
        let node = Timed::new();
        node.set(node.early);
        let timer = {
            let node = Arc::clone(&node);
            thread::spawn(move || node.alarm(node.early))
        };
        // Acknowledges as soon as it sees the request.
        if node.requests() == 1 {
            node.table.acknowledge(node.owner);
            assert!(node.table.get(node.owner).is_none());
            node.set(node.late);
        }
        timer.join().unwrap();
        let before = node.requests();
        node.alarm(node.late);
        assert_eq!((before, node.requests()), (1, if node.table.get(node.owner) == Some(node.late) { 2 } else { 1 }));
        node.end();
        assert!(node.is_forgotten());
    });
}

/// Woken by a timer: fires, and unparks the thread that waits for it.
struct Alarm {
    node: Arc<Timed>,
    thread: thread::Thread,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.node.alarm(self.node.early);
        self.thread.unpark();
    }
}

#[test]
fn an_alarm_that_comes_while_it_is_armed_finds_its_deadline() {
    loom::lazy_static! {
        static ref CLOCK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    }
    model(3, || {
        let timer: &'static Timer =
            Box::leak(Box::new(Timer::new(|| CLOCK.fetch_add(1, Ordering::Relaxed), Duration::ZERO)));
        let node = Timed::new();
        let alarm = Arc::new(Alarm { node: Arc::clone(&node), thread: thread::current() });
        node.table.set(node.owner, node.early, || timer.at_tick(0, Waker::from(alarm)), || node.note());
        while node.requests() == 0 {
            thread::park();
        }
        assert!(node.is_forgotten());
    });
}
