//! [`ScopeFuture`]: a response under way in its request's scope.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::lineage::future::InLineage;

use super::clock::{Clock, Late};
use super::gives_up::GivesUp;
use super::open::Open;
use super::until::{Ended, Until, Wants};

pin_project_lite::pin_project! {
    /// The response of a [`ScopeService`](super::ScopeService). Dropping it before it has finished cancels the request's scope.
    #[must_use = "futures do nothing unless polled"]
    pub struct ScopeFuture<F, Res, U, K, C> {
        #[pin]
        inner: Option<InLineage<F>>,
        // Taken when the future has finished.
        open: Option<Open<K>>,
        wants: Wants,
        gives_up: C,
        // The layer's own answer, where the service is not called.
        answer: Option<Res>,
        until: PhantomData<fn() -> U>,
    }

    impl<F, Res, U, K, C> PinnedDrop for ScopeFuture<F, Res, U, K, C> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Cancelled first: waits in the drops of the future's locals are interrupted.
            if let Some(open) = this.open.as_ref() {
                open.scope.request_cancel();
            }
            if let Some(inner) = this.inner.as_pin_mut() {
                inner.put_down();
            }
        }
    }
}

impl<F, Res, U, K, C> ScopeFuture<F, Res, U, K, C> {
    pub(super) fn new(future: F, open: Open<K>, wants: Wants, gives_up: C) -> Self {
        let inner = InLineage::new(open.scope.lineage().clone(), future);
        Self { inner: Some(inner), open: Some(open), wants, gives_up, answer: None, until: PhantomData }
    }

    pub(super) fn answered(answer: Res, gives_up: C) -> Self {
        Self { inner: None, open: None, wants: Wants::Body, gives_up, answer: Some(answer), until: PhantomData }
    }
}

/// The result of a poll.
enum Came<Res, E> {
    Response(Res),
    Error(E),
    /// The time was up, perhaps just when the service ended.
    Late(Option<Result<Res, E>>),
}

impl<F, Res, E, U, K, C> Future for ScopeFuture<F, Res, U, K, C>
where
    F: Future<Output = Result<Res, E>>,
    U: Until<Res, K>,
    K: Clock + Late<Res>,
    C: GivesUp<Res>,
{
    type Output = Result<U::Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(answer) = this.answer.take() {
            return Poll::Ready(Ok(U::answer(answer, Ended::Unopened, *this.wants)));
        }
        let (Some(mut inner), Some(open)) = (this.inner.as_mut().as_pin_mut(), this.open.as_ref()) else {
            return Poll::Pending;
        };
        let came = if open.clock.is_over() {
            Came::Late(None)
        } else {
            match inner.as_mut().poll(cx) {
                Poll::Pending if open.clock.listen(cx.waker()) => return Poll::Pending,
                Poll::Pending => Came::Late(None),
                Poll::Ready(out) if !U::is_in_time(&open.clock) => Came::Late(Some(out)),
                Poll::Ready(Ok(response)) => Came::Response(response),
                Poll::Ready(Err(error)) => Came::Error(error),
            }
        };
        if let Came::Late(_) = came {
            // Cancelled first, as in a drop.
            open.scope.request_cancel();
        }
        // The future's locals end while the scope's values are there.
        inner.put_down();
        let Some(open) = this.open.take() else { return Poll::Pending };
        let wants = *this.wants;
        Poll::Ready(match came {
            Came::Response(response) if this.gives_up.gives_up(&response) => {
                open.scope.request_cancel();
                Ok(U::answer(response, Ended::GivenUp(open), wants))
            }
            Came::Response(response) => Ok(U::answer(response, Ended::Well { open, reads_grpc: C::READS_GRPC }, wants)),
            Came::Error(error) => {
                if !C::ON_ERROR {
                    open.finish();
                }
                Err(error)
            }
            Came::Late(response) => {
                open.scope.lineage().run(|| drop(response));
                let Some(answer) = open.clock.answer(open.scope.lineage()) else { return Poll::Pending };
                drop(open);
                Ok(U::answer(answer, Ended::Unopened, wants))
            }
        })
    }
}

impl<F, Res, U, K, C> fmt::Debug for ScopeFuture<F, Res, U, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeFuture")
            .field("scope", &self.open.as_ref().map(|open| &open.scope))
            .finish_non_exhaustive()
    }
}
