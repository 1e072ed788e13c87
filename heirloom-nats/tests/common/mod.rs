//! Helpers of the tests.

pub mod end;
#[cfg(unix)]
pub mod process;
pub mod proxy;
pub mod server;

use std::time::{Duration, Instant};

/// The time in which all that a test waits for has to happen.
pub const LONG: Duration = Duration::from_secs(60);

/// Returns the outcome of a call that takes no longer than this, in one of a few tries: a busy machine may hold some of them up.
pub fn soon<T>(within: Duration, mut call: impl FnMut() -> T) -> T {
    let timed = || {
        let start = Instant::now();
        (call(), start.elapsed())
    };
    let mut tries = std::iter::repeat_with(timed).take(8);
    tries.find(|(_, took)| *took <= within).expect("one of the calls ends soon").0
}
