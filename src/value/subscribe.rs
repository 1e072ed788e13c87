//! [`Subscription`]: every value of a key, each once: those bound before, then those bound from now on.
//!
//! # The race to fear
//! A value bound while somebody subscribes is told twice, or never. Neither: binding and subscribing are critical
//! sections of one lock ([`crate::value::bindings`]), so it comes either before the subscription, and is in the replay, or
//! after it.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::pool::blocking::release::PermitsReleased;
use crate::sync::os::Arc;
use crate::value::binding::Binding;
use crate::value::bindings::Bindings;
use crate::value::inbox::Inbox;
use crate::wait::park;

/// Every value of a key, each once: those bound now, in the order in which they were bound, then those bound from now
/// on, wherever in the tree. Dropping it unsubscribes.
///
/// Made by [`Heirloom::subscribe`](crate::Heirloom::subscribe) and
/// [`HeirloomMap::subscribe`](crate::HeirloomMap::subscribe). It ends after [`seal`](crate::Heirloom::seal), when
/// everything bound before has been told. What it has not told yet it keeps, without bound: read it, or drop it.
///
/// ```
/// use heirloom::Heirloom;
///
/// static PLUGINS: Heirloom<&str> = Heirloom::new("plugins");
/// let early = heirloom::Scope::new("early");
/// PLUGINS.bind_at(&early, "early")?;
/// let mut seen = PLUGINS.subscribe();
/// let late = heirloom::Scope::new("late");
/// PLUGINS.bind_at(&late, "late")?;
/// PLUGINS.seal();
/// assert_eq!(seen.by_ref().map(|bound| **bound.value()).collect::<Vec<_>>(), ["early", "late"]);
/// # Ok::<(), heirloom::BindError>(())
/// ```
#[must_use = "dropping it unsubscribes"]
pub struct Subscription<V, K = ()>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    bindings: Arc<Bindings<K, V>>,
    inbox: Arc<Inbox<K, V>>,
}

impl<V, K> Subscription<V, K>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(bindings: &Arc<Bindings<K, V>>) -> Self {
        Self { bindings: Arc::clone(bindings), inbox: bindings.subscribe() }
    }

    /// The next one that is there already. `None`: there is none at the moment, or there never will be.
    pub fn try_next(&mut self) -> Option<Binding<V, K>> {
        match self.inbox.poll(None) {
            Poll::Ready(Some(binding)) => Some(Binding::new(&binding)),
            _ => None,
        }
    }

    /// Waits at most `d` for the next one. `None`: none came, or none will. A task that waits gives its place to the
    /// next one.
    pub fn next_timeout(&mut self, d: Duration) -> Option<Binding<V, K>> {
        self.next_by(park::after(d))
    }

    /// The next one. `None`: the key was sealed, and everything was told. Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Binding<V, K>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Self::recv), for futures written by hand.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Binding<V, K>>> {
        self.inbox.poll(Some(cx.waker())).map(|news| news.map(|binding| Binding::new(&binding)))
    }

    fn next_by(&mut self, deadline: Option<Instant>) -> Option<Binding<V, K>> {
        let mut out = self.inbox.poll(None);
        if out.is_pending() {
            let _away = PermitsReleased::begin_until(deadline);
            park::block_until(deadline, |waker| {
                out = self.inbox.poll(Some(waker));
                out.is_ready()
            });
        }
        match out {
            Poll::Ready(Some(binding)) => Some(Binding::new(&binding)),
            _ => None,
        }
    }
}

/// Waits for the next one; ends after the seal. A task that waits gives its place to the next one of its pool.
impl<V, K> Iterator for Subscription<V, K>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Item = Binding<V, K>;

    fn next(&mut self) -> Option<Binding<V, K>> {
        self.next_by(None)
    }
}

impl<V, K> Drop for Subscription<V, K>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.bindings.unsubscribe(&self.inbox);
    }
}

impl<V, K> fmt::Debug for Subscription<V, K>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("key", &self.bindings.name).finish_non_exhaustive()
    }
}
