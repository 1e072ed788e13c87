//! [`Pending`]: the messages that wait for an answer, by token.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use heirloom::remote::engine::{Answer, Bytes, Fault, Receipt};
use tokio::sync::oneshot;

/// A message that waits for an answer.
pub(super) struct Waiting {
    pub(super) subject: String,
    pub(super) kind: Kind,
    pub(super) due: Instant,
}

/// The kinds of messages that get an answer.
pub(super) enum Kind {
    /// A request of a task beside the driver to the server.
    Ask(oneshot::Sender<Result<Bytes, Fault>>),
    /// A job.
    Job(Published),
    /// Requests to another process, in one message.
    Request { within: Duration, answers: Vec<Answer<Bytes>> },
}

/// A job that the server has not confirmed.
pub(super) struct Published {
    pub(super) queue: String,
    pub(super) subject: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// The time at which the job is given up.
    pub(super) until: Instant,
    pub(super) answer: Answer<Receipt>,
}

impl Kind {
    /// Gives the answer.
    pub(super) fn fail(self, fault: Fault) {
        match self {
            Self::Ask(answer) => {
                let _ = answer.send(Err(fault));
            }
            Self::Job(job) => job.answer.give(Err(fault)),
            Self::Request { answers, .. } => {
                answers.into_iter().for_each(|answer| answer.give(Err(fault.clone())));
            }
        }
    }
}

/// The messages that wait for an answer, by token.
#[derive(Default)]
pub(super) struct Pending {
    waiting: HashMap<u64, Waiting>,
    due: BTreeSet<(Instant, u64)>,
    last: u64,
}

impl Pending {
    /// Adds a message, and returns its token.
    pub(super) fn add(&mut self, subject: String, due: Instant, kind: Kind) -> u64 {
        self.last += 1;
        self.add_again(self.last, Waiting { subject, kind, due });
        self.last
    }

    /// Adds a message that has a token already: the answer to each of its copies counts.
    pub(super) fn add_again(&mut self, token: u64, waiting: Waiting) {
        self.due.insert((waiting.due, token));
        self.waiting.insert(token, waiting);
    }

    pub(super) fn take(&mut self, token: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&token)?;
        self.due.remove(&(waiting.due, token));
        Some(waiting)
    }

    /// Takes out the messages whose time is over, up to so many, with their tokens.
    pub(super) fn take_due(&mut self, now: Instant, most: usize) -> Vec<(u64, Waiting)> {
        let due: Vec<u64> = self.due.iter().take_while(|(due, _)| *due <= now).take(most).map(|due| due.1).collect();
        due.into_iter().filter_map(|token| Some((token, self.take(token)?))).collect()
    }

    /// Takes out the messages on a subject.
    pub(super) fn take_subject(&mut self, subject: &str) -> Vec<Waiting> {
        let here = self.waiting.iter().filter(|(_, waiting)| waiting.subject == subject);
        let tokens: Vec<u64> = here.map(|(token, _)| *token).collect();
        tokens.into_iter().filter_map(|token| self.take(token)).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<Waiting> {
        self.due.clear();
        self.waiting.drain().map(|(_, waiting)| waiting).collect()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::sync::oneshot;

    use super::{Kind, Pending};

    #[test]
    fn the_oldest_messages_whose_time_is_over_are_taken_first_a_few_at_a_time() {
        let now = Instant::now();
        let mut pending = Pending::default();
        for (name, after) in [("c", 2), ("a", 0), ("later", 9), ("b", 1)] {
            pending.add(name.into(), now + Duration::from_secs(after), Kind::Ask(oneshot::channel().0));
        }
        let mut names = |most| {
            let taken = pending.take_due(now + Duration::from_secs(2), most);
            taken.into_iter().map(|(_, waiting)| waiting.subject).collect::<String>()
        };
        assert_eq!([names(2), names(2), names(2)], ["ab", "c", ""]);
        assert_eq!(pending.next_due(), Some(now + Duration::from_secs(9)));
    }

    #[test]
    fn a_message_that_is_sent_again_keeps_its_token() {
        let now = Instant::now();
        let mut pending = Pending::default();
        let token = pending.add("a".into(), now, Kind::Ask(oneshot::channel().0));
        let (same, mut waiting) = pending.take_due(now, 1).pop().unwrap();
        waiting.due = now + Duration::from_secs(1);
        pending.add_again(same, waiting);
        assert_ne!(pending.add("b".into(), now, Kind::Ask(oneshot::channel().0)), token);
        assert_eq!(pending.take(token).map(|waiting| waiting.subject).as_deref(), Some("a"));
    }
}
