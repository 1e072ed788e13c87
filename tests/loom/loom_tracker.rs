//! The tracker: a task is refused or counted, and a waiter for the last one is woken.

use crate::model::{block, model};
use crate::pool::core::pool::leave_tracker;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::os::{Arc, thread};
use crate::wait::tracker::{Closed, Entry, TaskTracker};

#[test]
fn a_task_is_either_refused_or_waited_for() {
    model(3, || {
        let tracker = Arc::new(TaskTracker::new());
        let ended = Arc::new(AtomicUsize::new(0));
        let submitters: Vec<_> = (0..2)
            .map(|_| {
                let (tracker, ended) = (Arc::clone(&tracker), Arc::clone(&ended));
                thread::spawn(move || {
                    let entered = tracker.enter().is_ok();
                    if entered {
                        ended.fetch_add(1, Ordering::Relaxed);
                        leave_tracker(&tracker, 1);
                    }
                    entered
                })
            })
            .collect();
        assert!(tracker.close());
        block(&tracker, || tracker.is_ended());
        let waited_for = ended.load(Ordering::Relaxed);
        let entered =
            submitters.into_iter().map(|submitter| submitter.join().unwrap()).filter(|entered| *entered).count();
        assert_eq!(waited_for, entered);
        assert_eq!(tracker.enter(), Err(Closed));
    });
}

#[test]
fn the_last_to_leave_wakes_everybody_who_waits() {
    model(2, || {
        let tracker = Arc::new(TaskTracker::new());
        assert_eq!(tracker.enter(), Ok(Entry::First));
        assert_eq!(tracker.enter(), Ok(Entry::Another));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let tracker = Arc::clone(&tracker);
                thread::spawn(move || leave_tracker(&tracker, 1))
            })
            .collect();
        let other = {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || block(&tracker, || tracker.count() == 0))
        };
        block(&tracker, || tracker.count() == 0);
        other.join().unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn closing_an_empty_tally_wakes_who_waits_for_the_end() {
    model(3, || {
        let tracker = Arc::new(TaskTracker::new());
        let waiter = {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || block(&tracker, || tracker.is_ended()))
        };
        let other = {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || tracker.close())
        };
        let first = tracker.close();
        // One of the two closed it.
        assert_ne!(first, other.join().unwrap());
        waiter.join().unwrap();
    });
}

#[test]
fn exactly_one_is_the_first_and_one_the_last_of_each_turn() {
    model(3, || {
        let tracker = Arc::new(TaskTracker::new());
        let turn = |tracker: &TaskTracker| {
            let first = tracker.enter() == Ok(Entry::First);
            let last = matches!(tracker.leave(), crate::wait::tracker::Left::Last { .. });
            (usize::from(first), usize::from(last))
        };
        let other = {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || turn(&tracker))
        };
        let (first, last) = turn(&tracker);
        let (other_first, other_last) = other.join().unwrap();
        assert_eq!(first + other_first, last + other_last);
        assert!(first + other_first > 0);
        assert_eq!(tracker.count(), 0);
    });
}
