//! A scope with running jobs is cancelled.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use heirloom::Scope;

use crate::contest::{Plan, median};
use crate::jobs::{BEGUN, STOPPED, Sleep};
use crate::ours::Ours;
use crate::report::{Bar, Row};

const JOBS: usize = 100;

/// Measures the time until all jobs have stopped and their handles have ended.
pub(crate) fn measure(plan: &Plan, ours: &Ours) -> Row {
    let mut times = Vec::new();
    for _ in 0..plan.cancels {
        let request = Scope::new_in(&ours.scope, "request");
        let (begun, stopped) = (BEGUN.load(Ordering::SeqCst), STOPPED.load(Ordering::SeqCst));
        let tasks: Vec<_> = (0..JOBS).map(|_| request.run(|| ours.pool.send(Sleep)).expect("accepted")).collect();
        while BEGUN.load(Ordering::SeqCst) < begun + JOBS {
            std::thread::sleep(Duration::from_millis(1));
        }
        let at = Instant::now();
        request.cancel();
        tasks.into_iter().for_each(|task| drop(task.join()));
        times.push(at.elapsed());
        assert_eq!(STOPPED.load(Ordering::SeqCst), stopped + JOBS);
    }
    Row::new("cancel of 100 running jobs", "heirloom", median(times), Bar::AtMost(Duration::from_millis(10)))
}
