//! Places and queue together: a pushed task is found by somebody who looks, or a thread is sent for it. The two parts
//! are the engine's own; a worker here does what `pool::worker::work` does, step by step, with tasks that never end.

use crate::id::{NodeId, TaskId};
use crate::model::model;
use crate::pool::places::Places;
use crate::pool::queue::Queue;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::os::{Arc, thread};
use crate::task::cell::TaskRef;

struct Small {
    queue: Queue<(), ()>,
    places: Places,
    limit: usize,
    /// Threads that were sent: each holds a place.
    sent: AtomicUsize,
}

impl Small {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { queue: Queue::new(()), places: Places::new(), limit, sent: AtomicUsize::new(0) })
    }

    fn send_if_place(&self) {
        if self.places.take(self.limit) {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn submit(&self) {
        // SAFETY: neither the closure nor its result borrows.
        let (queued, _handle) = unsafe { TaskRef::new_unbounded(TaskId::next(), NodeId::next(), (), || ()) };
        self.queue.push(queued);
        self.send_if_place();
    }

    /// A worker that holds a place and is about to look at the queue. True when it found a task, in which it stays.
    fn work(&self, looking: bool) -> bool {
        let popped = self.queue.pop(|(), _| {});
        if popped.task.is_none() {
            let _ = self.places.give(looking);
            if !self.queue.is_empty() {
                self.send_if_place();
            }
            return false;
        }
        if looking {
            self.places.stop_looking();
        }
        if popped.more || !self.queue.looks_empty() {
            self.send_if_place();
        }
        true
    }

    /// With every thread at rest or in a task: nothing is queued, or every place is taken.
    fn check(&self) {
        let mut came = 0;
        while came < self.sent.load(Ordering::Relaxed) {
            // A thread that was sent comes.
            self.work(false);
            came += 1;
        }
        let queued = self.queue.take_if(|_| true).len();
        assert!(queued == 0 || !self.places.take(self.limit), "{queued} queued, and a place is free");
    }
}

fn pushes_meet_lookers(limit: usize, workers: usize, tasks: usize) {
    let small = Small::new(limit);
    // Workers between two tasks, from before the first push.
    for _ in 0..workers {
        assert!(small.places.take(limit));
    }
    for _ in 0..workers {
        small.places.start_looking();
    }
    let workers: Vec<_> = (0..workers)
        .map(|_| {
            let small = Arc::clone(&small);
            thread::spawn(move || small.work(true))
        })
        .collect();
    for _ in 0..tasks {
        small.submit();
    }
    for worker in workers {
        worker.join().unwrap();
    }
    small.check();
}

#[test]
fn a_push_meets_a_worker_that_looks() {
    model(5, || pushes_meet_lookers(1, 1, 1));
}

#[test]
fn pushes_meet_one_worker_that_looks_where_two_may_run() {
    model(5, || pushes_meet_lookers(2, 1, 2));
}

#[test]
fn no_task_is_left_queued_while_a_place_is_free() {
    model(4, || pushes_meet_lookers(3, 2, 3));
}

#[test]
fn a_task_that_comes_back_above_the_limit_makes_somebody_shed() {
    model(4, || {
        let small = Small::new(1);
        // One runs; a second comes back from its wait without asking.
        assert!(small.places.take(1));
        small.places.retake();
        let finisher = |small: Arc<Small>| {
            move || {
                if small.places.is_over(1) && small.places.shed(1, false) {
                    // Sheds, and starts nothing.
                    return true;
                }
                small.work(false);
                false
            }
        };
        let one = thread::spawn(finisher(Arc::clone(&small)));
        let two = thread::spawn(finisher(Arc::clone(&small)));
        small.submit();
        let shed = usize::from(one.join().unwrap()) + usize::from(two.join().unwrap());
        assert_eq!(shed, 1);
        small.check();
    });
}

#[test]
fn the_end_is_seen_only_when_no_place_is_taken_and_stays() {
    model(5, || {
        let places = Arc::new(Places::new());
        assert!(places.take(1));
        let giver = {
            let places = Arc::clone(&places);
            thread::spawn(move || places.give(false) && places.end())
        };
        let late = {
            let places = Arc::clone(&places);
            thread::spawn(move || places.take(1))
        };
        let ended = places.end();
        let taken = late.join().unwrap();
        let ended = giver.join().unwrap() || ended;
        // A late one took a place before the end, or none ever.
        assert!(!(ended && taken && places.take_here(2)));
        if ended {
            assert!(!places.take(1) && places.end());
        } else {
            assert!(taken);
        }
    });
}
