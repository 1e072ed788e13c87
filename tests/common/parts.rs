//! Checks that are child processes: each plays a part, and what it leaves behind is looked at.

use std::process::Output;
use std::time::{Duration, Instant};

use super::{child_part, run_child};

/// One part and what is expected of it.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) play: fn(),
    pub(crate) expect: fn(&Seen),
}

/// What a child left behind.
pub(crate) struct Seen {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Seen {
    fn new(output: &Output, took: Duration) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took,
        }
    }

    pub(crate) fn lines(&self, of: &str) -> usize {
        self.stdout.lines().filter(|line| *line == of).count()
    }

    pub(crate) fn code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    pub(crate) fn says(&self, line: &str, times: usize) -> &Self {
        assert_eq!(self.lines(line), times, "{line:?} in stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Far below the default deadline, and far above what a busy machine needs.
    pub(crate) fn quick(&self) -> &Self {
        self.within(Duration::from_secs(10))
    }

    pub(crate) fn within(&self, bound: Duration) -> &Self {
        assert!(self.took < bound, "took {:?}\nstdout: {}\nstderr: {}", self.took, self.stdout, self.stderr);
        self
    }
}

/// The `main` of a file of such checks: in a child the part, otherwise all of them (or those that an argument names).
pub(crate) fn main(parts: &'static [Check]) {
    match child_part() {
        Some(part) => match parts.iter().find(|check| check.name == part) {
            Some(check) => (check.play)(),
            None => panic!("no part {part}"),
        },
        None => check_all(parts),
    }
}

/// Children run side by side: they mostly wait.
fn check_all(parts: &'static [Check]) {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let failed: Vec<&str> = std::thread::scope(|s| {
        let runs: Vec<_> = parts
            .iter()
            .filter(|check| wanted.is_empty() || wanted.iter().any(|part| check.name.contains(part)))
            .map(|check| {
                let run = s.spawn(|| {
                    let begun = Instant::now();
                    let output = run_child(check.name);
                    (check.expect)(&Seen::new(&output, begun.elapsed()));
                });
                (check.name, run)
            })
            .collect();
        runs.into_iter()
            .filter_map(|(name, run)| {
                let ok = run.join().is_ok();
                println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
                (!ok).then_some(name)
            })
            .collect()
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
}
