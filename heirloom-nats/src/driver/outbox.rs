//! [`Outbox`]: messages that the client does not take at once.

use std::collections::VecDeque;

use async_nats::client::traits::Publisher;
use async_nats::message::OutboundMessage;
use async_nats::{Client, HeaderMap};
use futures_util::FutureExt;
use heirloom::remote::engine::Bytes;

/// Messages that the client does not take at once, in order.
///
/// The client's own channel is bounded. The bodies here are those that the engine's callers keep until they have an
/// answer, so this list adds no copy of them; it ends with the connection.
#[derive(Default)]
pub(super) struct Outbox(VecDeque<OutboundMessage>);

impl Outbox {
    pub(super) fn send(
        &mut self,
        client: &Client,
        subject: impl Into<async_nats::Subject>,
        reply: Option<String>,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) {
        let message = OutboundMessage { subject: subject.into(), reply: reply.map(Into::into), headers, payload };
        if self.0.is_empty() {
            match client.publish_message(message.clone()).now_or_never() {
                Some(Ok(())) => return,
                Some(Err(error)) => {
                    tracing::debug!(%error, subject = %message.subject, "heirloom-nats: a message is not sent");
                    return;
                }
                // The channel is full.
                None => {}
            }
        }
        self.0.push_back(message);
    }

    /// Returns the first message, which is sent next.
    pub(super) fn first(&self) -> Option<OutboundMessage> {
        self.0.front().cloned()
    }

    /// The first message is sent.
    pub(super) fn sent(&mut self) {
        self.0.pop_front();
    }

    pub(super) fn take(&mut self) -> VecDeque<OutboundMessage> {
        std::mem::take(&mut self.0)
    }
}
