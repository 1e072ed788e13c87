//! The settings of the end of the process: its timeout, its grace and its policy.

use std::time::Duration;

use crate::sync::os::{AtomicBool, AtomicU64, Ordering};

/// The time that the end of the process waits for joining pools, by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that it waits for cancelled tasks, by default.
const DEFAULT_GRACE: Duration = Duration::from_secs(1);

/// In milliseconds; `u64::MAX` is for ever.
pub(super) static TIMEOUT: AtomicU64 = AtomicU64::new(DEFAULT_TIMEOUT.as_millis() as u64);
pub(super) static GRACE: AtomicU64 = AtomicU64::new(DEFAULT_GRACE.as_millis() as u64);
pub(super) static ABANDON: AtomicBool = AtomicBool::new(false);

/// The end of joining pools when the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitPolicy {
    /// They finish their accepted tasks, within [`exit_timeout`]. The default.
    Drain,
    /// They are abandoned, as daemon pools are.
    Abandon,
}

/// Sets how long the end of the process waits for joining pools: 30 s unless set; `None` waits for ever.
///
/// ```
/// let _exit = heirloom::exit_guard();
/// heirloom::exit_timeout(Some(std::time::Duration::from_secs(5)));
/// ```
pub fn exit_timeout(d: Option<Duration>) {
    TIMEOUT.store(d.map_or(u64::MAX, millis), Ordering::Release);
}

/// Sets how long the end of the process waits for cancelled tasks: 1 s unless set.
///
/// A task is cancelled by its handle, its pool, its scope or any node above it ([`checkpoint`](crate::checkpoint) shows
/// it the request). Its grace begins with the end of the process, or with the request if that comes later. A task that
/// is not cancelled is waited for until [`exit_timeout`], which bounds the grace too. A task that acknowledged the
/// request ([`acknowledge_cancel`](crate::acknowledge_cancel)) no longer counts as cancelled. `Duration::ZERO` waits
/// for no cancelled task.
///
/// ```
/// let _exit = heirloom::exit_guard();
/// heirloom::exit_grace(std::time::Duration::from_millis(200)); // the second Ctrl-C is answered that soon
/// ```
pub fn exit_grace(d: Duration) {
    GRACE.store(millis(d), Ordering::Release);
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// Sets the end of joining pools when the process ends.
///
/// For a single pool that may be abandoned there is [`PoolConfig::daemon`](crate::PoolConfig::daemon).
///
/// ```
/// use heirloom::ExitPolicy;
///
/// heirloom::on_exit(ExitPolicy::Abandon); // the process ends at once, with tasks left in queues
/// ```
pub fn on_exit(policy: ExitPolicy) {
    ABANDON.store(policy == ExitPolicy::Abandon, Ordering::Release);
}
