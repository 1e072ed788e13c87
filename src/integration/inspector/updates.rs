//! [`Updates`]: one listener's events, as a stream for a response's body. Dropping it is going away.

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

/// One of the hub's bells.
type Which = fn(&Hub) -> &WakerSet;

/// A place among the hub's listeners.
struct Seat {
    hub: Arc<Hub>,
    who: Reader,
    /// The bell that is listened to, and the place there.
    at: Option<(Which, usize)>,
}

impl Seat {
    fn new(hub: &Arc<Hub>, who: Reader) -> Result<Self, Unable> {
        hub.join(who)?;
        Ok(Self { hub: Arc::clone(hub), who, at: None })
    }

    /// Ready with what `look` finds, once that is not to wait; looks again each time the bell rings, which is always
    /// the same.
    fn poll(&mut self, cx: &Context<'_>, bell: Which, look: impl Fn(&Hub) -> Next) -> Poll<Next> {
        let hub = &*self.hub;
        let (_, at) = *self.at.get_or_insert_with(|| (bell, bell(hub).insert()));
        // The waker is left before the look, so what is told in between is noticed.
        bell(hub).set(at, cx.waker());
        match look(hub) {
            Next::Wait => Poll::Pending,
            found => Poll::Ready(found),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((bell, at)) = self.at {
            bell(&self.hub).remove(at);
        }
        self.hub.part(self.who);
    }
}

pub(super) struct Updates {
    seat: Seat,
    /// The version that was sent last.
    seen: Option<u64>,
    /// What is sent before anything new.
    ready: VecDeque<Bytes>,
    /// The last message was handed on.
    ended: bool,
}

/// A comment, which readers skip. Hyper 1.12 looks at a body a second time after it has flushed: an end without bytes
/// that comes just then leaves the connection of an HTTP/1.0 client open for ever.
const LAST: Bytes = Bytes::from_static(b": closed\n\n");

impl Updates {
    pub(super) fn new(hub: &Arc<Hub>) -> Result<Self, Unable> {
        // A browser that loses the connection tries again after this long.
        let retry = VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]);
        Ok(Self { seat: Seat::new(hub, Reader::Follows)?, seen: None, ready: retry, ended: false })
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
        let Poll::Ready(next) = this.seat.poll(cx, |hub| &hub.told, |hub| hub.next(seen)) else { return Poll::Pending };
        Poll::Ready(match next {
            Next::Full(latest) => {
                this.seen = Some(latest.version);
                this.ready.push_back(latest.body());
                Some(Ok(format!("event: full\ndata: {}", this.seat.hub.head()).into()))
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

/// The family as it is now, as JSON.
pub(super) async fn snapshot(hub: &Arc<Hub>) -> Result<Vec<u8>, Unable> {
    let mut seat = Seat::new(hub, Reader::Once)?;
    let asked = Instant::now();
    match poll_fn(|cx| seat.poll(cx, |hub| &hub.looked, |hub| hub.as_of(asked))).await {
        Next::Full(latest) => Ok([hub.head().as_bytes(), latest.body().as_ref()].concat()),
        _ => Err(Unable::Closed),
    }
}
