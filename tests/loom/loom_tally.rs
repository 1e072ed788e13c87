//! The tally: a task is refused or counted, and whoever waits for the last one is woken.

use crate::model::{block, model};
use crate::pool::inner::leave_tally;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::os::{Arc, thread};
use crate::tally::{Closed, Entry, Tally};

#[test]
fn a_task_is_either_refused_or_waited_for() {
    model(3, || {
        let tally = Arc::new(Tally::new());
        let ended = Arc::new(AtomicUsize::new(0));
        let submitters: Vec<_> = (0..2)
            .map(|_| {
                let (tally, ended) = (Arc::clone(&tally), Arc::clone(&ended));
                thread::spawn(move || {
                    let entered = tally.enter().is_ok();
                    if entered {
                        ended.fetch_add(1, Ordering::Relaxed);
                        leave_tally(&tally);
                    }
                    entered
                })
            })
            .collect();
        assert!(tally.close());
        block(&tally, || tally.is_ended());
        let waited_for = ended.load(Ordering::Relaxed);
        let entered =
            submitters.into_iter().map(|submitter| submitter.join().unwrap()).filter(|entered| *entered).count();
        assert_eq!(waited_for, entered);
        assert_eq!(tally.enter(), Err(Closed));
    });
}

#[test]
fn the_last_to_leave_wakes_everybody_who_waits() {
    model(2, || {
        let tally = Arc::new(Tally::new());
        assert_eq!(tally.enter(), Ok(Entry::First));
        assert_eq!(tally.enter(), Ok(Entry::Another));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let tally = Arc::clone(&tally);
                thread::spawn(move || leave_tally(&tally))
            })
            .collect();
        let other = {
            let tally = Arc::clone(&tally);
            thread::spawn(move || block(&tally, || tally.count() == 0))
        };
        block(&tally, || tally.count() == 0);
        other.join().unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn closing_an_empty_tally_wakes_who_waits_for_the_end() {
    model(3, || {
        let tally = Arc::new(Tally::new());
        let waiter = {
            let tally = Arc::clone(&tally);
            thread::spawn(move || block(&tally, || tally.is_ended()))
        };
        let other = {
            let tally = Arc::clone(&tally);
            thread::spawn(move || tally.close())
        };
        let first = tally.close();
        // One of the two closed it.
        assert_ne!(first, other.join().unwrap());
        waiter.join().unwrap();
    });
}

#[test]
fn exactly_one_is_the_first_and_one_the_last_of_each_turn() {
    model(3, || {
        let tally = Arc::new(Tally::new());
        let turn = |tally: &Tally| {
            let first = tally.enter() == Ok(Entry::First);
            let last = matches!(tally.leave(), crate::tally::Left::Last { .. });
            (usize::from(first), usize::from(last))
        };
        let other = {
            let tally = Arc::clone(&tally);
            thread::spawn(move || turn(&tally))
        };
        let (first, last) = turn(&tally);
        let (other_first, other_last) = other.join().unwrap();
        assert_eq!(first + other_first, last + other_last);
        assert!(first + other_first > 0);
        assert_eq!(tally.count(), 0);
    });
}
