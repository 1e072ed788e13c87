//! What a load run found.

use std::fmt;
use std::time::Duration;

use super::drive::{Cost, Seen};
use super::percentile::percentile;
use crate::process;
use crate::request::AT_A_TIME;
use crate::tally::TALLY;

pub(crate) struct Report {
    pub(super) seen: Seen,
    pub(super) pages: usize,
    pub(super) clients: usize,
    pub(super) took: Duration,
    pub(super) leftover: Vec<String>,
    pub(super) threads: usize,
}

impl Report {
    /// Whether every answer was right, nothing is left, everybody stood where they belong, and threads were few.
    pub(crate) fn is_good(&self) -> bool {
        self.seen.failures.is_empty()
            && self.leftover.is_empty()
            && TALLY.wrong_lineages() == 0
            && self.threads <= self.most_threads()
    }

    /// The limits of all pools that the clients can have at a time; twice, for a request that was given up has threads
    /// until they have looked. Waits in a request cause one more.
    fn most_threads(&self) -> usize {
        2 * self.clients * (AT_A_TIME + 1) + process::threads()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seen, pages, clients, took, leftover, threads: most } = self;
        let good = seen.latencies.len();
        let ended = good + seen.failures.len() + seen.hung_up;
        writeln!(f, "{ended} requests to {pages} pages from {clients} clients in {:.2} s", took.as_secs_f64())?;
        let threads = heirloom::threads::stats();
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<17} {value}");
        row("requests/s", format!("{:.0}", good as f64 / took.as_secs_f64()))?;
        for (name, cost) in [("short pages", Cost::Cheap), ("others", Cost::Between), ("long pages", Cost::Expensive)] {
            let sorted = seen.of(cost);
            let milliseconds = |percent| percentile(&sorted, percent).as_secs_f64() * 1_000.0;
            row(name, format!("p50 {:.1} ms, p99 {:.1} ms ({})", milliseconds(50), milliseconds(99), sorted.len()))?;
        }
        row("bytes", format!("{:.1} MiB", seen.bytes as f64 / f64::from(1 << 20)))?;
        row("components", TALLY.components().to_string())?;
        row("hung up", format!("{} requests", seen.hung_up))?;
        row("lines coloured", format!("{}, {} of them for nobody", TALLY.lines(), TALLY.lines_for_nobody()))?;
        row(
            "threads at once",
            format!(
                "{most} at most, {} allowed ({} started, {} idle)",
                self.most_threads(),
                threads.started,
                threads.idle
            ),
        )?;
        row("managers created", TALLY.managers().to_string())?;
        row("managers left", leftover.len().to_string())?;
        row("wrong lineages", format!("{} of {}", TALLY.wrong_lineages(), TALLY.lineages()))?;
        row("failed requests", seen.failures.len().to_string())?;
        for failure in seen.failures.iter().take(5) {
            writeln!(f, "    {failure}")?;
        }
        Ok(())
    }
}
