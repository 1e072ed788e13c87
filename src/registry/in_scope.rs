//! [`FutureExt`] and [`InScope`]: scopes and nodes for futures.

pub(crate) mod timeout;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::lineage::future::InLineage;
use crate::lineage::handle::Lineage;
use crate::registry::scope::Scope;

/// Gives futures a node of the tree, on any runtime.
///
/// ```
/// use heirloom::{FutureExt, Scope};
///
/// let scope = Scope::new("request 7");
/// let at = scope.lineage().clone();
/// let name = async { heirloom::current().name().map(String::from) }.in_scope(scope);
/// assert_eq!(futures::executor::block_on(name).as_deref(), Some("request 7"));
/// ```
pub trait FutureExt: Future + Sized {
    /// Returns a future that stands at a node during each poll, and while the inner future is dropped.
    ///
    /// Each poll enters and leaves the node. The future's end does not end the node. A future that this one gives
    /// to a runtime's `spawn` is polled by itself, and stands at the process unless it gets a node too:
    ///
    /// ```
    /// use heirloom::{FutureExt, Heirloom, Scope};
    ///
    /// static TENANT: Heirloom<&str> = Heirloom::new("tenant");
    ///
    /// async fn handler() -> bool {
    ///     let lost = tokio::spawn(async { TENANT.get().is_ok() });
    ///     let kept = tokio::spawn(async { TENANT.get().is_ok() }.in_lineage(&heirloom::current()));
    ///     !lost.await.unwrap() && kept.await.unwrap()
    /// }
    ///
    /// let request = Scope::new("request 7");
    /// TENANT.at(&request).bind("acme")?;
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    /// assert!(runtime.block_on(handler().in_lineage(&request)));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// ```
    /// use heirloom::{FutureExt, Scope};
    ///
    /// let request = Scope::new("request 7");
    /// let seen = async { heirloom::current() }.in_lineage(request.lineage());
    /// assert_eq!(futures::executor::block_on(seen), *request);
    /// assert!(!request.is_closed()); // unlike `in_scope`, it ends nothing
    /// ```
    fn in_lineage(self, at: &Lineage) -> InLineage<Self> {
        InLineage::new(at.clone(), self)
    }

    /// Returns a future that stands in a scope during each poll, and ends the scope.
    ///
    /// When the future finishes, the scope is closed, and the accepted tasks below it go on. When the future is dropped
    /// before that, the scope is cancelled. Neither blocks the runtime. With [`cancel_at_end`](InScope::cancel_at_end) both
    /// cancel.
    fn in_scope(self, scope: Scope) -> InScope<Self> {
        InScope { inner: InLineage::new(scope.lineage().clone(), self), scope: Some(scope), cancels: false }
    }
}

impl<F: Future> FutureExt for F {}

pin_project_lite::pin_project! {
    /// A future that stands in a scope, and ends it; made by [`FutureExt::in_scope`].
    ///
    /// Its end closes the scope; with [`cancel_at_end`](Self::cancel_at_end) its end cancels it. Dropping the future before
    /// its end cancels the scope.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InScope<F> {
        #[pin]
        inner: InLineage<F>,
        // `None` when the future has finished.
        scope: Option<Scope>,
        // The end of the future cancels the scope.
        cancels: bool,
    }

    impl<F> PinnedDrop for InScope<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Cancelled first: the future's locals may wait in their drops for tasks of the scope.
            if let Some(scope) = this.scope.as_ref() {
                scope.request_cancel();
            }
            this.inner.put_down();
        }
    }
}

impl<F> InScope<F> {
    /// Cancels the scope at the future's end, instead of closing it.
    ///
    /// For a connection, whose tasks are of no use once the peer has hung up, which is a normal end of the future that
    /// serves it. The queued tasks below the scope have ended when the future is ready, and the running tasks are
    /// cancelled. The polling thread pays the cost of [`Scope::cancel`].
    ///
    /// ```
    /// use heirloom::{FutureExt, PoolConfig, Scope};
    /// use std::time::Duration;
    ///
    /// let server = Scope::new("server");
    /// server.create("feeds").start(PoolConfig::leased(1))?;
    /// let chat = Scope::new_in(&server, "chat");
    /// // Without a joiner the task would outlive the connection by an hour.
    /// let talk = async { heirloom::get("feeds")?.submit(|| heirloom::sleep(Duration::from_secs(3600))).map_err(heirloom::Error::from) };
    /// let feed = futures::executor::block_on(talk.in_scope(chat).cancel_at_end())?;
    /// assert!(feed.join().map_or_else(|error| error.is_cancelled(), |slept| slept.is_err()));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn cancel_at_end(mut self) -> Self {
        self.cancels = true;
        self
    }
}

impl<F: Future> Future for InScope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let out = std::task::ready!(this.inner.as_mut().poll(cx));
        if *this.cancels {
            // In the order of the drop.
            if let Some(scope) = this.scope.as_ref() {
                scope.request_cancel();
            }
            this.inner.put_down();
            drop(this.scope.take());
            return Poll::Ready(out);
        }
        // The future's locals are dropped while the scope is still open.
        this.inner.put_down();
        if let Some(scope) = this.scope.take() {
            scope.finish();
        }
        Poll::Ready(out)
    }
}
