//! The findings of a server's life, after its last request.

use std::fmt;
use std::time::{Duration, Instant};

use crate::process;
use crate::tally::TALLY;

/// How long the last workers have to let go of the last request's pool. Its answer does not wait for that.
const SETTLING: Duration = Duration::from_secs(2);

pub(crate) struct Findings {
    /// Managers that belong to requests.
    leftover: Vec<String>,
    allowed_threads: usize,
}

impl Findings {
    /// Waits until only the managers of the process are left.
    pub(crate) async fn after(allowed_threads: usize) -> Findings {
        let began = Instant::now();
        loop {
            let leftover = process::leftover_managers();
            if leftover.is_empty() || began.elapsed() > SETTLING {
                return Findings { leftover, allowed_threads };
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether all tasks have ended, each stood at its own request, and threads were few.
    pub(crate) fn are_good(&self) -> bool {
        self.leftover.is_empty()
            && TALLY.wrong_lineages() == 0
            && heirloom::threads::stats().peak <= self.allowed_threads
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = heirloom::threads::stats();
        let rows = [
            ("requests", TALLY.requests().to_string()),
            ("components", TALLY.components().to_string()),
            (
                "lines coloured",
                format!("{}, {} of them for clients that had gone", TALLY.lines(), TALLY.lines_for_gone_clients()),
            ),
            (
                "threads at once",
                format!("{} at most, {} allowed ({} started)", threads.peak, self.allowed_threads, threads.started),
            ),
            ("managers created", TALLY.managers().to_string()),
            ("managers left", self.leftover.len().to_string()),
            ("wrong lineages", format!("{} of {}", TALLY.wrong_lineages(), TALLY.lineages())),
        ];
        rows.iter().try_for_each(|(name, value)| writeln!(f, "  {name:<17} {value}"))
    }
}
