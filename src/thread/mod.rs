//! Threads as children of the code that started them.
//!
//! The functions here are `std::thread`'s, with the errors of this crate and two differences. The new thread is a child of the node that started it:
//! it finds the managers and values of that node, is cancelled with it, and takes along a `tracing` subscriber that is
//! the default of the starting code alone. (A thread of plain `std::thread` stands directly below the process.) Its
//! handle can cancel it, and a join releases the permit of the joining task.

mod builder;
mod handle;
mod scope;

pub use self::builder::Builder;
pub use self::handle::{JoinHandle, ScopedJoinHandle};
pub use self::scope::{Scope, scope};
use crate::error::Error;
use crate::lineage::current;

/// Starts a thread below the current node, as `std::thread::spawn`.
///
/// A thread that serves the whole process, such as one that a static starts on first use, is started
/// [detached](Builder::detached): otherwise it is cancelled with the request that happened to
/// come first.
///
/// ```
/// let request = heirloom::Scope::new("request");
/// let seen = request.run(|| heirloom::thread::spawn(|| heirloom::current().parent()))?;
/// assert_eq!(seen.join()?.as_ref(), Some(&*request));
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// # Errors
/// As [`Builder::spawn`], where `std::thread::spawn` panics.
pub fn spawn<F, T>(f: F) -> Result<JoinHandle<T>, Error>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f)
}

/// Marks the calling thread as shared by independent code, such as the jobs of a foreign pool.
///
/// From now on, code of this thread that was given no node stands at the process and owns nothing
/// ([`current`](crate::current()) has the rule).
///
/// Call it once on each thread of a runtime or of a foreign pool, in its hook for a thread's start: rayon's
/// `start_handler`, the `after_start` of `futures`' `ThreadPool`, tokio's `on_thread_start` where the feature `tokio`
/// is off. Without it, whatever one job binds or creates "here" is found by the next job that this thread runs. With
/// the feature `tokio`, tokio's threads need no mark.
///
/// A second call changes nothing, and no call takes the mark off. Costs a few nanoseconds. On particular threads:
///
/// - The *main thread* stands at the process as before, and owns nothing there any more: `create` and `bind` are
///   refused on it too. `Lineage::process().create(…)` says that the process is meant.
/// - The code of a thread that *is a node already*, by an earlier [`current`](crate::current()) or because [`spawn`]
///   started it, leaves that node. The node lives as long as the thread does, and with it the managers and values that
///   were made there. A cancel of the node or of the thread's handle no longer reaches the thread's code; code that is
///   to see it keeps a `heirloom::current()` from before the call.
/// - A *task* that calls it keeps its node, and so does every task that the thread runs later: a task has a node of its
///   own wherever it runs. Code at an entered node keeps that one too, whether it entered before or after the call.
///
/// ```
/// use heirloom::{Heirloom, Lineage, PoolConfig, Scope, thread};
///
/// static JOB: Heirloom<u32> = Heirloom::new("job");
///
/// let pool = rayon::ThreadPoolBuilder::new().num_threads(1).start_handler(|_| thread::mark_shared()).build()?;
/// assert!(pool.install(|| JOB.bind(7_u32)).is_err()); // or the next job would find it
/// let scope = Scope::new("job 7");
/// assert!(pool.install(|| scope.run(|| JOB.bind(7_u32))).is_ok());
/// assert!(pool.install(|| heirloom::create("work").start(PoolConfig::leased(1))).is_err());
/// assert_eq!(pool.install(heirloom::current), Lineage::process());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn mark_shared() {
    current::mark_shared();
}
