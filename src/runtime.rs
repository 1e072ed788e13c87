//! What the calling thread is to a tokio runtime.
//!
//! Being in a runtime's context says little: `spawn_blocking` threads are, and so is whoever holds an `EnterGuard`, and
//! these may block. What tells apart a thread that runs a future is tokio's cooperative budget, which is limited while a
//! future is polled, and is lifted in `spawn_blocking` and `block_in_place`.
//!
//! A future in `tokio::task::unconstrained` has lifted it too, and what is dropped outside of a poll has none. For
//! these tokio has no question, only a refusal: its own `block_on` panics there. That panic is caught, but whatever is
//! told of panics is told of it, so the budget is asked first.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::wait::graph::{Obligor, Worker};

#[cfg(feature = "tokio")]
pub(crate) use self::with_tokio::{id, runs_a_future};

/// Which worker of a runtime the calling thread is, if it runs a future as one: the runtime can do nothing with that
/// worker before the thread goes on. Not seen where tokio's budget is lifted. Costs a few nanoseconds on any other
/// thread, and about 1 µs there.
#[inline]
pub(crate) fn worker() -> Option<Worker> {
    #[cfg(feature = "tokio")]
    return with_tokio::worker();
    #[cfg(not(feature = "tokio"))]
    None
}

/// Who owes what a future owes that the calling thread polls: the runtime's workers, where the thread is one of them.
pub(crate) fn obligor() -> Obligor {
    #[cfg(feature = "tokio")]
    if let Some(obligor) = with_tokio::obligor() {
        return obligor;
    }
    Obligor::Future
}

/// Polls a future for code that blocks its thread meanwhile.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    // In a future of a runtime, tokio's budget is for one poll of that, in which this may be polled many times: what has
    // none left would wake it again and again.
    #[cfg(feature = "tokio")]
    if ::tokio::runtime::Handle::try_current().is_ok() {
        return std::pin::pin!(::tokio::task::coop::unconstrained(future)).poll(cx);
    }
    future.poll(cx)
}

/// The tokio runtime that some code runs in, for code that is to run elsewhere: what it calls may ask for a runtime.
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

    /// More than tokio grants a task for one poll, which is 128.
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
        // Mostly it is none.
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

    /// The calling thread runs a future for a runtime, and so must not block.
    pub(crate) fn runs_a_future() -> bool {
        // Mostly it is none of tokio's threads.
        let Ok(here) = Handle::try_current() else { return false };
        is_limited() || swallow(|| here.block_on(async {})).is_none()
    }

    /// tokio's budget is limited, as it is while a future is polled. It is left as it was.
    fn is_limited() -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        // Restores the budget when dropped, whatever is taken after it.
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
