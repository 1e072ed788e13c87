//! [`Outbox`]: the way of messages to the client, in order.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use async_nats::message::OutboundMessage;
use async_nats::{Client, HeaderMap};
use futures_util::SinkExt;
use heirloom::remote::engine::Bytes;

/// The way of messages to the client, with those that it does not take at once.
///
/// The client's own channel is bounded. The bodies here are those that the engine's callers keep until they have an
/// answer, so this list adds no copy of them; it ends with the connection.
pub(super) struct Outbox {
    client: Client,
    waiting: VecDeque<OutboundMessage>,
}

impl Outbox {
    pub(super) fn new(client: Client) -> Self {
        Self { client, waiting: VecDeque::new() }
    }

    pub(super) fn send(
        &mut self,
        subject: impl Into<async_nats::Subject>,
        reply: Option<String>,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) {
        let message = OutboundMessage { subject: subject.into(), reply: reply.map(Into::into), headers, payload };
        self.waiting.push_back(message);
        if self.waiting.len() == 1 {
            // A full channel keeps the message here, and `write` waits for capacity.
            let _ = self.poll_write(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// Sends what the client takes. Pending while a message is left.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.waiting.is_empty() {
            let ready = match self.client.poll_ready_unpin(cx) {
                Poll::Ready(ready) => ready,
                Poll::Pending => return Poll::Pending,
            };
            let Some(message) = self.waiting.pop_front() else { break };
            if let Err(error) = ready.and_then(|()| self.client.start_send_unpin(message)) {
                tracing::debug!(%error, "heirloom-nats: a message is not sent");
            }
        }
        Poll::Ready(())
    }

    /// Waits until the client has taken the messages that are left; for ever where none is.
    pub(super) async fn write(&mut self) {
        if self.waiting.is_empty() {
            return std::future::pending().await;
        }
        std::future::poll_fn(|cx| self.poll_write(cx)).await;
    }

    /// Returns whether the client has taken all messages.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn take(&mut self) -> VecDeque<OutboundMessage> {
        std::mem::take(&mut self.waiting)
    }
}
