//! [`BlockedGuard`]: a thread of a cache that waits, so that it does not count against the limit.

#[cfg(feature = "rayon")]
use std::io;
use std::marker::PhantomData;

use crate::sync::os::Arc;
use crate::threads::cache::{Cache, with_here};
#[cfg(feature = "rayon")]
use crate::threads::job::{IdleThread, Job, RESERVED};

/// Counts a thread of a cache as waiting. Not `Send`.
pub(crate) struct BlockedGuard {
    cache: Arc<Cache>,
    here: PhantomData<*const ()>,
}

/// Counts the calling thread as waiting, if it is a cache's and is not counted yet. Dropping the guard ends that.
pub(crate) fn block_here() -> Option<BlockedGuard> {
    Some(BlockedGuard { cache: count_as_waiting()?, here: PhantomData })
}

fn count_as_waiting() -> Option<Arc<Cache>> {
    let cache = with_here(|here| here.works_for.borrow_mut().take()).flatten()?;
    let owed = cache.requests.begin_wait();
    cache.apply_or_refuse(owed);
    Some(cache)
}

/// Takes over the count of the calling thread, which was [reserved](Cache::reserve_idle) and so counted as waiting.
/// Dropping the guard ends that.
#[cfg(feature = "rayon")]
pub(crate) fn reserved_here() -> Option<BlockedGuard> {
    let cache = with_here(|here| here.works_for.borrow_mut().take()).flatten()?;
    Some(BlockedGuard { cache, here: PhantomData })
}

impl Drop for BlockedGuard {
    fn drop(&mut self) {
        self.cache.requests.end_wait();
        with_here(|here| *here.works_for.borrow_mut() = Some(Arc::clone(&self.cache)));
    }
}

/// Counts a thread that is in a wait as working for a while. Not `Send`.
#[cfg(feature = "rayon")]
pub(crate) struct RunningGuard {
    here: PhantomData<*const ()>,
}

/// Counts the calling thread of the cache as working, if it is counted as waiting. Dropping the guard ends that.
#[cfg(feature = "rayon")]
pub(crate) fn run_here_again(cache: &Arc<Cache>) -> Option<RunningGuard> {
    with_here(|here| {
        let mut works_for = here.works_for.borrow_mut();
        works_for.is_none().then(|| *works_for = Some(Arc::clone(cache)))
    })
    .flatten()?;
    cache.requests.end_wait();
    Some(RunningGuard { here: PhantomData })
}

#[cfg(feature = "rayon")]
impl Drop for RunningGuard {
    fn drop(&mut self) {
        // Goes on waiting, as before.
        let _ = count_as_waiting();
    }
}

/// A parked thread that has a job.
#[cfg(feature = "rayon")]
#[must_use = "nothing else wakes it"]
pub(crate) struct ReservedThread(Arc<IdleThread>);

#[cfg(feature = "rayon")]
impl ReservedThread {
    pub(crate) fn wake(self) {
        self.0.wake(RESERVED);
    }
}

#[cfg(feature = "rayon")]
impl Cache {
    /// Gets a thread for a job, past the line and the limit. The thread counts as waiting from now on, and takes the
    /// count over first of all ([`reserved_here`]). It is under way, or parked and to be woken.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn reserve_idle(self: &Arc<Self>, job: Arc<dyn Job>) -> io::Result<Option<ReservedThread>> {
        // First of all, because the thread may end the wait as soon as it has the job.
        self.requests.count_wait();
        let job = match self.slot.offer(job) {
            Ok(()) => {
                let owed = self.requests.owed();
                self.apply_or_refuse(owed);
                return Ok(None);
            }
            Err(job) => job,
        };
        let (idle, owed) = self.requests.reserve_idle();
        self.apply_or_refuse(owed);
        if let Some(idle_thread) = idle {
            *idle_thread.job.lock() = Some(job);
            return Ok(Some(ReservedThread(idle_thread)));
        }
        self.spawn(Some(job)).map(|()| None).inspect_err(|_| {
            self.requests.end_wait();
            let owed = self.requests.unreserve();
            self.apply_or_refuse(owed);
        })
    }

    /// Counts one more thread as waiting, whichever it is. The caller then pays the line what is
    /// [owed](Self::apply_requests), holding no lock.
    pub(crate) fn one_more_blocked(&self) {
        self.requests.count_wait();
    }

    /// Undoes [`one_more_blocked`](Self::one_more_blocked).
    pub(crate) fn one_less_blocked(&self) {
        self.requests.end_wait();
    }

    /// Starts or wakes the thread that the line is owed.
    pub(crate) fn apply_requests(self: &Arc<Self>) {
        let owed = self.requests.owed();
        self.apply_or_refuse(owed);
    }

    /// Jobs wait in line for a thread.
    pub(crate) fn is_wanted(&self) -> bool {
        self.requests.is_wanted()
    }
}
