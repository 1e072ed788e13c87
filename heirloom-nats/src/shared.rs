//! [`Shared`]: what each thread may read of the connection without a message to the driver.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The state of the connection, as any thread reads it.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The servers, without credentials.
    pub(crate) servers: String,
    pub(crate) app: String,
    pub(crate) lease: Duration,
    ready: AtomicBool,
    max_payload: AtomicUsize,
    /// The process that has the driver. A fork's child has none.
    process: u32,
}

/// The bytes that a job's headers may have beside its body.
const HEADERS: usize = 8192;

impl Shared {
    pub(crate) fn new(servers: String, app: String, lease: Duration, max_payload: usize) -> Self {
        Self {
            servers,
            app,
            lease,
            ready: AtomicBool::new(false),
            max_payload: AtomicUsize::new(max_payload),
            process: std::process::id(),
        }
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.is_forked()
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// The most bytes of a message with its headers.
    pub(crate) fn max_payload(&self) -> usize {
        self.max_payload.load(Ordering::Relaxed)
    }

    pub(crate) fn set_max_payload(&self, bytes: usize) {
        self.max_payload.store(bytes, Ordering::Relaxed);
    }

    /// The most bytes of a message without its headers.
    pub(crate) fn most_bytes(&self) -> usize {
        let all = self.max_payload();
        all.saturating_sub(HEADERS).max(all / 2)
    }
}
