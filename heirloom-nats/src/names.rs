//! [`Names`]: the subjects and streams of one app. [`Incarnation`]: one life of a queue's stream.

use heirloom::remote::engine::{Fault, Receipt};
use heirloom::remote::{JobId, ProcessId};

/// The most characters of the name of an app or a queue.
const MOST: usize = 64;

/// Returns whether the text can be the name of an app or a queue.
pub(crate) fn fits(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= MOST && name.chars().all(letter)
}

/// Returns the rule of [`fits`] as the end of an error's text.
pub(crate) fn rule() -> String {
    format!("a name has 1 to {MOST} letters, digits, `_` and `-`")
}

/// The subjects and streams of one app.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    app: String,
    /// The inbox of this process, without a wildcard.
    inbox: String,
}

impl Names {
    pub(crate) fn new(app: &str, prefix: &str, me: &ProcessId) -> Self {
        Self { app: app.into(), inbox: format!("{prefix}.{me}") }
    }

    pub(crate) fn check(queue: &str) -> Result<(), Fault> {
        if fits(queue) { Ok(()) } else { Err(Fault::Broken(format!("{queue:?} is no name of a queue; {}", rule()))) }
    }

    pub(crate) fn app(&self) -> &str {
        &self.app
    }

    /// The subjects on which a queue's jobs are published.
    pub(crate) fn jobs(&self, queue: &str) -> String {
        format!("hl.{}.job.{queue}.*.*", self.app)
    }

    /// The subjects of one process's jobs.
    pub(crate) fn jobs_of(&self, queue: &str, origin: &ProcessId) -> String {
        format!("hl.{}.job.{queue}.{origin}.*", self.app)
    }

    /// The subject of one job: the server lists the jobs of a process by their subjects.
    pub(crate) fn job(&self, queue: &str, job: &JobId) -> String {
        format!("hl.{}.job.{queue}.{}.{}", self.app, job.origin, job.number)
    }

    /// The subject of a process's broadcasts.
    pub(crate) fn stop(&self, process: &ProcessId) -> String {
        format!("hl.{}.stop.{process}", self.app)
    }

    /// The subject on which a process gets requests.
    pub(crate) fn to(&self, process: &ProcessId) -> String {
        format!("hl.{}.to.{process}", self.app)
    }

    /// The stream of a queue. Names have no `=`, so two pairs of app and queue never share a stream.
    pub(crate) fn stream(&self, queue: &str) -> String {
        format!("hl={}={queue}", self.app)
    }

    /// The subject that all answers to this process have.
    pub(crate) fn inbox(&self) -> String {
        format!("{}.>", self.inbox)
    }

    pub(crate) fn reply(&self, token: u64) -> String {
        format!("{}.r.{token}", self.inbox)
    }

    /// The inbox of one request for a delivery.
    pub(crate) fn pull(&self, queue: &str, number: u64) -> String {
        format!("{}.p.{queue}.{number}", self.inbox)
    }

    /// Reads a subject below the inbox.
    pub(crate) fn read<'a>(&self, subject: &'a str) -> Option<To<'a>> {
        let mut tokens = subject.strip_prefix(&*self.inbox)?.strip_prefix('.')?.split('.');
        match (tokens.next()?, tokens.next()?, tokens.next()) {
            ("r", token, None) => Some(To::Reply(token.parse().ok()?)),
            ("p", queue, Some(number)) => Some(To::Pull(queue, number.parse().ok()?)),
            _ => None,
        }
    }
}

/// The addressee of a message to this process's inbox.
pub(crate) enum To<'a> {
    Reply(u64),
    Pull(&'a str, u64),
}

/// One life of a queue's stream, named by the time of the stream's creation in nanoseconds since 1970.
///
/// A stream in memory ends with its server, and the next one of that name counts its messages from 1 again. An
/// acknowledgement that was written for the old message 1 would then remove the new message 1. The consumer's name, which
/// is a part of each acknowledgement's subject, therefore has the incarnation: a stale acknowledgement names a consumer that
/// does not exist. All processes read the same time from the server, so they agree without a message to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incarnation(u64);

/// The bits of a receipt that have the message's number in the stream: 10 000 jobs in each second for 3.5 years.
const NUMBER: u32 = 40;

impl Incarnation {
    /// Reads the creation time of a stream, as the server writes it: `2026-11-28T03:21:54.123456789Z`.
    pub(crate) fn read(created: &str) -> Option<Self> {
        let (date, time) = created.strip_suffix('Z')?.split_once('T')?;
        let mut date = date.split('-').map(str::parse::<i64>);
        let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let mut time = time.split(':').map(str::parse::<i64>);
        let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
        let nanos: i64 = format!("{fraction:0<9.9}").parse().ok()?;
        // Days since 1970 of a date of the Gregorian calendar, with the year from March on.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        let all = seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?;
        u64::try_from(all).ok().map(Self)
    }

    /// The name of the consumer.
    pub(crate) fn consumer(self) -> String {
        format!("w{}", self.0)
    }

    /// Reads the name of a consumer.
    pub(crate) fn of_consumer(name: &str) -> Option<Self> {
        name.strip_prefix('w')?.parse().ok().map(Self)
    }

    /// Returns the receipt of a message.
    ///
    /// It has 24 bits of the incarnation, in hundredths of a second: the receipts of two incarnations differ for certain if
    /// their streams were made more than 10 ms and less than 46 hours apart.
    pub(crate) fn receipt(self, number: u64) -> Receipt {
        Receipt(self.tag() << NUMBER | number & ((1 << NUMBER) - 1))
    }

    /// Returns the number of the message in the stream, if the receipt is one of this incarnation.
    pub(crate) fn number(self, receipt: Receipt) -> Option<u64> {
        (receipt.0 >> NUMBER == self.tag()).then_some(receipt.0 & ((1 << NUMBER) - 1))
    }

    fn tag(self) -> u64 {
        (self.0 / 10_000_000) & 0xff_ffff
    }
}

/// The message that a delivery's reply subject names.
pub(crate) struct Acknowledged {
    pub(crate) incarnation: Incarnation,
    pub(crate) number: u64,
    /// The number of this delivery of the message, from 1 on.
    pub(crate) count: u64,
}

/// Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<number>.…`, or the longer form with a domain and an account.
pub(crate) fn read_acknowledgement(reply: &str) -> Option<Acknowledged> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let first = if tokens.len() >= 9 { 2 } else { 0 };
    Some(Acknowledged {
        incarnation: Incarnation::of_consumer(tokens.get(first + 1)?)?,
        number: tokens.get(first + 3)?.parse().ok()?,
        count: tokens.get(first + 2)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::Incarnation;

    #[test]
    fn the_time_of_a_creation_is_read_in_nanoseconds() {
        let read = |text| Incarnation::read(text).map(|incarnation| incarnation.0);
        assert_eq!(read("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(read("2026-11-28T03:21:54.12345678Z"), Some(1_795_836_114_123_456_780));
        assert_eq!(read("2024-02-29T23:59:59.000000001Z"), Some(1_709_251_199_000_000_001));
        assert_eq!(read("yesterday"), None);
    }
}
