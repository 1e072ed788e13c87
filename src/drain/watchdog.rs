//! [`arm`]: ends the process when a drain is late.

use std::time::{Duration, Instant};

use crate::sync::stderr;
use crate::sync::unwind::swallow;

/// The time that `main` has for its own end, from the deadline on.
const MARGIN: Duration = Duration::from_secs(1);
const KILLED: &str = "heirloom: the process has not ended a second after the deadline of its drain, and is killed\n";

/// Ends the process with that code when it lives a second after `time`.
pub(super) fn arm(time: Duration, exit_code: i32) {
    let Some(at) = Instant::now().checked_add(time).and_then(|at| at.checked_add(MARGIN)) else { return };
    let watch = move || {
        while let Some(left) = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::sleep(left);
        }
        stderr::write(KILLED);
        kill(exit_code);
    };
    let thread = std::thread::Builder::new().name("heirloom-drain".to_owned());
    if let Err(error) = thread.spawn(watch) {
        swallow(|| tracing::warn!(target: "heirloom", %error, "a drain cannot watch its deadline: no thread"));
    }
}

/// Ends the process without the handlers of its exit, any of which may be what hangs.
#[cfg(unix)]
fn kill(exit_code: i32) -> ! {
    // SAFETY: the call takes a number and never returns.
    unsafe { libc::_exit(exit_code) }
}

#[cfg(not(unix))]
fn kill(exit_code: i32) -> ! {
    std::process::exit(exit_code)
}
