//! The calling thread's role in a tokio runtime.
//!
//! A runtime's context says little: `spawn_blocking` threads have it, and so has code with an `EnterGuard`, and both
//! may block. Tokio's cooperative budget marks a thread that runs a future: it is limited while a future is
//! polled, and lifted in `spawn_blocking` and `block_in_place`.
//!
//! A future in `tokio::task::unconstrained` has lifted it too, and code that is dropped outside of a poll has none. For
//! these two tokio has no query, only a refusal: its own `block_on` panics there. That panic is caught, but panic hooks
//! see it, so the budget is checked first.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::wait::graph::{Obligor, Worker};

#[cfg(feature = "tokio")]
pub(crate) use self::with_tokio::{id, runs_a_future};

/// Returns the runtime's worker that the calling thread is, if it runs a future as one.
///
/// The runtime cannot use that worker before the thread goes on. Not found where tokio's budget is lifted. Costs about
/// 1 µs on a worker, and a few nanoseconds on any other thread.
#[inline]
pub(crate) fn worker() -> Option<Worker> {
    #[cfg(feature = "tokio")]
    return with_tokio::worker();
    #[cfg(not(feature = "tokio"))]
    None
}

/// Returns whether code on the calling thread finds a runtime: its workers, its blocking threads, and entered threads do.
#[inline]
pub(crate) fn is_in_context() -> bool {
    #[cfg(feature = "tokio")]
    return ::tokio::runtime::Handle::try_current().is_ok();
    #[cfg(not(feature = "tokio"))]
    false
}

/// Returns the debtor for the future that the calling thread polls: the runtime's workers, where the thread is one.
pub(crate) fn obligor() -> Obligor {
    #[cfg(feature = "tokio")]
    if let Some(obligor) = with_tokio::obligor() {
        return obligor;
    }
    Obligor::Future
}

/// Polls a future for code that blocks its thread meanwhile.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    // Inside a runtime's future, tokio's budget covers one poll of that future, in which this one may be polled many
    // times: a resource without budget left would wake it again and again.
    #[cfg(feature = "tokio")]
    if ::tokio::runtime::Handle::try_current().is_ok() {
        return std::pin::pin!(::tokio::task::coop::unconstrained(future)).poll(cx);
    }
    future.poll(cx)
}

/// The tokio runtime of some code, for a call of it elsewhere: code that it calls may need a runtime.
#[cfg(feature = "tower")]
pub(crate) struct RunsIn {
    #[cfg(feature = "tokio")]
    runtime: Option<::tokio::runtime::Handle>,
}

#[cfg(feature = "tower")]
impl RunsIn {
    pub(crate) fn here() -> Self {
        Self {
            #[cfg(feature = "tokio")]
            runtime: ::tokio::runtime::Handle::try_current().ok(),
        }
    }

    pub(crate) fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tokio")]
        let _runtime = self.runtime.as_ref().map(::tokio::runtime::Handle::enter);
        f()
    }
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::task::{Context, Poll, Waker};

    use ::tokio::runtime::{self, Handle};
    use ::tokio::task::coop;

    use crate::sync::unwind::swallow;
    use crate::wait::graph::{Obligor, Worker};

    /// More than tokio's budget of a task for one poll, which is 128.
    const MORE_THAN_A_BUDGET: u32 = 1024;

    /// A runtime's id as a number.
    pub(crate) fn id(runtime: &Handle) -> u64 {
        let id = runtime.id();
        id.to_string().parse().unwrap_or_else(|_| {
            let mut hasher = DefaultHasher::new();
            id.hash(&mut hasher);
            hasher.finish()
        })
    }

    #[inline]
    pub(crate) fn worker() -> Option<Worker> {
        // Most threads are no worker.
        runtime::worker_index().and_then(polling)
    }

    pub(crate) fn obligor() -> Option<Obligor> {
        let Worker { runtime, .. } = worker()?;
        let workers = Handle::try_current().ok()?.metrics().num_workers();
        Some(Obligor::Runtime { id: runtime, workers })
    }

    #[cold]
    fn polling(index: usize) -> Option<Worker> {
        let here = Handle::try_current().ok()?;
        is_limited().then(|| Worker { runtime: id(&here), index })
    }

    /// Returns whether the calling thread runs a future for a runtime, and so must not block.
    pub(crate) fn runs_a_future() -> bool {
        // Most threads are none of tokio's.
        let Ok(here) = Handle::try_current() else { return false };
        is_limited() || swallow(|| here.block_on(async {})).is_none()
    }

    /// Returns whether tokio's budget is limited, as it is while a future is polled. Leaves the budget as it was.
    fn is_limited() -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        // Restores the budget when dropped, however much is taken after it.
        let Poll::Ready(_restore) = coop::poll_proceed(cx) else { return true };
        (0..MORE_THAN_A_BUDGET).any(|_| match coop::poll_proceed(cx) {
            Poll::Ready(taken) => {
                taken.made_progress();
                false
            }
            Poll::Pending => true,
        })
    }
}
