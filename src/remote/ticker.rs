//! A thread that calls one object at the times that it names: leases, signs, and tries again.

use std::time::Duration;

use crate::sync::os::{Arc, Weak};

/// Work that is due from time to time.
pub(crate) trait Ticks: Send + Sync + 'static {
    /// Does what is due, and returns the time until the next call.
    fn tick(self: Arc<Self>) -> Duration;
}

/// Calls the object until it is dropped. Returns false where the system refuses a thread.
pub(crate) fn start(of: Weak<dyn Ticks>) -> bool {
    let thread = std::thread::Builder::new().name("heirloom-remote".into());
    let run = move || {
        while let Some(next) = of.upgrade().map(Ticks::tick) {
            std::thread::sleep(next);
        }
    };
    thread.spawn(run).is_ok()
}
