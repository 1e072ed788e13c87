//! [`Updates`]: one listener's events, as a stream for a response's body. Dropping it is going away.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Bytes;
use event_listener::EventListener;
use futures_core::Stream;

use super::hub::{Hub, Next, Unable};
use crate::quiet::quiet_waker;
use crate::sync::Event;
use crate::sync::os::Arc;

/// A place among the hub's listeners.
struct Seat {
    hub: Arc<Hub>,
    listener: Option<EventListener>,
}

impl Seat {
    fn new(hub: &Arc<Hub>) -> Result<Self, Unable> {
        hub.join()?;
        Ok(Self { hub: Arc::clone(hub), listener: None })
    }

    /// Ready with what `look` finds, once that is not to wait; looks again at each event.
    fn poll(&mut self, cx: &Context<'_>, event: fn(&Hub) -> &Event, look: impl Fn(&Hub) -> Next) -> Poll<Next> {
        loop {
            // The listener comes before the look, so what is told in between is noticed.
            let listener = self.listener.get_or_insert_with(|| event(&self.hub).listen());
            match look(&self.hub) {
                Next::Wait => {}
                found => return Poll::Ready(found),
            }
            let waker = quiet_waker(cx.waker());
            if Pin::new(listener).poll(&mut Context::from_waker(&waker)).is_pending() {
                return Poll::Pending;
            }
            self.listener = None;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.part();
    }
}

pub(super) struct Updates {
    seat: Seat,
    /// The version that was sent last.
    seen: Option<u64>,
    /// What is sent before anything new.
    ready: VecDeque<Bytes>,
}

impl Updates {
    pub(super) fn new(hub: &Arc<Hub>) -> Result<Self, Unable> {
        // A browser that loses the connection tries again after this long.
        let retry = VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]);
        Ok(Self { seat: Seat::new(hub)?, seen: None, ready: retry })
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
            Next::Over | Next::Wait => None,
        })
    }
}

/// The family as it is now, as JSON.
pub(super) async fn snapshot(hub: &Arc<Hub>) -> Result<Vec<u8>, Unable> {
    let mut seat = Seat::new(hub)?;
    let asked = Instant::now();
    match poll_fn(|cx| seat.poll(cx, |hub| &hub.looked, |hub| hub.as_of(asked))).await {
        Next::Full(latest) => Ok([hub.head().as_bytes(), latest.body().as_ref()].concat()),
        _ => Err(Unable::Closed),
    }
}
