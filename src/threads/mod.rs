//! The process-wide cache of threads that leased pools borrow from.
//!
//! ```
//! // No more than 64 threads at once, idle ones end after a second.
//! heirloom::threads::set_limit(64);
//! heirloom::threads::set_keep_alive(std::time::Duration::from_secs(1));
//! ```

pub(crate) mod aside;
pub(crate) mod blocked;
pub(crate) mod cache;
pub(crate) mod job;
pub(crate) mod requests;
mod roster;
// The targets for which the manifest brings `corosensei`.
#[cfg_attr(
    not(all(
        feature = "stacker",
        not(miri),
        any(
            all(
                any(target_os = "android", target_os = "freebsd", target_os = "linux", target_vendor = "apple"),
                any(target_arch = "aarch64", target_arch = "x86_64")
            ),
            all(windows, target_arch = "x86_64")
        )
    )),
    path = "fixed.rs"
)]
mod segment;
pub(crate) mod settings;
pub(crate) mod show;
pub(crate) mod spin;
pub(crate) mod stack;
mod stats;

use std::time::Duration;

use crate::sync::os::{Arc, LazyLock};
use crate::threads::cache::Cache;
use crate::threads::settings::Settings;

pub use crate::threads::show::show_tasks;
pub use crate::threads::stats::ThreadStats;

/// The cache's limit of threads at first.
const DEFAULT_LIMIT: usize = 512;
/// The keep-alive of idle threads at first.
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(10);

static LEASED: LazyLock<Arc<Cache>> = LazyLock::new(|| {
    Cache::new(Settings {
        prefix: "heirloom".into(),
        stack_size: None,
        keep_alive: Some(DEFAULT_KEEP_ALIVE),
        limit: DEFAULT_LIMIT,
        strict: false,
        private: false,
        policy: None,
        at_end: None,
    })
});

/// The cache itself, for the engine.
pub(crate) fn leased() -> &'static Arc<Cache> {
    &LEASED
}

/// Returns the maximum number of cache threads. 512 at first.
///
/// Not counted are threads blocked in a heirloom wait, and threads of a work-stealing pool without a task, or with a
/// task of which a piece is in such a wait.
#[must_use]
pub fn limit() -> usize {
    LEASED.limit()
}

/// Changes [`limit`]; 0 counts as 1. Threads above a lowered limit end when they next become idle.
///
/// At the limit, pools wait in line for a thread to become idle; a log line at WARN says so once.
pub fn set_limit(threads: usize) {
    LEASED.set_limit(threads.max(1));
}

/// Returns how long an idle thread stays before it ends. 10 s at first.
#[must_use]
pub fn keep_alive() -> Duration {
    LEASED.keep_alive().unwrap_or(Duration::MAX)
}

/// Changes [`keep_alive`], for threads that become idle from now on.
pub fn set_keep_alive(idle: Duration) {
    LEASED.set_keep_alive(idle);
}

/// How many bytes of stack one thread may have beside its own, for tasks that run inside one another. 8 GiB at first,
/// 256 MiB where pointers have 32 bits.
///
/// Tasks run inside one another where a join, a poll or the end of a borrowing scope runs a task in place, and where
/// [`run`](crate::PoolManager::run), [`install`](crate::PoolManager::install) or a join that lends its thread runs one
/// on its caller's thread. Such a task finds at least half of the stack that a thread of its pool has
/// ([`stack_size`](crate::PoolConfig::stack_size); 1 MiB unless it says otherwise). Where the thread has less left, the
/// task runs on a new segment of stack. A segment is address space: it costs the memory that is used, 2 to 4 KiB for
/// each level beside what the tasks' own code uses, and it is given back when the task has ended.
///
/// A task that would exceed the limit, or for which the system has no memory, does not start; it ends as
/// [too deep](crate::ErrorKind::TooDeep). So recursion that is driven by input ends with an error, and not with the
/// process. Without the feature `stacker`, under Miri, and on targets other than those in the README's table, no
/// thread has more stack than its own: about 250 tasks run inside one another then, and the next one is too deep.
///
/// The limit does not bound one task's own code, as on any thread: its own recursion can overflow the stack.
#[must_use]
pub fn stack_limit() -> usize {
    stack::limit()
}

/// Changes [`stack_limit`], from the next segment on. With 0 no thread gets any.
///
/// ```
/// use heirloom::{Error, ErrorKind, PoolConfig, PoolManager, Scope};
///
/// fn nested(pool: &PoolManager, levels: u32) -> Result<u32, Error> {
///     if levels == 0 {
///         return Ok(0);
///     }
///     let inner = pool.clone();
///     Ok(1 + pool.submit(move || nested(&inner, levels - 1)).unwrap().join()??)
/// }
///
/// heirloom::threads::set_stack_limit(16 << 20);
/// let scope = Scope::new("doc");
/// let pool = scope.create("work");
/// pool.start(PoolConfig::leased(1))?;
/// assert_eq!(pool.run(|| nested(&pool, 100))??, 100);
/// let error = pool.run(|| nested(&pool, 1_000_000))?.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TooDeep);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn set_stack_limit(bytes: usize) {
    stack::set_limit(bytes);
}

/// Returns the cache's figures at this moment. A look takes one short lock.
///
/// ```
/// use heirloom::{PoolConfig, threads};
///
/// let pool = heirloom::create("work");
/// pool.start(PoolConfig::leased(4))?;
/// let before = threads::stats(); // starting it borrowed nothing
/// pool.submit(|| ())?.join()?;
/// let after = threads::stats();
/// assert_eq!((before.live, after.live <= threads::limit()), (0, true));
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use]
pub fn stats() -> ThreadStats {
    LEASED.stats()
}
