//! [`InLineage`]: a future that stands at one node on every poll.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::{ExitOnDrop, Lineage};

pin_project_lite::pin_project! {
    /// A future that stands at one node on every poll, on whatever runtime; made by
    /// [`FutureExt::in_lineage`](crate::FutureExt::in_lineage).
    ///
    /// Dropping it drops the inner future, at the node too.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InLineage<F> {
        at: Lineage,
        // `None` once it has been dropped in place.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InLineage<F> {
        fn drop(this: Pin<&mut Self>) {
            this.put_down();
        }
    }
}

impl<F> InLineage<F> {
    pub(crate) fn new(at: Lineage, future: F) -> Self {
        Self { at, future: Some(future) }
    }

    /// Lends the inner future to `f`, at its node. `None` once it was put down.
    pub(crate) fn stand<R>(self: Pin<&mut Self>, f: impl FnOnce(Pin<&mut F>) -> R) -> Option<R> {
        let this = self.project();
        let inner = this.future.as_pin_mut()?;
        let _guard = ExitOnDrop(Some(current::enter(this.at.0.clone(), LazyNode::Nothing)));
        Some(f(inner))
    }

    /// Lends the inner future to `f` without pinning it, at its node. `None` once it was put down.
    #[cfg(feature = "tower")]
    pub(crate) fn look<R>(&self, f: impl FnOnce(&F) -> R) -> Option<R> {
        let inner = self.future.as_ref()?;
        Some(self.at.run(|| f(inner)))
    }

    /// Drops the inner future at its node, then releases the node. A scope without another handle ends at less cost so.
    pub(crate) fn put_down(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.future.is_none() {
            return;
        }
        {
            let _guard = ExitOnDrop(Some(current::enter(this.at.0.clone(), LazyNode::Nothing)));
            this.future.set(None);
        }
        *this.at = Lineage::process();
    }
}

impl<F: Future> Future for InLineage<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Only a future polled again after it was put down stays pending, as `std` allows.
        self.stand(|future| future.poll(cx)).unwrap_or(Poll::Pending)
    }
}
