//! Checks that are child processes: each plays a part, and what it leaves behind is looked at.

use std::panic::catch_unwind;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{child_part, run_child};

/// One part and what is expected of it.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) play: fn(),
    pub(crate) expect: fn(&Seen),
}

impl Check {
    /// One whose part asserts everything itself.
    pub(crate) const fn passes(name: &'static str, play: fn()) -> Self {
        Self { name, play, expect: |seen| _ = seen.code(0) }
    }
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

    pub(crate) fn not_before(&self, time: Duration) -> &Self {
        assert!(self.took >= time, "took {:?}\nstdout: {}\nstderr: {}", self.took, self.stdout, self.stderr);
        self
    }
}

/// The `main` of the program: in a child the part, otherwise all checks that the arguments ask for.
pub(crate) fn main(lists: &[(&str, &'static [Check])]) {
    let all = || {
        lists
            .iter()
            .flat_map(|(list, checks)| checks.iter().map(move |check| (format!("{list}::{}", check.name), check)))
    };
    if let Some(part) = child_part() {
        let (_, check) = all().find(|(name, _)| *name == part).expect("the part is one of a list");
        // An exit that waits for a deadline hangs, unless the part sets one.
        heirloom::exit_timeout(None);
        return (check.play)();
    }
    let asked = Asked::read(std::env::args().skip(1));
    let wanted: Vec<_> = all().filter(|(name, _)| asked.for_it(name)).collect();
    if asked.list {
        wanted.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    let failed = check_all(&wanted);
    for name in &failed {
        println!("failed: {name}");
    }
    println!("\n{} passed, {} failed", wanted.len() - failed.len(), failed.len());
    if !failed.is_empty() {
        std::process::exit(101);
    }
}

/// What the arguments ask for, as they are passed to a program with the harness.
#[derive(Default)]
struct Asked {
    names: Vec<String>,
    without: Vec<String>,
    exact: bool,
    list: bool,
}

impl Asked {
    fn read(mut args: impl Iterator<Item = String>) -> Self {
        let mut asked = Self::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--exact" => asked.exact = true,
                "--list" => asked.list = true,
                "--skip" => asked.without.extend(args.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => drop(args.next()),
                other if other.starts_with('-') => {}
                _ => asked.names.push(arg),
            }
        }
        asked
    }

    fn for_it(&self, name: &str) -> bool {
        let is = |asked: &String| if self.exact { name == asked } else { name.contains(asked) };
        (self.names.is_empty() || self.names.iter().any(is)) && !self.without.iter().any(is)
    }
}

/// Runs several children side by side, because they mostly wait, and returns the names of the checks that failed.
fn check_all<'a>(wanted: &'a [(String, &Check)]) -> Vec<&'a str> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let at_once = 8 * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|s| {
        for _ in 0..at_once.min(wanted.len()) {
            s.spawn(|| {
                while let Some((name, check)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let checked = catch_unwind(|| {
                        let output = run_child(name);
                        (check.expect)(&Seen::new(&output, begun.elapsed()));
                    });
                    println!("test {name} ... {}", if checked.is_ok() { "ok" } else { "FAILED" });
                    if checked.is_err() {
                        failed.lock().expect("it is held for a push").push(name.as_str());
                    }
                }
            });
        }
    });
    failed.into_inner().expect("it is held for a push")
}
