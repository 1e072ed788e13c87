//! Jobs on their way into a queue, out of it again, and counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use heirloom::remote::JobId;
use heirloom::remote::engine::{Answer, Bytes, Depth, Fault, Receipt};
use serde_json::json;

use crate::driver::asker::{Asker, Trouble};
use crate::driver::command::{Command, Job};
use crate::driver::ensure::{Present, ensure};
use crate::driver::pending::{Kind, Published, Waiting};
use crate::driver::requests::ASK;
use crate::driver::{Driver, TURN};
use crate::jet::{self, code};
use crate::names::Names;
use crate::settings::Settings;

/// The time after which a job that the server does not confirm is sent no more, and given up at the next lack of an answer.
pub(super) const WITHIN: Duration = Duration::from_secs(5);
/// The time after which a job that is not confirmed is sent once more. The server drops the second one if it has the first.
const AGAIN: Duration = Duration::from_secs(1);
const _: () = assert!(WITHIN.as_secs() < jet::REMEMBERED.as_secs(), "the server knows all copies of a job");
/// The header by which the server knows a message that it has already.
const DEDUP: &str = "Nats-Msg-Id";

/// One message of a job.
struct Message {
    subject: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Message {
    fn of(job: &Published) -> Self {
        let headers = job.headers.iter().map(header).collect();
        Self { subject: job.subject.clone(), headers, body: job.body.clone() }
    }
}

impl Driver {
    pub(super) fn publish(&mut self, job: Job) {
        let now = Instant::now();
        if let Err(fault) = Names::check(&job.queue) {
            return job.answer.give(Err(fault));
        }
        let Job { queue, id, mut headers, dedup, body, answer } = job;
        headers.push((DEDUP, dedup));
        if let Err(fault) = check(&headers, &body, self.shared.max_payload()) {
            return answer.give(Err(fault));
        }
        if !self.connection.is_ready() {
            return answer.give(Err(Fault::Away));
        }
        self.become_origin();
        let subject = self.names.job(&queue, &id);
        self.send_job(Published { queue, subject, headers, body, until: now + WITHIN, answer }, now);
    }

    /// Sends a job, for the first time or again, behind those that have waited for its queue.
    pub(super) fn send_job(&mut self, job: Published, now: Instant) {
        if let Some(fault) = self.connection.deaf() {
            return job.answer.give(Err(fault));
        }
        let queue = self.queue(&job.queue);
        if queue.present.is_none() {
            queue.look_within(now, Duration::ZERO);
            queue.park(job);
        } else if queue.released > 0 {
            queue.park_released(job);
        } else {
            self.put_job(job, now);
        }
    }

    fn put_job(&mut self, job: Published, now: Instant) {
        let message = Message::of(&job);
        let token = self.pending.add(job.subject.clone(), now + AGAIN, Kind::Job(job));
        self.write(message, token);
    }

    /// Sends a job that is not confirmed once more, if the first message has left.
    ///
    /// The confirmation of each copy counts: that of the first one may be on its way, behind many others.
    pub(super) fn send_job_again(&mut self, token: u64, job: Published, now: Instant) {
        if self.connection.deaf().is_some() || self.queue(&job.queue).present.is_none() {
            return self.send_job(job, now);
        }
        let message = self.outbox.is_empty().then(|| Message::of(&job));
        let (subject, due) = (job.subject.clone(), now + AGAIN);
        self.pending.add_again(token, Waiting { subject, kind: Kind::Job(job), due });
        if let Some(message) = message {
            self.write(message, token);
        }
    }

    fn write(&mut self, message: Message, token: u64) {
        let Message { subject, headers, body } = message;
        self.outbox.send(subject, Some(self.names.reply(token)), Some(headers), body);
    }

    /// Sends jobs whose queue was found, as many as one turn may.
    pub(super) fn send_parked(&mut self, now: Instant) {
        let mut left = TURN;
        let mut jobs = Vec::new();
        for queue in self.queues.values_mut() {
            let taken = queue.take_released(left);
            left -= taken.len();
            jobs.extend(taken);
        }
        jobs.into_iter().for_each(|job| self.put_job(job, now));
    }

    /// The server has answered a job, or no stream has got it.
    pub(super) fn published(&mut self, job: Published, body: &[u8], no_responders: bool) {
        let Some(queue) = self.queues.get_mut(&job.queue) else { return };
        if no_responders {
            // The stream is not there, or not yet again. The look that follows sends the job once more.
            queue.look_within(Instant::now(), Duration::from_millis(if queue.parked.is_empty() { 0 } else { 50 }));
            return queue.park(job);
        }
        let number = jet::read_published(body);
        let outcome = match (number, queue.present) {
            (Ok(number), Some(present)) => Ok(present.incarnation.receipt(number)),
            (Ok(_), None) => Err(Fault::Away),
            (Err(fault), _) => Err(fault),
        };
        job.answer.give(outcome);
    }

    pub(super) fn withdraw(&mut self, name: &str, job: u64, receipt: Option<Receipt>) {
        let Some(present) = self.queues.get(name).and_then(|queue| queue.present) else { return };
        let Some(receipt) = receipt else { return self.withdraw_newest(name, job, present) };
        let Some(number) = present.incarnation.number(receipt) else { return };
        let subject = format!("$JS.API.STREAM.MSG.DELETE.{}", self.names.stream(name));
        let body = json!({"seq": number, "no_erase": true}).to_string();
        // The answer is not read: a job that stays is refused by its origin when it would begin.
        let (answer, _) = tokio::sync::oneshot::channel();
        self.ask(subject, body.into(), answer);
    }

    /// Withdraws the newest message of a job, whose receipt the server tells: each job has a subject of its own.
    ///
    /// A process without the right to read messages gets no receipt, and the job stays until a worker takes it.
    fn withdraw_newest(&self, name: &str, job: u64, present: Present) {
        if !self.connection.is_up() {
            return;
        }
        let subject = self.names.job(name, &JobId { origin: self.me.clone(), number: job });
        let get = format!("$JS.API.STREAM.MSG.GET.{}", self.names.stream(name));
        let (asker, queue) = (self.asker.clone(), name.to_string());
        tokio::spawn(async move {
            let request = json!({"last_by_subj": subject}).to_string();
            let Ok(found) = asker.ask(&get, request.into()).await else { return };
            let Some(number) = found["message"]["seq"].as_u64() else { return };
            let receipt = Some(present.incarnation.receipt(number));
            let _ = asker.commands.send(Command::Withdraw { queue, job, receipt });
        });
    }

    /// Lists the jobs of this process that the stream has: each one has a subject of its own.
    pub(super) fn list(&mut self, name: &str, answer: Answer<Vec<u64>>) {
        if let Err(fault) = Names::check(name) {
            return answer.give(Err(fault));
        }
        if !self.connection.is_up() {
            return answer.give(Err(Fault::Away));
        }
        let (asker, subjects) = (self.asker.clone(), self.names.jobs_of(name, &self.me));
        let name = name.to_string();
        tokio::spawn(async move { answer.give(list(&asker, &name, &subjects).await) });
    }

    pub(super) fn depth(&mut self, name: &str, answer: Answer<Depth>) {
        if let Err(fault) = Names::check(name) {
            return answer.give(Err(fault));
        }
        if !self.connection.is_up() {
            return answer.give(Err(Fault::Away));
        }
        let present = self.queues.get(name).and_then(|queue| queue.present);
        let (asker, settings, name) = (self.asker.clone(), Arc::clone(&self.settings), name.to_string());
        tokio::spawn(async move { answer.give(depth(&asker, &settings, &name, present).await) });
    }
}

/// Lists the jobs with these subjects, page by page. Without an answer the origin looks again.
async fn list(asker: &Asker, name: &str, subjects: &str) -> Result<Vec<u64>, Fault> {
    let info = format!("$JS.API.STREAM.INFO.{}", asker.names.stream(name));
    let (mut jobs, mut offset, mut total) = (Vec::new(), 0, None);
    for page in 0.. {
        let request = json!({"subjects_filter": subjects, "offset": offset});
        let answer = match asker.ask(&info, request.to_string().into()).await {
            Ok(answer) => answer,
            Err(Trouble::Fault(fault)) => return Err(fault),
            // All jobs are lost with it.
            Err(Trouble::Server(error)) if error.err_code == code::NO_STREAM && page == 0 => break,
            Err(Trouble::Server(error)) => return Err(Fault::Broken(error.description)),
        };
        let found = answer["state"]["subjects"].as_object();
        // A subject without a number is none of this crate's.
        let numbers =
            found.into_iter().flatten().filter_map(|(subject, _)| subject.rsplit_once('.')?.1.parse::<u64>().ok());
        jobs.extend(numbers);
        let found = found.map_or(0, |found| found.len() as u64);
        offset += found;
        let now = answer["total"].as_u64().unwrap_or(offset);
        if *total.get_or_insert(now) != now {
            // Jobs have ended between two pages, so the later page may lack some that are there.
            return Err(Fault::NoAnswer(ASK));
        }
        if found == 0 || offset >= now {
            break;
        }
    }
    Ok(jobs)
}

/// Counts the jobs of a queue, which is looked for if it has not been seen yet.
async fn depth(asker: &Asker, settings: &Settings, name: &str, present: Option<Present>) -> Result<Depth, Fault> {
    let absent = || Fault::Broken(format!("the queue {name:?} is not there"));
    let present = match present {
        Some(present) => present,
        None => ensure(asker, settings, name, None, false).await?.ok_or_else(absent)?,
    };
    let (stream, consumer) = (asker.names.stream(name), present.incarnation.consumer());
    match asker.ask(&format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}"), Bytes::new()).await {
        Ok(info) => Ok(Depth {
            queued: info["num_pending"].as_u64().unwrap_or(0),
            running: info["num_ack_pending"].as_u64().unwrap_or(0),
            pulls: info["num_waiting"].as_u64().unwrap_or(0),
        }),
        Err(Trouble::Fault(fault)) => Err(fault),
        Err(Trouble::Server(error)) if [code::NO_STREAM, code::NO_CONSUMER].contains(&error.err_code) => Err(absent()),
        Err(Trouble::Server(error)) => Err(Fault::Broken(error.description)),
    }
}

/// Refuses a job that is too large with its headers, or has a header that is none.
fn check(headers: &[(&'static str, String)], body: &Bytes, most: usize) -> Result<(), Fault> {
    if let Some((name, _)) = headers.iter().find(|(_, value)| value.contains(['\r', '\n'])) {
        return Err(Fault::Broken(format!("the header `{name}` has a line break, which no header may have")));
    }
    let bytes = body.len() + header_bytes(headers);
    if bytes > most { Err(Fault::TooLarge { bytes, most }) } else { Ok(()) }
}

/// Returns a header as the client takes it. [`check`] has read the value.
fn header((name, value): &(&'static str, String)) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from(value.as_str()))
}

/// Returns the bytes that headers have on the wire.
pub(super) fn header_bytes(headers: &[(&str, impl AsRef<str>)]) -> usize {
    let lines = headers.iter().map(|(name, value)| name.len() + value.as_ref().len() + ": \r\n".len());
    "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heirloom::remote::ProcessId;
    use heirloom::remote::engine::{Bytes, Fault};
    use serde_json::{Value, json};
    use tokio::sync::mpsc::unbounded_channel;

    use super::{Asker, Command, Names, list};

    /// Lists the jobs of a process, where the test plays the server: each answer has these numbers and this total.
    ///
    /// Returns the outcome, and the offsets that were asked for.
    fn listed(pages: &[(&[&str], u64)]) -> (Result<Vec<u64>, Fault>, Vec<u64>) {
        let (commands, mut asked) = unbounded_channel();
        let names = Arc::new(Names::new("shop", "_INBOX_shop", &ProcessId::unique()));
        let asker = Asker { names, commands };
        let mut offsets = Vec::new();
        let server = async {
            for (numbers, total) in pages {
                let Some(Command::Ask { body, answer, .. }) = asked.recv().await else { return };
                let request: Value = serde_json::from_slice(&body).unwrap();
                offsets.extend(request["offset"].as_u64());
                let subjects = numbers.iter().map(|number| (format!("hl.shop.job.q.web-1-a.{number}"), json!(1)));
                let subjects: serde_json::Map<_, _> = subjects.collect();
                let page = json!({"total": total, "state": {"subjects": subjects}}).to_string();
                answer.send(Ok(Bytes::from(page))).unwrap();
            }
            assert!(asked.recv().await.is_none(), "a page more was asked for");
        };
        let listed = async {
            let asker = asker;
            list(&asker, "q", "hl.shop.job.q.web-1-a.*").await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (outcome, ()) = runtime.block_on(async { tokio::join!(listed, server) });
        (outcome, offsets)
    }

    #[test]
    fn a_list_has_the_jobs_of_all_pages() {
        assert_eq!(
            listed(&[(&["1", "2"], 5), (&["3", "4"], 5), (&["5"], 5)]),
            (Ok(vec![1, 2, 3, 4, 5]), vec![0, 2, 4])
        );
        assert_eq!(listed(&[(&[], 0)]), (Ok(vec![]), vec![0]));
    }

    #[test]
    fn a_subject_that_is_no_jobs_ends_no_page_twice() {
        assert_eq!(listed(&[(&["foreign", "2"], 3), (&["3"], 3)]), (Ok(vec![2, 3]), vec![0, 2]));
    }

    #[test]
    fn a_list_whose_pages_shift_is_no_answer() {
        let (outcome, offsets) = listed(&[(&["1", "2"], 4), (&["4"], 3)]);
        assert!(matches!(outcome, Err(Fault::NoAnswer(_))), "a job that is left out would be sent again: {outcome:?}");
        assert_eq!(offsets, [0, 2]);
    }
}
