//! [`Updates`]: one reader's events, as a stream for a response's body. Dropping it ends the reader.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Bytes;
use futures_core::Stream;

use super::hub::{Hub, Next, Reader, Unable};
use crate::sync::os::Arc;
use crate::wait::waker_set::WakerSet;

/// One of the hub's waker sets.
type Set = fn(&Hub) -> &WakerSet;

/// A registered reader. Dropping it counts the reader out.
struct Registered {
    hub: Arc<Hub>,
    reader: Reader,
    /// The set that holds its waker, and the key there.
    at: Option<(Set, usize)>,
}

impl Registered {
    fn new(hub: &Arc<Hub>, reader: Reader) -> Result<Self, Unable> {
        hub.join(reader)?;
        Ok(Self { hub: Arc::clone(hub), reader, at: None })
    }

    /// Returns the outcome of `look` once that is not `Wait`. Notified by the set, which is the same at each poll.
    fn poll(&mut self, cx: &Context<'_>, set: Set, look: impl Fn(&Hub) -> Next) -> Poll<Next> {
        let hub = &*self.hub;
        let (_, at) = *self.at.get_or_insert_with(|| (set, set(hub).insert()));
        // Registered before the look, so that a change in between notifies.
        set(hub).set(at, cx.waker());
        match look(hub) {
            Next::Wait => Poll::Pending,
            found => Poll::Ready(found),
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some((set, at)) = self.at {
            set(&self.hub).remove(at);
        }
        self.hub.part(self.reader);
    }
}

pub(super) struct Updates {
    registered: Registered,
    /// The version sent last.
    seen: Option<u64>,
    /// Messages to be sent before the next look.
    ready: VecDeque<Bytes>,
    /// The last message was returned.
    ended: bool,
}

/// A comment, which browsers skip. Hyper 1.12 polls a body a second time after a flush: an end without bytes at that poll
/// leaves the connection of an HTTP/1.0 client open for ever.
const LAST: Bytes = Bytes::from_static(b": closed\n\n");

impl Updates {
    pub(super) fn new(hub: &Arc<Hub>) -> Result<Self, Unable> {
        // A browser that loses the connection connects again after this time.
        let retry = VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]);
        Ok(Self { registered: Registered::new(hub, Reader::Follows)?, seen: None, ready: retry, ended: false })
    }
}

impl Stream for Updates {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(bytes) = this.ready.pop_front() {
            return Poll::Ready(Some(Ok(bytes)));
        }
        let seen = this.seen;
        let Poll::Ready(next) = this.registered.poll(cx, |hub| &hub.changed, |hub| hub.next(seen)) else {
            return Poll::Pending;
        };
        Poll::Ready(match next {
            Next::Full(latest) => {
                this.seen = Some(latest.version);
                this.ready.push_back(latest.body());
                Some(Ok(format!("event: full\ndata: {}", this.registered.hub.head()).into()))
            }
            Next::Change(version, change) => {
                this.seen = Some(version);
                Some(Ok(change))
            }
            Next::Over | Next::Wait if this.ended => None,
            Next::Over | Next::Wait => {
                this.ended = true;
                Some(Ok(LAST))
            }
        })
    }
}

/// Returns a look that begins now, or began at most `PACE` ago, as JSON.
pub(super) async fn snapshot(hub: &Arc<Hub>) -> Result<Vec<u8>, Unable> {
    let mut registered = Registered::new(hub, Reader::Once)?;
    let asked = Instant::now();
    match poll_fn(|cx| registered.poll(cx, |hub| &hub.looked, |hub| hub.as_of(asked))).await {
        Next::Full(latest) => Ok([hub.head().as_bytes(), latest.body().as_ref()].concat()),
        _ => Err(Unable::Closed),
    }
}
