//! What the tests share: a bound on every test, and children that are this same program.
#![allow(dead_code, unreachable_pub, reason = "each program uses its own part")]

pub mod pools;

use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use heirloom::{Busy, Error, ManagerNotFound, NotBound};

/// Longer than any test takes on a busy machine; a test that reaches it hangs.
pub const BOUND: Duration = Duration::from_secs(180);

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

/// Runs a test in a process of its own, bounded: this same program, started again for this one test. For a test of what
/// belongs to the process: its threads, its memory, its subscriber. One after the other, because some measure. Called
/// on the test's own thread, whose name says which test that is.
pub fn alone(test: impl FnOnce() + Send + 'static) {
    static TURN: Mutex<()> = Mutex::new(());
    const ENDED: &str = "the test that runs alone has ended";
    if child_part().is_some() {
        bounded(test);
        println!("{ENDED}");
        return;
    }
    let thread = std::thread::current();
    let name = thread.name().expect("the harness names the thread of a test");
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let output = run(this_program(name).args(["--exact", name, "--nocapture"]), name);
    let said = String::from_utf8_lossy(&output.stdout);
    let ended = output.status.success() && said.contains(ENDED);
    assert!(ended, "{name}, alone: {}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// In a child process this is the name of the part it is to play; see [`run_child`] and [`alone`].
pub fn child_part() -> Option<String> {
    std::env::var("HEIRLOOM_TEST_CHILD").ok()
}

/// Runs this test program again as a child process that plays `part` (a program with `harness = false` looks at
/// [`child_part`] first), and fails if it does not end.
pub fn run_child(part: &str) -> Output {
    run(&mut this_program(part), part)
}

fn this_program(part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test knows its own path"));
    command.env("HEIRLOOM_TEST_CHILD", part).env("RUST_BACKTRACE", "0");
    command
}

fn run(command: &mut Command, part: &str) -> Output {
    let (stdin, stdout, stderr) = (Stdio::null(), Stdio::piped(), Stdio::piped());
    let mut child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().expect("a child process starts");
    // Read as they come: a full pipe would hold the child up.
    let stdout = read_all(child.stdout.take().expect("it is piped"));
    let stderr = read_all(child.stderr.take().expect("it is piped"));
    let until = Instant::now() + BOUND;
    let mut hangs = false;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if Instant::now() > until && !hangs {
            hangs = true;
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().expect("it reads"));
    let output = Output { status, stdout, stderr };
    assert!(!hangs, "the child {part} hangs: {output:?}");
    output
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).expect("a pipe can be read");
        all
    })
}

/// The details of a gate that was not entered.
pub fn busy_gate(error: &Error) -> &Busy {
    error.as_busy().unwrap_or_else(|| panic!("{error}"))
}

/// The details of a look-up of a manager that found none.
pub fn not_found(error: &Error) -> &ManagerNotFound {
    error.as_manager_not_found().unwrap_or_else(|| panic!("{error}"))
}

/// The details of a look-up of a value that found none.
pub fn not_bound(error: &Error) -> &NotBound {
    error.as_not_bound().unwrap_or_else(|| panic!("{error}"))
}
