//! [`Inbox`]: the bindings that one subscriber has not read yet.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use crate::sync::os::{Arc, Mutex};
use crate::value::binding::BoundValue;

/// What one subscriber has not been told yet.
pub(crate) struct Inbox<K, V> {
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    news: VecDeque<Arc<BoundValue<K, V>>>,
    /// Nothing more comes.
    ended: bool,
    /// The one subscriber's.
    waker: Option<Waker>,
}

impl<K, V> Inbox<K, V> {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::new(Inner { news: VecDeque::new(), ended: false, waker: None }) }
    }

    pub(crate) fn begin(&self, now: impl Iterator<Item = Arc<BoundValue<K, V>>>, ended: bool) {
        let mut inner = self.inner.lock();
        inner.news.extend(now);
        inner.ended = ended;
    }

    /// Whoever is to be woken, outside of any lock.
    pub(crate) fn push(&self, binding: Arc<BoundValue<K, V>>) -> Option<Waker> {
        let mut inner = self.inner.lock();
        inner.news.push_back(binding);
        inner.waker.take()
    }

    pub(crate) fn end(&self) -> Option<Waker> {
        let mut inner = self.inner.lock();
        inner.ended = true;
        inner.waker.take()
    }

    pub(crate) fn poll(&self, waker: Option<&Waker>) -> Poll<Option<Arc<BoundValue<K, V>>>> {
        // Wakers are user code: cloned before the lock, dropped after it.
        let new = waker.cloned();
        let (out, _before) = {
            let mut inner = self.inner.lock();
            match inner.news.pop_front() {
                Some(binding) => (Poll::Ready(Some(binding)), None),
                None if inner.ended => (Poll::Ready(None), None),
                None => (Poll::Pending, std::mem::replace(&mut inner.waker, new)),
            }
        };
        out
    }
}
