//! [`ScopeFuture`]: a response that is being made in its scope.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::lineage::future::InLineage;
use crate::registry::scope::Scope;
use crate::sync::os::Arc;

use super::body::{Until, Wants};
use super::limit::Slot;

/// A request's open scope. Dropping it cancels the scope.
pub struct Open {
    pub(super) scope: Scope,
    pub(super) slot: Option<Arc<Slot>>,
}

impl Open {
    pub(super) fn finish(self) {
        let Self { scope, slot } = self;
        scope.finish();
        drop(slot);
    }
}

pin_project_lite::pin_project! {
    /// The response of a [`ScopeService`](super::ScopeService). Dropping it before it has finished cancels the request's scope.
    #[must_use = "futures do nothing unless polled"]
    pub struct ScopeFuture<F, Res, U> {
        #[pin]
        inner: Option<InLineage<F>>,
        // Taken when the future has finished.
        open: Option<Open>,
        wants: Wants,
        // Made instead of a future, where the limit was reached.
        answer: Option<Res>,
        until: PhantomData<fn() -> U>,
    }

    impl<F, Res, U> PinnedDrop for ScopeFuture<F, Res, U> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Cancelled first: what the future's own locals wait for in their drops is told to stop.
            if let Some(open) = this.open.as_ref() {
                open.scope.ask_to_stop();
            }
            if let Some(inner) = this.inner.as_pin_mut() {
                inner.put_down();
            }
        }
    }
}

impl<F, Res, U> ScopeFuture<F, Res, U> {
    pub(super) fn new(future: F, open: Open, wants: Wants) -> Self {
        let inner = InLineage::new(open.scope.lineage().clone(), future);
        Self { inner: Some(inner), open: Some(open), wants, answer: None, until: PhantomData }
    }

    pub(super) fn answered(answer: Res) -> Self {
        Self { inner: None, open: None, wants: Wants::Body, answer: Some(answer), until: PhantomData }
    }
}

impl<F, Res, E, U> Future for ScopeFuture<F, Res, U>
where
    F: Future<Output = Result<Res, E>>,
    U: Until<Res>,
{
    type Output = Result<U::Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(answer) = this.answer.take() {
            return Poll::Ready(Ok(U::answer(answer, None, *this.wants)));
        }
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Pending };
        let out = ready!(inner.as_mut().poll(cx));
        // The future's locals end while the scope is still open.
        inner.put_down();
        let open = this.open.take();
        Poll::Ready(match out {
            Ok(response) => Ok(U::answer(response, open, *this.wants)),
            Err(error) => {
                if let Some(open) = open {
                    open.finish();
                }
                Err(error)
            }
        })
    }
}

impl<F, Res, U> fmt::Debug for ScopeFuture<F, Res, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeFuture")
            .field("scope", &self.open.as_ref().map(|open| &open.scope))
            .finish_non_exhaustive()
    }
}
