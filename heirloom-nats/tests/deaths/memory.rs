//! The memory of processes, as the system counts it.

use std::time::{Duration, Instant};

/// Returns the resident memory of a process in KiB, or `None` where the system has no `/proc`.
pub(crate) fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// The sizes of one process, or of one kind of process, over time.
#[derive(Default)]
pub(crate) struct Sizes(Vec<(Instant, u64)>);

impl Sizes {
    pub(crate) fn sample(&mut self, process: u32) {
        if let Some(size) = resident(process) {
            self.0.push((Instant::now(), size));
        }
    }

    /// Returns the last sample in MiB.
    pub(crate) fn last(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, size)| mib(*size))
    }

    /// Returns the medians of the first minute's samples and of the last minute's, in MiB.
    pub(crate) fn first_and_last_minute(&self) -> (f64, f64) {
        const MINUTE: Duration = Duration::from_secs(60);
        let (Some((first, _)), Some((last, _))) = (self.0.first(), self.0.last()) else { return (0.0, 0.0) };
        let median = |within: &dyn Fn(Instant) -> bool| {
            let mut sizes: Vec<u64> = self.0.iter().filter(|(at, _)| within(*at)).map(|(_, size)| *size).collect();
            sizes.sort_unstable();
            mib(sizes[sizes.len() / 2])
        };
        (median(&|at| at.duration_since(*first) < MINUTE), median(&|at| last.duration_since(at) < MINUTE))
    }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
