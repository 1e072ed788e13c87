//! A worker is killed.

use std::time::{Duration, Instant};

use crate::contest::{Plan, median};
use crate::jobs::Sleep;
use crate::ours::{self, Ours};
use crate::report::Row;

const WORK: &str = "death of a worker, until its job's handle has ended (lease 2 s)";

/// Measures the time until the handle of its job has ended, without another worker.
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
    let median = median(times);
    println!("\n{WORK}: {:.2} s", median.as_secs_f64());
    Row::told(WORK, "heirloom", &Ok(median))
}
