//! [`InScopeTimeout`]: a future in a scope with a deadline.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::{CancelReason, Cancelled, Error};
use crate::lineage::node::Node;
use crate::lineage::watch::Watch;
use crate::registry::in_scope::InScope;

impl<F> InScope<F> {
    /// Sets the scope's deadline to `d` from now, and ends the future with the scope's cancel.
    ///
    /// The returned future is ready with the value, or with [`Error::Cancelled`] as soon as the scope or a scope above it is
    /// cancelled, by the deadline or in another way. Then the inner future has been dropped, standing in the scope, whatever
    /// it awaited. No runtime's timer is needed. See [`Scope::deadline`](crate::Scope::deadline).
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::{ErrorKind, FutureExt, Scope};
    ///
    /// let never = std::future::pending::<()>().in_scope(Scope::new("request 7")).timeout(Duration::from_millis(5));
    /// let cancelled = futures::executor::block_on(never).unwrap_err();
    /// assert_eq!(cancelled.kind(), ErrorKind::DeadlineExceeded);
    /// ```
    pub fn timeout(self, d: Duration) -> InScopeTimeout<F> {
        let watch = self.scope.as_ref().map(|scope| {
            scope.end_after(d);
            Watch::new(&scope.lineage().0)
        });
        InScopeTimeout { inner: Some(self), watch }
    }
}

pin_project_lite::pin_project! {
    /// A future in a scope with a deadline; made by [`InScope::timeout`]. Dropping it before its end cancels the scope.
    #[must_use = "futures do nothing unless polled"]
    pub struct InScopeTimeout<F> {
        // `None` when the scope was cancelled.
        #[pin]
        inner: Option<InScope<F>>,
        watch: Option<Watch>,
    }
}

impl<F: Future> Future for InScopeTimeout<F> {
    type Output = Result<F::Output, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Pending };
        if let Poll::Ready(out) = inner.poll(cx) {
            *this.watch = None;
            return Poll::Ready(Ok(out));
        }
        if !this.watch.as_mut().is_some_and(|watch| watch.poll(cx.waker(), Node::is_cancelled)) {
            return Poll::Pending;
        }
        let cause = this.watch.take().and_then(|watch| watch.node().cause());
        this.inner.set(None);
        Poll::Ready(Err(cause.unwrap_or_else(|| Cancelled::new(CancelReason::Request, "a scope")).into()))
    }
}

impl<F> fmt::Debug for InScopeTimeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InScopeTimeout").finish_non_exhaustive()
    }
}
