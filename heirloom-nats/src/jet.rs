//! JetStream's API as far as the engine uses it: JSON requests to `$JS.API.…`.
//!
//! A request is written here, and not by a client's library, so that its subject is known: the server reports a missing right
//! with the subject alone.

use std::time::Duration;

use heirloom::remote::engine::Fault;
use serde::Deserialize;
use serde_json::{Value, json};

/// The time for which a server knows a job that it has taken, and drops a copy of it.
///
/// The driver sends a job again while its confirmation is missing, for `WITHIN` on one connection. The client writes on the next
/// connection what a lost one has left over, so the rest of the time covers an outage between the two. After a longer outage the server
/// takes the copy. The copy's worker learns that the job is over; a repeatable job may run twice then. A job that its origin publishes
/// again after a connect has a number of its own, and is no copy. A server takes some 300 bytes for each job of this time.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(30);

/// The codes of errors that the engine acts on.
pub(crate) mod code {
    pub(crate) const NO_STREAM: u64 = 10_059;
    pub(crate) const NO_CONSUMER: u64 = 10_014;
    pub(crate) const OTHER_STREAM_CONFIG: u64 = 10_058;
    pub(crate) const SUBJECT_TAKEN: u64 = 10_065;
    pub(crate) const NOT_ENABLED: u64 = 10_076;
    pub(crate) const NOT_ENABLED_FOR_ACCOUNT: u64 = 10_039;
    /// The stream has its most messages, or the server no more memory or disk for any.
    pub(crate) const FULL: [u64; 4] = [10_077, 10_023, 10_028, 10_047];
    /// The server starts, or looks for a leader.
    pub(crate) const NOT_NOW: [u64; 3] = [10_008, 10_009, 10_052];
}

/// The body of each answer.
#[derive(Deserialize)]
struct Answered {
    error: Option<ServerError>,
    #[serde(flatten)]
    value: Value,
}

/// An error of the server.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ServerError {
    pub(crate) err_code: u64,
    pub(crate) description: String,
}

/// Reads an answer.
pub(crate) fn read(body: &[u8]) -> Result<Value, ServerError> {
    match serde_json::from_slice::<Answered>(body) {
        Ok(Answered { error: Some(error), .. }) => Err(error),
        Ok(Answered { value, .. }) => Ok(value),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &serde_json::Error) -> ServerError {
    ServerError { description: format!("the server's answer cannot be read: {error}"), ..Default::default() }
}

/// Reads the answer to a published message: its number in the stream.
pub(crate) fn read_published(body: &[u8]) -> Result<u64, Fault> {
    #[derive(Deserialize)]
    struct Published {
        error: Option<ServerError>,
        seq: Option<u64>,
    }
    let number = match serde_json::from_slice(body) {
        Ok(Published { error: Some(error), .. }) => Err(error),
        Ok(Published { seq: Some(number), .. }) => Ok(number),
        Ok(_) => Err(ServerError { description: "its answer has no number".into(), ..Default::default() }),
        Err(error) => Err(unreadable(&error)),
    };
    match number {
        Ok(number) => Ok(number),
        Err(error) if code::FULL.contains(&error.err_code) => Err(Fault::Full),
        Err(error) => Err(Fault::Broken(format!("the server refuses the job: {}", error.description))),
    }
}

/// The configuration of a new stream.
pub(crate) fn stream(name: &str, subject: &str, most: i64, file: bool, replicas: usize) -> Value {
    json!({
        "name": name,
        "subjects": [subject],
        "retention": "workqueue",
        "storage": if file { "file" } else { "memory" },
        "discard": "new",
        "max_msgs": most,
        "max_bytes": -1,
        "max_consumers": -1,
        "max_msg_size": -1,
        "max_age": 0,
        "duplicate_window": REMEMBERED.as_secs() * 1_000_000_000,
        "num_replicas": replicas,
    })
}

/// The configuration of a new consumer.
pub(crate) fn consumer(name: &str, running: u64, ack_wait: u64) -> Value {
    json!({
        "durable_name": name,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": ack_wait,
        "max_deliver": -1,
        "max_ack_pending": running,
        "max_waiting": 16_384,
    })
}
