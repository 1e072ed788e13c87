//! The timer: a set deadline is met, whatever step its thread is in, and a removed one is not.

use std::task::{Wake, Waker};
use std::time::Duration;

use crate::model::model;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::os::{Arc, thread};
use crate::timer::Timer;

/// Has passed.
const NOW: u64 = 0;
/// Never comes.
const FAR: u64 = 1_000_000;

loom::lazy_static! {
    /// A tick for each look, so that a deadline set before a look is due at it.
    static ref CLOCK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
}

/// A timer whose thread ends as soon as it finds no deadline. Leaked: it is the process's.
fn new() -> &'static Timer {
    Box::leak(Box::new(Timer::new(|| CLOCK.fetch_add(1, Ordering::Relaxed), Duration::ZERO)))
}

/// Wakes a thread of the model, and counts.
struct Told {
    thread: thread::Thread,
    times: AtomicUsize,
}

impl Told {
    fn here() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), times: AtomicUsize::new(0) })
    }

    fn times(&self) -> usize {
        self.times.load(Ordering::SeqCst)
    }

    /// For ever, unless it is woken.
    fn wait(&self) {
        while self.times() == 0 {
            thread::park();
        }
    }
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn meets(timer: &'static Timer) {
    let told = Told::here();
    let deadline = timer.at_tick(NOW, Waker::from(Arc::clone(&told)));
    told.wait();
    drop(deadline);
    assert_eq!(told.times(), 1);
}

#[test]
fn a_deadline_is_met_though_the_thread_is_ending() {
    model(3, || {
        let timer = new();
        let other = thread::spawn(move || meets(timer));
        meets(timer);
        other.join().unwrap();
    });
}

#[test]
fn a_deadline_is_met_though_the_thread_sleeps_until_a_later_one() {
    model(3, || {
        let timer = new();
        let never = Told::here();
        let far = timer.at_tick(FAR, Waker::from(Arc::clone(&never)));
        let other = thread::spawn(move || meets(timer));
        meets(timer);
        other.join().unwrap();
        // The thread sleeps for ever, unless it is notified of one more once the far one is gone.
        drop(far);
        meets(timer);
        assert_eq!(never.times(), 0);
    });
}

#[test]
fn a_deadline_that_is_removed_as_it_comes_is_met_once_or_not_at_all() {
    model(3, || {
        let timer = new();
        let told = Told::here();
        let deadline = timer.at_tick(NOW, Waker::from(Arc::clone(&told)));
        drop(deadline);
        assert!(told.times() <= 1);
        meets(timer);
    });
}

#[test]
fn a_deadline_without_a_thread_is_refused_and_the_next_one_gets_its_thread() {
    model(2, || {
        let timer = new();
        thread::refuse(1);
        let told = Told::here();
        assert!(timer.at_tick(NOW, Waker::from(Arc::clone(&told))).is_none());
        meets(timer);
        assert_eq!(told.times(), 0);
    });
}
