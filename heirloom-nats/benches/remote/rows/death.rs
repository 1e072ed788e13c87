//! A worker is killed.

use std::time::{Duration, Instant};

use crate::contest::{Plan, median};
use crate::jobs::Sleep;
use crate::ours::{self, Ours};
use crate::report::{Bar, Row};

/// Measures the time until the handle of its job has ended, with a lease of two seconds and no other worker.
pub(crate) fn measure(plan: &Plan, ours: Ours, url: &str) -> Row {
    ours.stop_serving();
    let mut times = Vec::new();
    for _ in 0..plan.deaths {
        let mut child = ours::start_child(url);
        // Runs at the child alone.
        let task = ours.pool.send(Sleep).expect("accepted");
        while ours.pool.stats().running == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let at = Instant::now();
        child.kill().expect("kill -9");
        child.wait().expect("ended");
        drop(task.join().expect_err("its worker was killed"));
        times.push(at.elapsed());
    }
    Row::new("death of a worker (lease 2 s)", "heirloom", median(times), Bar::Told)
}
