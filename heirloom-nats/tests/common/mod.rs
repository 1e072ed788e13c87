//! Helpers of the tests.

pub mod end;
#[cfg(unix)]
pub mod process;
pub mod proxy;
pub mod server;

use std::time::Duration;

/// The time in which all that a test waits for has to happen.
pub const LONG: Duration = Duration::from_secs(20);
