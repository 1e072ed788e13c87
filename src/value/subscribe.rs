//! [`Subscription`]: every value of a key, each once: the present bindings first, then the later ones.
//!
//! # The race to fear
//! A value that is bound during a subscription is returned twice, or never. Impossible: a binding and a subscription
//! are critical sections of one lock ([`crate::value::bindings`]). A binding either comes first and is among the
//! present ones, or comes later and is announced.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::pool::blocking::release::PermitsReleased;
use crate::sync::os::Arc;
use crate::value::binding::Binding;
use crate::value::bindings::Bindings;
use crate::wait::park;

/// Every value of a key, each once, wherever in the tree it is bound.
///
/// The values that are bound at the subscription come first, in the order in which they were bound, and the later ones
/// follow. Made by [`Heirloom::subscribe`](crate::Heirloom::subscribe) and
/// [`HeirloomMap::subscribe`](crate::HeirloomMap::subscribe). It ends after [`seal`](crate::Heirloom::seal), once it
/// has returned every earlier binding.
///
/// Values that are not read yet are kept, without a bound: read the subscription, or drop it. Dropping it unsubscribes.
///
/// ```
/// use heirloom::Heirloom;
///
/// static PLUGINS: Heirloom<&str> = Heirloom::new("plugins");
/// let early = heirloom::Scope::new("early");
/// PLUGINS.at(&early).bind("early")?;
/// let mut seen = PLUGINS.subscribe();
/// let late = heirloom::Scope::new("late");
/// PLUGINS.at(&late).bind("late")?;
/// PLUGINS.seal();
/// assert_eq!(seen.by_ref().map(|bound| **bound.value()).collect::<Vec<_>>(), ["early", "late"]);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping it unsubscribes"]
pub struct Subscription<V: Send + Sync + 'static, K: Send + Sync + 'static = ()> {
    bindings: Arc<Bindings<K, V>>,
    /// Keys of its unread bindings and of its waker.
    unread: usize,
    waker: usize,
}

impl<V: Send + Sync + 'static, K: Send + Sync + 'static> Subscription<V, K> {
    pub(super) fn new(bindings: &Arc<Bindings<K, V>>) -> Self {
        let (unread, waker) = (bindings.subscribe(), bindings.subscribers.insert());
        Self { bindings: Arc::clone(bindings), unread, waker }
    }

    /// Returns the next value that is bound already. `None`: there is none at the moment, or the key was sealed and
    /// every value has been returned.
    pub fn try_next(&mut self) -> Option<Binding<V, K>> {
        match self.poll_unread() {
            Poll::Ready(binding) => binding,
            Poll::Pending => None,
        }
    }

    /// Returns the next value, and blocks at most `d` for it. `None`: no value was bound in time, or the key was sealed
    /// and every value has been returned. A task that waits releases its permit.
    pub fn next_timeout(&mut self, d: Duration) -> Option<Binding<V, K>> {
        self.next_by(park::after(d))
    }

    /// Returns the next value once it is bound. `None`: the key was sealed, and every value has been returned. Dropping
    /// the future loses no value.
    pub async fn next_async(&mut self) -> Option<Binding<V, K>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls as [`next_async`](Self::next_async), for futures written by hand. The last waker that it was polled with is woken.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Binding<V, K>>> {
        self.poll_with(cx.waker())
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<Option<Binding<V, K>>> {
        // The waker comes before the look: a binding is stored first, and its subscribers are woken then.
        self.bindings.subscribers.set(self.waker, waker);
        self.poll_unread()
    }

    fn poll_unread(&mut self) -> Poll<Option<Binding<V, K>>> {
        let next = self.bindings.flights.kept(|state| match state.unread[self.unread].pop_front() {
            None if !state.sealed => Poll::Pending,
            next => Poll::Ready(next),
        });
        next.map(|binding| binding.map(|binding| Binding::new(&binding)))
    }

    fn next_by(&mut self, deadline: Option<Instant>) -> Option<Binding<V, K>> {
        let mut out = self.poll_unread();
        if out.is_pending() {
            let _released = PermitsReleased::begin_until(deadline);
            park::block_until(deadline, |waker| {
                out = self.poll_with(waker);
                out.is_ready()
            });
        }
        match out {
            Poll::Ready(binding) => binding,
            Poll::Pending => None,
        }
    }
}

/// Blocks until the next value is bound; ends after the seal. A task that waits releases its permit.
impl<V: Send + Sync + 'static, K: Send + Sync + 'static> Iterator for Subscription<V, K> {
    type Item = Binding<V, K>;

    fn next(&mut self) -> Option<Binding<V, K>> {
        self.next_by(None)
    }
}

impl<V: Send + Sync + 'static, K: Send + Sync + 'static> Drop for Subscription<V, K> {
    fn drop(&mut self) {
        self.bindings.subscribers.remove(self.waker);
        // Unread values are dropped outside the lock.
        let _unread = self.bindings.flights.kept(|state| state.unread.try_remove(self.unread));
    }
}

impl<V: Send + Sync + 'static, K: Send + Sync + 'static> fmt::Debug for Subscription<V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("key", &self.bindings.name).finish_non_exhaustive()
    }
}
