//! Requests of one turn of the driver, and messages in one message.
//!
//! A worker with many short jobs tells many ends at once. Each would be four messages for the server: the request to it, the one
//! from it, and the same for the answer. So requests to one process that are made in one turn travel as one message, and so do
//! their answers. A request that is alone travels as it is.
//!
//! One message with several parts has the header `Hl-Parts`. Its body has each part's length, in four bytes, and then the part.
//! The answer has as many parts; one whose length is [`NONE`] is a request without an answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Subject;
use heirloom::remote::ProcessId;
use heirloom::remote::engine::{Answer, Bytes};
use tokio::sync::mpsc::UnboundedSender;

use crate::driver::command::Command;

/// The header of a message with several parts.
pub(super) const PARTS: &str = "Hl-Parts";
/// The length of a part that is not there.
const NONE: u32 = u32::MAX;
/// The most parts of one message, and the most bytes of a part: the copy of a larger one costs more than its message.
const MOST_PARTS: usize = 64;
const MOST_BYTES: usize = 4096;
/// The bytes of a length.
const LENGTH: usize = 4;

/// Requests to one process that travel together.
pub(super) struct Together {
    pub(super) to: ProcessId,
    pub(super) within: Duration,
    messages: Vec<Bytes>,
    pub(super) answers: Vec<Answer<Bytes>>,
    bytes: usize,
}

/// The requests of one turn of the driver.
#[derive(Default)]
pub(super) struct Requests(Vec<Together>);

impl Requests {
    /// Adds a request. `most` is the most bytes of a message.
    pub(super) fn add(&mut self, to: ProcessId, message: Bytes, within: Duration, answer: Answer<Bytes>, most: usize) {
        let bytes = message.len() + LENGTH;
        let fits = |group: &Together| {
            // The answers are as large as their requests, or a little larger.
            group.to == to
                && group.within == within
                && group.messages.len() < MOST_PARTS
                && group.bytes + bytes <= most / 4
        };
        let small = message.len() <= MOST_BYTES;
        match self.0.iter_mut().rev().find(|group| small && fits(group)) {
            Some(group) => {
                group.messages.push(message);
                group.answers.push(answer);
                group.bytes += bytes;
            }
            None => {
                let bytes = if small { bytes } else { usize::MAX / 2 };
                self.0.push(Together { to, within, messages: vec![message], answers: vec![answer], bytes });
            }
        }
    }

    pub(super) fn take(&mut self) -> Vec<Together> {
        std::mem::take(&mut self.0)
    }
}

impl Together {
    /// Returns the body of the message, and whether it has parts.
    pub(super) fn body(&mut self) -> (Bytes, bool) {
        match (self.messages.pop(), self.messages.is_empty()) {
            (Some(alone), true) => (alone, false),
            (last, _) => {
                self.messages.extend(last);
                (join(self.messages.iter().map(Some)), true)
            }
        }
    }
}

/// Joins parts to one body.
fn join<'a>(parts: impl Iterator<Item = Option<&'a Bytes>>) -> Bytes {
    let mut body = Vec::with_capacity(512);
    for part in parts {
        // A part is smaller than a message.
        let length = part.map_or(NONE, |part| u32::try_from(part.len()).unwrap_or(NONE));
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(part.map_or(&[], |part| part));
    }
    body.into()
}

/// Splits a body into its parts. Returns `None` for a body of another form.
pub(super) fn split(body: &Bytes) -> Option<Vec<Option<Bytes>>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < body.len() {
        if parts.len() == MOST_PARTS {
            return None;
        }
        let length = u32::from_be_bytes(*body.get(at..)?.first_chunk::<LENGTH>()?);
        at += LENGTH;
        if length == NONE {
            parts.push(None);
            continue;
        }
        let end = at.checked_add(usize::try_from(length).ok()?).filter(|end| *end <= body.len())?;
        parts.push(Some(body.slice(at..end)));
        at = end;
    }
    Some(parts)
}

/// The answers to the parts of one message, until all are given.
struct Answers {
    parts: Vec<Option<Bytes>>,
    left: usize,
}

/// Returns an answer for each of the parts. The last one that is given sends all to the subject.
pub(super) fn answers(parts: usize, to: &Subject, commands: &UnboundedSender<Command>) -> Vec<Answer<Bytes>> {
    let shared = Arc::new(Mutex::new(Answers { parts: vec![None; parts], left: parts }));
    let answer = |part: usize| {
        let (shared, to, commands) = (Arc::clone(&shared), to.clone(), commands.clone());
        Answer::new(move |outcome| {
            let mut answers = shared.lock().unwrap_or_else(PoisonError::into_inner);
            answers.parts[part] = outcome.ok();
            answers.left -= 1;
            // A request without an answer is sent again.
            if answers.left == 0 && answers.parts.iter().any(Option::is_some) {
                let message = join(answers.parts.iter().map(Option::as_ref));
                let _ = commands.send(Command::Reply { to, message });
            }
        })
    };
    (0..parts).map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::{Bytes, MOST_PARTS, join, split};

    #[test]
    fn parts_come_out_as_they_went_in() {
        let parts = [Some(Bytes::from_static(b"one")), None, Some(Bytes::new()), Some(Bytes::from_static(b"two"))];
        let body = join(parts.iter().map(Option::as_ref));
        assert_eq!(split(&body).unwrap(), parts);
        for end in (1..body.len()).filter(|end| ![7, 11, 15].contains(end)) {
            assert_eq!(split(&body.slice(..end)), None, "{end}");
        }
    }

    #[test]
    fn a_message_has_no_more_parts_than_a_process_sends() {
        let of = |parts| split(&join(std::iter::repeat_n(None, parts)));
        assert_eq!(of(MOST_PARTS).map(|parts| parts.len()), Some(MOST_PARTS));
        assert_eq!(of(MOST_PARTS + 1), None);
    }
}
