//! [`deadline`] and [`remaining`]: the time that the running code has left.

use std::time::{Duration, Instant};

use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::pool::context::frame::Frame;
use crate::pool::context::thread::{is_shielded, with_own};
use crate::timer::deadlines::{Owner, deadlines, earlier};

/// Returns the moment at which the running code is cancelled: the earliest deadline of its task, its node and the nodes above.
///
/// `None` where there is none. A deadline that has passed stays, until the cancelled task acknowledges it. A shielded thread
/// and a detached pool's task see no deadline of their starter's, as they see none of its cancels.
///
/// Costs one load while no deadline of the process is set; otherwise a few nanoseconds for each node above, and a short lock
/// for each deadline that is found. Makes no node.
///
/// ```
/// use std::time::{Duration, Instant};
/// use heirloom::Scope;
///
/// let at = Instant::now() + Duration::from_secs(3600);
/// let tenant = Scope::new("tenant 3");
/// tenant.deadline(at);
/// let request = Scope::new_in(&tenant, "request 7");
/// request.deadline(at + Duration::from_secs(5)); // the tenant's is earlier
/// assert_eq!(request.run(heirloom::deadline), Some(at));
/// assert_eq!(heirloom::deadline(), None);
/// ```
#[must_use]
pub fn deadline() -> Option<Instant> {
    if !deadlines().any() {
        return None;
    }
    let pin = current::pin();
    let here = current::nearest_node(&pin).deadline();
    if is_shielded() {
        return here;
    }
    // The code may stand elsewhere, and the task may be no node yet. A piece of a work-stealing pool's task does not know
    // its task, and a teardown is none of the tasks further out.
    let (task, is_teardown) = with_own(|frame| {
        let task = frame.filter(|frame| !frame.steals()).and_then(Frame::task);
        (task.map(|task| task.id()), frame.is_some_and(Frame::is_teardown))
    });
    let own = if is_teardown { None } else { current::own_deadline() };
    earlier(earlier(here, own), task.and_then(|id| deadlines().get(Owner::Task(id))))
}

/// Returns the time until [`deadline`], zero when it has passed; `None` where there is no deadline.
///
/// For calls that take a timeout of their own: `client.timeout(heirloom::remaining().unwrap_or(DEFAULT))`.
///
/// ```
/// use std::time::Duration;
/// use heirloom::Scope;
///
/// let left = Scope::run_timeout("request 7", Duration::from_secs(60), |_| heirloom::remaining());
/// assert!(left.is_some_and(|left| left <= Duration::from_secs(60)));
/// ```
#[must_use]
pub fn remaining() -> Option<Duration> {
    deadline().map(until)
}

fn until(at: Instant) -> Duration {
    at.saturating_duration_since(Instant::now())
}

impl Lineage {
    /// Returns the moment at which code at this node is cancelled: the earliest deadline of the node and those above it.
    ///
    /// As [`deadline`](crate::deadline()), for another node.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.node().deadline()
    }

    /// Returns the time until the node's [`deadline`](Self::deadline), zero when it has passed; `None` without one.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(until)
    }
}
