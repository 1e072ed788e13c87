//! [`cancel_all`]: many tasks, cancelled together.

use crate::pool::handle::task::TaskHandle;
use crate::pool::run::evict::Evicted;
use crate::sync::fork;

/// Cancels all tasks. Queued tasks have their outcome, and running tasks their request, before the first closure is dropped.
/// Nothing in a fork's child: the tasks are the parent's.
pub(super) fn cancel_all<'h, T: 'h, H: Iterator<Item = &'h TaskHandle<T>>>(handles: impl Fn() -> H) {
    if fork::is_fork() {
        return;
    }
    let mut evicted = Evicted::new();
    handles().for_each(|handle| handle.awaited.evict(&mut evicted));
    evicted.end(&mut || {
        handles().for_each(|handle| {
            handle.cancel();
        });
    });
}
