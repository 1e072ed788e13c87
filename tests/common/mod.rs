//! What the tests share: a bound on every test, and children that are this same program.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

pub mod parts;

use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longer than any test takes on a busy machine; a test that reaches it hangs.
pub const BOUND: Duration = Duration::from_secs(60);

/// Runs a test on a thread of its own, and fails if it does not end. The thread is one that nobody told heirloom about,
/// so each test stands at a fresh place below the process.
pub fn bounded(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = ended.send(());
    });
    match end.recv_timeout(BOUND) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        // Ended, or panicked: the join says which.
        _ => {
            if let Err(payload) = thread.join() {
                std::panic::resume_unwind(payload);
            }
        }
    }
}

/// Waits for something that another thread makes true and that has no event to wait for.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + BOUND / 2;
    while !holds() {
        assert!(Instant::now() < until, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// In a child process this is the name of the part it is to play; see [`run_child`].
pub fn child_part() -> Option<String> {
    std::env::var("HEIRLOOM_TEST_CHILD").ok()
}

/// Runs this test program again as a child process that plays `part` (a file with `harness = false` looks at
/// [`child_part`] first), and fails if it does not end.
pub fn run_child(part: &str) -> Output {
    let mut child = Command::new(std::env::current_exe().expect("the test knows its own path"))
        .env("HEIRLOOM_TEST_CHILD", part)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child process starts");
    let until = Instant::now() + BOUND;
    while child.try_wait().expect("a child can be waited for").is_none() {
        if Instant::now() > until {
            let _ = child.kill();
            let output = child.wait_with_output().expect("a killed child ends");
            panic!("the child {part} hangs: {output:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("an ended child has output")
}
