//! [`name_task`]: a name for the running task, in reports.

use std::borrow::Cow;

use crate::pool::context::thread::with_own;

/// Names the running task, for the reports of stops and shutdowns ([`RunningTask::name`](crate::RunningTask::name)).
///
/// A report names each task that still runs; an id and a task type do not say which page or which file it works on. A
/// later name replaces an earlier one. Outside of a task, and on a work-stealing pool's threads, where the code may be a
/// piece of another task, nothing is named: as [`task_id`](crate::task_id).
///
/// Costs the lock of the pool's queue, and a look at each running task of the pool. Tasks without a name pay nothing.
///
/// ```
/// use std::{sync::mpsc, time::Duration};
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let pages = scope.create("pages");
/// pages.start(PoolConfig::leased(1))?;
/// let (begins, begun) = mpsc::channel();
/// let task = pages.submit(move || {
///     heirloom::name_task("page /index");
///     begins.send(()).unwrap();
///     heirloom::sleep(Duration::from_secs(3600))
/// })?;
/// begun.recv().unwrap();
/// let report = pages.stop_timeout(Duration::ZERO)?;
/// assert_eq!(report.still_running[0].name.as_deref(), Some("page /index"));
/// # task.cancel();
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn name_task(name: impl Into<Cow<'static, str>>) {
    // The conversion is user code, which may submit: it runs before the lock.
    let name = name.into();
    with_own(|frame| {
        let named = frame.filter(|frame| !frame.steals()).and_then(|frame| Some((frame.pool(), frame.task()?.id())));
        if let Some((pool, id)) = named {
            pool.queue.with_extra(|stats| stats.set_name(id, name));
        }
    });
}
