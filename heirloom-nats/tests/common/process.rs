//! [`Process`]: this test program, started again as a worker or an origin. [`Log`]: a file in which all of them write.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::common::LONG;
use crate::common::server::Server;

/// The variable that tells a child its part, the part's argument, the server's address and the lease in milliseconds.
const PART: &str = "HEIRLOOM_NATS_TEST_PART";

/// A worker or an origin as a process. A drop kills it.
pub struct Process(Child);

impl Process {
    /// Starts this program again, in which the test `a_child_plays_its_part` plays the part.
    #[must_use]
    pub fn start(server: &Server, lease: Duration, part: &str, argument: &str) -> Self {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["a_child_plays_its_part", "--exact", "--nocapture"])
            .env(PART, format!("{part} {argument} {} {}", server.url(), lease.as_millis()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("a process"))
    }

    /// Returns the part of this process, its argument, the server's address and the lease. `None` in a process that is no child.
    #[must_use]
    pub fn part() -> Option<([String; 3], Duration)> {
        let part = std::env::var(PART).ok()?;
        let mut words: Vec<String> = part.split(' ').map(String::from).collect();
        let lease = words.pop().and_then(|lease| lease.parse().ok()).map(Duration::from_millis).expect("a lease");
        Some((words.try_into().expect("a part, its argument and a server"), lease))
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Kills the process with SIGKILL.
    pub fn kill(mut self) {
        self.0.kill().expect("kill -9");
        self.0.wait().expect("it has ended");
    }

    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.0.id()).expect("a pid");
        // SAFETY: the process is a child of this one that was not waited for, so the id is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn park_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// A file in which the jobs of all processes write their begins and ends.
#[derive(Serialize, Deserialize, Clone)]
pub struct Log(PathBuf);

/// One line of a [`Log`].
pub struct Line {
    pub what: String,
    pub number: usize,
    pub attempt: u32,
    pub micros: u128,
}

impl Log {
    /// The log of a server's test.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        Self(server.folder().join("jobs.log"))
    }

    /// Returns the log of that path.
    #[must_use]
    pub fn at(path: &str) -> Self {
        Self(path.into())
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Adds a line, by one `write` which no other process's line divides.
    pub fn note(&self, what: &str, number: usize, attempt: u32) {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
        let line = format!("{what} {number} {attempt} {micros}\n");
        let mut file = OpenOptions::new().append(true).create(true).open(&self.0).expect("the log of jobs");
        file.write_all(line.as_bytes()).expect("the log of jobs");
    }

    /// Notes the begin of a job, naps in steps that a cancel ends, and notes the end. Returns whether the nap was whole.
    pub fn nap(&self, number: usize, millis: u64) -> bool {
        let attempt = heirloom::current().origin().map_or(0, |origin| origin.attempt());
        self.note("begin", number, attempt);
        let whole = heirloom::sleep(Duration::from_millis(millis)).is_ok();
        self.note(if whole { "end" } else { "cancel" }, number, attempt);
        whole
    }

    /// Calls with each line. A long run has millions, and keeps none.
    pub fn each_line(&self, mut take: impl FnMut(Line)) {
        // The first job makes the file.
        let Ok(file) = File::open(&self.0) else { return };
        for line in BufReader::new(file).lines() {
            let line = line.expect("the log of jobs");
            let mut words = line.split(' ');
            let mut word = || words.next().expect("four words");
            take(Line {
                what: word().into(),
                number: word().parse().expect("a number"),
                attempt: word().parse().expect("a number"),
                micros: word().parse().expect("a number"),
            });
        }
    }

    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        self.each_line(|line| lines.push(line));
        lines
    }

    /// Counts the lines of one kind.
    #[must_use]
    pub fn count(&self, what: &str) -> usize {
        self.lines().iter().filter(|line| line.what == what).count()
    }
}

/// Waits until this holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < until, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
