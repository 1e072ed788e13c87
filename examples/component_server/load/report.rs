//! What a load run found.

use std::fmt;
use std::time::Duration;

use super::Seen;
use super::percentile::percentile;
use crate::tally::TALLY;

pub(crate) struct Report {
    seen: Seen,
    pages: usize,
    clients: usize,
    took: Duration,
    leftover: Vec<String>,
}

impl Report {
    pub(super) fn new(mut seen: Seen, pages: usize, clients: usize, took: Duration, leftover: Vec<String>) -> Report {
        seen.latencies.sort_unstable();
        Report { seen, pages, clients, took, leftover }
    }

    /// Whether every answer was right, nothing is left, and everybody stood where they belong.
    pub(crate) fn is_good(&self) -> bool {
        self.seen.failures.is_empty() && self.leftover.is_empty() && TALLY.wrong_lineages() == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seen, pages, clients, took, leftover } = self;
        let good = seen.latencies.len();
        let answered = good + seen.failures.len();
        let milliseconds = |percent| percentile(&seen.latencies, percent).as_secs_f64() * 1_000.0;
        writeln!(f, "{answered} requests to {pages} pages from {clients} clients in {:.2} s", took.as_secs_f64())?;
        let threads = heirloom::threads::stats();
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<17} {value}");
        row("requests/s", format!("{:.0}", good as f64 / took.as_secs_f64()))?;
        row("p50", format!("{:.1} ms", milliseconds(50)))?;
        row("p99", format!("{:.1} ms", milliseconds(99)))?;
        row("bytes", format!("{:.1} MiB", seen.bytes as f64 / f64::from(1 << 20)))?;
        row("components", TALLY.components().to_string())?;
        row(
            "threads used",
            format!("{} ({} still there, {} of them idle)", threads.started, threads.live, threads.idle),
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
