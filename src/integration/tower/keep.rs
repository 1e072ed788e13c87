//! [`Keep`]: a response's body and its open scope, shared with a time limit if there is one.
//!
//! A server does not poll a body whose client reads nothing: the socket is full, and there is nowhere to put a frame. So a
//! body with a time limit is shared with the limit ([`Lender`]). At the limit the timer wakes a poller that waits for a
//! frame, and the poller ends the body. A body without such a poller is taken from it, and ended on a thread of the
//! process-wide cache, where a drop may block.
//!
//! A body whose scope is cancelled is left to a poller that comes for it, and taken from a poller that does not come.

use std::io;
use std::pin::Pin;
use std::task::Waker;

use http_body::{Body, SizeHint};

use crate::lineage::future::InLineage;
use crate::runtime::RunsIn;
use crate::sync::os::Arc;
use crate::sync::unwind::swallow;
use crate::threads;
use crate::threads::job::{Job, WorkerHandle};

use super::lend::{Absent, Lender, Lent, Look};
use super::open::Held;

pin_project_lite::pin_project! {
    /// A response's body, by its owners.
    #[project = KeepProj]
    pub enum Keep<B> {
        /// Its poller alone has it.
        Own { #[pin] body: InLineage<B>, held: Option<Held> },
        /// Its time limit may take it.
        Shared { kept: Arc<Kept<B>> },
        /// Moved out, while the one becomes the other.
        Nowhere,
    }
}

/// A shared body.
pub struct Kept<B> {
    lender: Lender<Whole<B>>,
    /// The runtime in whose context the body is dropped.
    context: RunsIn,
}

/// A body and its open scope.
pub(super) struct Whole<B> {
    body: Pin<Box<InLineage<B>>>,
    held: Option<Held>,
}

/// A body and its open scope, while the poller uses them.
pub(super) enum Use<'a, B> {
    Own(Pin<&'a mut InLineage<B>>, &'a mut Option<Held>),
    Lent(Lent<'a, Whole<B>>),
}

/// Why a body has to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its time is up.
    Late,
    /// Its scope was cancelled.
    Cancelled,
}

/// A body that is not polled.
pub(super) trait EndsUnpolled: Send + Sync {
    /// Ends the body, unless its poller does. Returns false when the body is gone, true when the caller has to look again.
    fn end_unpolled(self: Arc<Self>, why: Why) -> bool;
}

impl<B> Keep<B> {
    pub(super) fn own(body: InLineage<B>, held: Option<Held>) -> Self {
        Self::Own { body, held }
    }

    pub(super) fn shared(body: InLineage<B>, held: Held) -> (Self, Arc<Kept<B>>) {
        let whole = Whole { body: Box::pin(body), held: Some(held) };
        let kept = Arc::new(Kept { lender: Lender::new(whole), context: RunsIn::here() });
        (Self::Shared { kept: Arc::clone(&kept) }, kept)
    }

    /// Returns `None` where the body was taken by its limit, or has ended.
    pub(super) fn get(self: Pin<&mut Self>) -> Option<Use<'_, B>> {
        match self.project() {
            KeepProj::Own { body, held } => Some(Use::Own(body, held)),
            KeepProj::Shared { kept } => kept.lender.lend().ok().map(Use::Lent),
            KeepProj::Nowhere => None,
        }
    }

    /// Returns whether no frame is left. `is_gone` answers for a body that was taken or has ended.
    pub(super) fn is_end_stream(&self, is_gone: impl FnOnce() -> bool) -> bool
    where
        B: Body,
    {
        // A body that another thread looks at may have more.
        self.look(Body::is_end_stream, true).unwrap_or_else(|why| why == Absent::Gone && is_gone())
    }

    pub(super) fn size_hint(&self) -> SizeHint
    where
        B: Body,
    {
        self.look(Body::size_hint, SizeHint::with_exact(0)).unwrap_or_default()
    }

    /// Looks at the body, standing in its scope. Returns `put_down` where it has ended and is still here.
    fn look<R>(&self, f: impl FnOnce(&B) -> R, put_down: R) -> Result<R, Absent> {
        let looked = match self {
            Self::Own { body, .. } => body.look(f),
            Self::Shared { kept } => kept.lender.lend()?.value().body.look(f),
            Self::Nowhere => return Err(Absent::Gone),
        };
        Ok(looked.unwrap_or(put_down))
    }
}

impl<B> Use<'_, B> {
    pub(super) fn parts(&mut self) -> (Pin<&mut InLineage<B>>, &mut Option<Held>) {
        match self {
            Self::Own(body, held) => (body.as_mut(), held),
            Self::Lent(whole) => {
                let Whole { body, held } = whole.value();
                (body.as_mut(), held)
            }
        }
    }

    pub(super) fn body(&mut self) -> Pin<&mut InLineage<B>> {
        self.parts().0
    }

    /// Registers the poller, which waits for a frame.
    pub(super) fn register(&mut self, waker: &Waker) {
        if let Self::Lent(whole) = self {
            whole.register(waker);
        }
    }

    /// Removes the poller's waker, since the poller has its frame. A poller that `returns` comes for another frame,
    /// whether its client reads or not.
    pub(super) fn unregister(&mut self, returns: bool) {
        if let Self::Lent(whole) = self {
            whole.unregister(returns);
        }
    }

    /// Ends the body while its scope is still open.
    pub(super) fn end<K>(self, clock: &mut Option<K>, is_given_up: bool) {
        self.take(|body, held| {
            body.put_down();
            // First: from here on the limit cancels nothing.
            *clock = None;
            if let Some(held) = held.take().filter(|_| !is_given_up) {
                held.finish();
            }
        });
    }

    /// Cancels the scope first and ends the body second, so that waits in the body's drop are interrupted.
    pub(super) fn cancel(self) {
        self.take(|body, held| {
            if let Some(held) = held {
                held.scope.request_cancel();
            }
            body.put_down();
            *held = None;
        });
    }

    /// Uses the body for the last time.
    fn take(self, f: impl FnOnce(Pin<&mut InLineage<B>>, &mut Option<Held>)) {
        match self {
            Self::Own(body, held) => f(body, held),
            Self::Lent(whole) => {
                let Whole { mut body, mut held } = whole.keep();
                f(body.as_mut(), &mut held);
            }
        }
    }
}

impl<B: Send + 'static> EndsUnpolled for Kept<B> {
    fn end_unpolled(self: Arc<Self>, why: Why) -> bool {
        let look = match why {
            Why::Late => self.lender.look(),
            Why::Cancelled => self.lender.look_whether_idle(),
        };
        match look {
            Look::Take => {
                // The poller may have the body when the thread comes, or no thread may come: so look again in any case.
                let _ = threads::leased().request_thread(self);
                true
            }
            Look::Again => true,
            Look::Gone => false,
        }
    }
}

/// Ends a body that is not polled, on a thread of the cache.
impl<B: Send + 'static> Job for Kept<B> {
    fn work(self: Arc<Self>, _: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        // The poller may have come meanwhile.
        let Whole { mut body, held } = self.lender.take()?;
        self.context.run(|| {
            if let Some(held) = &held {
                swallow(|| held.scope.request_cancel());
            }
            swallow(|| body.as_mut().put_down());
            swallow(|| drop(held));
        });
        None
    }

    fn refused(self: Arc<Self>, _: &io::Error) {
        // The poller ends the body, when it comes.
    }
}
