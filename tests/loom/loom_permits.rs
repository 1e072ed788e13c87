//! Permits and queue together: a worker finds a pushed task, or a thread is requested for it. The two parts are the
//! engine's own; a worker here does the steps of `pool::run::worker::work`, with tasks that never end.

use crate::model::model;
use crate::names::id::{NodeId, TaskId};
use crate::pool::core::chain::Batch;
use crate::pool::core::permits::Permits;
use crate::pool::core::queue::Queue;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::os::{Arc, thread};
use crate::task::body::Body;
use crate::task::cell::TaskRef;

struct Small {
    queue: Queue<(), ()>,
    permits: Permits,
    limit: usize,
    /// Requested threads: each holds a permit.
    sent: AtomicUsize,
}

impl Small {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { queue: Queue::new((), ()), permits: Permits::new(), limit, sent: AtomicUsize::new(0) })
    }

    fn send_if_permit(&self) {
        if self.permits.try_acquire(self.limit) {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn submit(&self) {
        let (queued, _handle) = TaskRef::new(TaskId::next(), NodeId::next(), (), Body::new(|| ()));
        self.queue.push(queued);
        self.send_if_permit();
    }

    /// A worker that holds a permit and is about to look at the queue. True when it found a task, in which it stays.
    fn work(&self, searching: bool) -> bool {
        let popped = self.queue.pop(|(), _| {});
        if popped.task.is_none() {
            let _ = self.permits.release(searching);
            if !self.queue.is_empty() {
                self.send_if_permit();
            }
            return false;
        }
        if searching {
            self.permits.stop_searching();
        }
        if popped.more || !self.queue.looks_empty() {
            self.send_if_permit();
        }
        true
    }

    /// With every thread idle or in a task: no task is queued, or every permit is taken.
    fn check(&self) {
        let mut purpose = 0;
        while purpose < self.sent.load(Ordering::Relaxed) {
            // A requested thread comes.
            self.work(false);
            purpose += 1;
        }
        let queued = self.queue.take_if(&mut |_| true).len();
        assert!(queued == 0 || !self.permits.try_acquire(self.limit), "{queued} queued, and a place is free");
    }
}

fn pushes_meet_lookers(limit: usize, workers: usize, tasks: usize) {
    let small = Small::new(limit);
    // Workers between two tasks, from before the first push.
    for _ in 0..workers {
        assert!(small.permits.try_acquire(limit));
    }
    for _ in 0..workers {
        small.permits.start_searching();
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

/// A canceller moves a pushed task for a moment, while a worker stops searching.
#[test]
fn a_sweep_hides_no_task_from_a_worker_that_stops_searching() {
    model(4, || {
        let small = Small::new(2);
        let (queued, _handle) = TaskRef::new(TaskId::next(), NodeId::next(), (), Body::new(|| ()));
        small.queue.push(queued);
        assert!(small.permits.try_acquire(2));
        small.permits.start_searching();
        let worker = {
            let small = Arc::clone(&small);
            thread::spawn(move || small.work(true))
        };
        let sweeper = {
            let small = Arc::clone(&small);
            thread::spawn(move || assert!(small.queue.take_if(&mut |_| false).len() == 0))
        };
        small.submit();
        sweeper.join().unwrap();
        assert!(worker.join().unwrap());
        small.check();
    });
}

#[test]
fn a_task_that_comes_back_above_the_limit_makes_somebody_shed() {
    model(4, || {
        let small = Small::new(1);
        // One runs; a second comes back from its wait without asking.
        assert!(small.permits.try_acquire(1));
        small.permits.reacquire();
        let finisher = |small: Arc<Small>| {
            move || {
                if small.permits.is_over_limit(1) && small.permits.release_excess(1, false) {
                    // Releases its excess permit, and starts no task.
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

/// A leased pool in small: its requests acquire no permit, and a joiner may take its task.
struct Lent {
    small: Arc<Small>,
}

impl Lent {
    fn send(&self) {
        let Small { permits, limit, sent, .. } = &*self.small;
        if permits.send(*limit) {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn push(&self) -> TaskRef<()> {
        let (queued, handle) = TaskRef::new(TaskId::next(), NodeId::next(), (), Body::new(|| ()));
        self.small.queue.push(queued);
        self.send();
        handle.into_task()
    }

    /// The steps of a submitter of many tasks.
    fn push_many(&self, tasks: usize) {
        let Small { permits, queue, limit, sent } = &*self.small;
        let mut batch = Batch::new();
        for _ in 0..tasks {
            batch.push(TaskRef::new(TaskId::next(), NodeId::next(), (), Body::new(|| ())).0);
        }
        queue.push_all(batch);
        sent.fetch_add(permits.send_many(*limit, tasks), Ordering::Relaxed);
    }

    /// The steps of `pool::run::worker::lend`. True when the task was taken.
    fn join(&self, task: &TaskRef<()>) -> bool {
        let Small { permits, queue, limit, .. } = &*self.small;
        if !permits.try_acquire_here(*limit) {
            return false;
        }
        let ours = queue.pop_first(task, |(), _| {});
        if ours.task.is_some() && ours.more {
            self.send();
        }
        let _ = permits.release(false);
        if !queue.is_empty() {
            self.send();
        }
        ours.task.is_some()
    }

    /// The steps of `pool::run::worker::arrive`, and of a worker until its queue is empty. Returns how many tasks it ran.
    fn arrive(&self) -> usize {
        let Small { permits, queue, limit, .. } = &*self.small;
        if !permits.arrive(*limit) {
            return 0;
        }
        if queue.looks_empty() && queue.is_empty() {
            let _ = permits.release(false);
            if queue.is_empty() {
                return 0;
            }
            if !permits.try_acquire_here(*limit) {
                self.send();
                return 0;
            }
        }
        let mut ran = 0;
        while let Some(task) = queue.pop(|(), _| {}).task {
            drop(task);
            ran += 1;
            if !queue.looks_empty() {
                self.send();
            }
        }
        let _ = permits.release(false);
        if !queue.is_empty() {
            self.send();
        }
        ran
    }

    /// Lets the requested threads come. Returns how many tasks they ran.
    fn arrive_all(&self) -> usize {
        let (mut came, mut ran) = (0, 0);
        while came < self.small.sent.load(Ordering::Relaxed) {
            ran += self.arrive();
            came += 1;
        }
        ran
    }
}

fn a_joiner_meets_a_sent_thread(limit: usize) {
    let lent = Arc::new(Lent { small: Small::new(limit) });
    let first = lent.push();
    // The thread that was sent for the first task, a sweep that holds the tasks for a moment, and a second submitter.
    let arrives = {
        let lent = Arc::clone(&lent);
        thread::spawn(move || lent.arrive())
    };
    let sweeps = {
        let lent = Arc::clone(&lent);
        thread::spawn(move || assert!(lent.small.queue.take_if(&mut |_| false).is_empty()))
    };
    let mut ran = usize::from(lent.join(&first));
    let _second = lent.push();
    sweeps.join().unwrap();
    ran += arrives.join().unwrap();
    // One has come.
    lent.small.sent.fetch_sub(1, Ordering::Relaxed);
    ran += lent.arrive_all();
    assert_eq!(ran, 2, "a task is queued, and no thread comes for it");
    assert!(lent.small.permits.end(), "a permit was not released");
}

/// The thread that was sent for the first task comes while a second submitter pushes many, and a third one pushes one.
fn several_sent_threads_run_all(limit: usize) {
    let lent = Arc::new(Lent { small: Small::new(limit) });
    let _first = lent.push();
    let arrives = {
        let lent = Arc::clone(&lent);
        thread::spawn(move || lent.arrive())
    };
    let pushes = {
        let lent = Arc::clone(&lent);
        thread::spawn(move || drop(lent.push()))
    };
    lent.push_many(2);
    pushes.join().unwrap();
    let mut ran = arrives.join().unwrap();
    // One has come.
    lent.small.sent.fetch_sub(1, Ordering::Relaxed);
    ran += lent.arrive_all();
    assert_eq!(ran, 4, "a task is queued, and no thread comes for it");
    assert!(lent.small.permits.end(), "a permit was not released");
}

#[test]
fn a_submitter_of_many_that_meets_a_sent_thread_strands_no_task() {
    model(3, || several_sent_threads_run_all(1));
}

#[test]
fn several_sent_threads_strand_no_task() {
    model(3, || several_sent_threads_run_all(3));
}

#[test]
fn as_many_threads_are_sent_as_there_are_free_permits_and_none_beside_another() {
    model(5, || {
        let permits = Arc::new(Permits::new());
        let other = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.send_many(3, 2))
        };
        let ours = permits.send_many(3, 5);
        let theirs = other.join().unwrap();
        assert!((ours, theirs) == (3, 0) || (ours, theirs) == (0, 2), "{ours} {theirs}");
        // All but the last one see another thread on its way.
        let sent = ours + theirs;
        assert!((1..sent).all(|_| !permits.unsend()) && permits.unsend());
    });
}

#[test]
fn a_joiner_that_lends_its_thread_strands_no_task() {
    model(3, || a_joiner_meets_a_sent_thread(1));
}

#[test]
fn a_joiner_that_lends_its_thread_where_two_may_run_strands_no_task() {
    model(3, || a_joiner_meets_a_sent_thread(2));
}

#[test]
fn a_refused_request_beside_a_worker_in_line_finds_a_thread_on_its_way() {
    model(5, || {
        let permits = Arc::new(Permits::new());
        assert!(permits.send(2) && permits.arrive(2));
        // Another pool's job gets the worker's thread; the worker's own job goes to the back of the line.
        let worker = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.requeue())
        };
        // The system refuses the thread for a second task. Without another thread the queued tasks would be failed.
        if permits.send(2) {
            assert!(!permits.unsend(), "the worker in line was not seen");
        }
        assert!(worker.join().unwrap().is_some());
        assert!(permits.arrive(2));
    });
}

#[test]
fn an_end_does_not_wait_for_a_sent_thread_which_then_gets_no_permit() {
    model(5, || {
        let before_it_arrives = Permits::new();
        assert!(before_it_arrives.send(1) && before_it_arrives.end() && !before_it_arrives.arrive(1));

        let permits = Arc::new(Permits::new());
        assert!(permits.send(1));
        let arrives = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.arrive(1))
        };
        let ended = permits.end();
        assert_ne!(ended, arrives.join().unwrap());
    });
}

#[test]
fn the_end_is_seen_only_when_no_place_is_taken_and_stays() {
    model(5, || {
        let permits = Arc::new(Permits::new());
        assert!(permits.try_acquire(1));
        let giver = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.release(false) && permits.end())
        };
        let late = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.try_acquire(1))
        };
        let ended = permits.end();
        let taken = late.join().unwrap();
        let ended = giver.join().unwrap() || ended;
        // A late one acquired a permit before the end, or none ever.
        assert!(!(ended && taken && permits.try_acquire_here(2)));
        if ended {
            assert!(!permits.try_acquire(1) && permits.end());
        } else {
            assert!(taken);
        }
    });
}
