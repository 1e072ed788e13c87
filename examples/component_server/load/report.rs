//! The report of a load run's clients.

use std::fmt;
use std::time::Duration;

use super::drive::{Cost, Seen};
use super::percentile::percentile;

pub(crate) struct Report {
    pub(super) seen: Seen,
    pub(super) pages: usize,
    pub(super) clients: usize,
    pub(super) took: Duration,
}

impl Report {
    /// Whether every answer was right.
    pub(crate) fn is_good(&self) -> bool {
        self.seen.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seen, pages, clients, took } = self;
        let good = seen.latencies.len();
        let ended = good + seen.failures.len() + seen.hung_up;
        writeln!(f, "{ended} requests to {pages} pages from {clients} clients in {:.2} s", took.as_secs_f64())?;
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<17} {value}");
        row("requests/s", format!("{:.0}", good as f64 / took.as_secs_f64()))?;
        for (name, cost) in [("short pages", Cost::Cheap), ("others", Cost::Between), ("long pages", Cost::Expensive)] {
            let sorted = seen.of(cost);
            let milliseconds = |percent| percentile(&sorted, percent).as_secs_f64() * 1_000.0;
            row(name, format!("p50 {:.1} ms, p99 {:.1} ms ({})", milliseconds(50), milliseconds(99), sorted.len()))?;
        }
        row("bytes", format!("{:.1} MiB", seen.bytes as f64 / f64::from(1 << 20)))?;
        row("hung up", format!("{} requests", seen.hung_up))?;
        row("failed requests", seen.failures.len().to_string())?;
        for failure in seen.failures.iter().take(5) {
            writeln!(f, "    {failure}")?;
        }
        Ok(())
    }
}
