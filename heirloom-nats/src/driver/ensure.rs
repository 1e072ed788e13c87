//! Makes sure that a queue's stream and consumer are there, with their limits.

use std::time::Duration;

use heirloom::remote::engine::{Bytes, Fault, QueueLimits};
use serde_json::{Value, json};

use crate::driver::asker::{Asker, Trouble};
use crate::jet::{self, code};
use crate::names::Incarnation;
use crate::settings::Settings;

/// A queue that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    pub(crate) incarnation: Incarnation,
    /// The time after which the server delivers an unsettled job again.
    pub(crate) ack_wait: Duration,
}

/// How often the queue is looked at anew, because another process makes or changes it meanwhile, and the time between.
const ROUNDS: usize = 50;
const PAUSE: Duration = Duration::from_millis(10);
/// The time in which the client hands on a report.
const REPORTED: Duration = Duration::from_millis(30);

/// Makes the queue, if the process has limits for it; else looks for it. Returns `None` where a process without limits finds no
/// queue.
///
/// The limits of a queue that is there are changed at a declaration only: two origins with other limits would otherwise
/// change them in turns for ever.
pub(crate) async fn ensure(
    asker: &Asker,
    settings: &Settings,
    queue: &str,
    limits: Option<QueueLimits>,
    change: bool,
) -> Result<Option<Present>, Fault> {
    let task = Ensure { asker, settings, queue, limits, change, stream: asker.names.stream(queue) };
    for _ in 0..ROUNDS {
        match task.round().await? {
            Round::Present(present) => return Ok(Some(present)),
            Round::Absent => return Ok(None),
            Round::Again => {}
            Round::Later => tokio::time::sleep(PAUSE).await,
        }
    }
    Err(Fault::Broken(format!(
        "the queue {queue:?} cannot be made: another stream has its subject, or changes all the time"
    )))
}

enum Round {
    Present(Present),
    Absent,
    Again,
    /// The server is about to make it.
    Later,
}

struct Ensure<'a> {
    asker: &'a Asker,
    settings: &'a Settings,
    queue: &'a str,
    limits: Option<QueueLimits>,
    change: bool,
    stream: String,
}

impl Ensure<'_> {
    async fn round(&self) -> Result<Round, Fault> {
        let info = match self.ask("STREAM.INFO", &[&self.stream], Bytes::new()).await {
            Ok(info) => info,
            Err(Trouble::Server(error)) if error.err_code == code::NO_STREAM => return self.make_stream().await,
            Err(trouble) => return Err(self.fault(trouble)),
        };
        let created = info["created"].as_str().unwrap_or_default();
        let Some(incarnation) = Incarnation::read(created) else {
            // An old server shows a stream that is being made with a time of the year 1.
            return Ok(Round::Later);
        };
        if let Some(limits) = self.limits.filter(|_| self.change) {
            self.update_stream(&info["config"], most(limits)).await?;
        }
        let name = incarnation.consumer();
        let consumer = match self.ask("CONSUMER.INFO", &[&self.stream, &name], Bytes::new()).await {
            Ok(info) => info,
            Err(Trouble::Server(error)) if error.err_code == code::NO_CONSUMER => {
                return self.make_consumer(&name).await;
            }
            Err(Trouble::Server(error)) if error.err_code == code::NO_STREAM => return Ok(Round::Again),
            Err(trouble) => return Err(self.fault(trouble)),
        };
        if let Some(limits) = self.limits.filter(|_| self.change) {
            self.update_consumer(&name, &consumer["config"], limits).await?;
        }
        let ack_wait = consumer["config"]["ack_wait"].as_u64().map_or(self.settings.lease, Duration::from_nanos);
        Ok(Round::Present(Present { incarnation, ack_wait }))
    }

    async fn make_stream(&self) -> Result<Round, Fault> {
        let Some(limits) = self.limits else { return Ok(Round::Absent) };
        let subject = self.asker.names.jobs(self.queue);
        let config = jet::stream(&self.stream, &subject, most(limits), self.settings.file, self.settings.replicas);
        match self.ask("STREAM.CREATE", &[&self.stream], body(&config)).await {
            Ok(_) => Ok(Round::Again),
            // Another process was faster.
            Err(Trouble::Server(error)) if error.err_code == code::OTHER_STREAM_CONFIG => Ok(Round::Again),
            // An old server says so of a stream that another process is making.
            Err(Trouble::Server(error)) if error.err_code == code::SUBJECT_TAKEN => Ok(Round::Later),
            Err(Trouble::Fault(Fault::NotAllowed(_))) => Err(self.missing("stream")),
            Err(trouble) => Err(self.fault(trouble)),
        }
    }

    async fn make_consumer(&self, name: &str) -> Result<Round, Fault> {
        let Some(limits) = self.limits else { return Ok(Round::Absent) };
        let config = jet::consumer(name, running(limits), self.ack_wait());
        let request = json!({"stream_name": self.stream, "config": config});
        match self.ask("CONSUMER.DURABLE.CREATE", &[&self.stream, name], body(&request)).await {
            Ok(_) => Ok(Round::Again),
            Err(Trouble::Server(error)) if error.err_code == code::NO_STREAM => Ok(Round::Again),
            Err(Trouble::Fault(Fault::NotAllowed(_))) => Err(self.missing("consumer")),
            Err(trouble) => Err(self.fault(trouble)),
        }
    }

    /// Changes the limit of a stream, and leaves all else as the operator has made it.
    async fn update_stream(&self, config: &Value, most: i64) -> Result<(), Fault> {
        if config["max_msgs"].as_i64() == Some(most) {
            return Ok(());
        }
        let mut new = config.clone();
        new["max_msgs"] = json!(most);
        let outcome = self.ask("STREAM.UPDATE", &[&self.stream], body(&new)).await;
        self.changed(outcome, "jobs in all")
    }

    async fn update_consumer(&self, name: &str, config: &Value, limits: QueueLimits) -> Result<(), Fault> {
        let same = config["max_ack_pending"].as_u64() == Some(running(limits));
        if same && config["ack_wait"].as_u64() == Some(self.ack_wait()) {
            return Ok(());
        }
        let mut new = config.clone();
        new["max_ack_pending"] = json!(running(limits));
        new["ack_wait"] = json!(self.ack_wait());
        let request = json!({"stream_name": self.stream, "config": new});
        let outcome = self.ask("CONSUMER.DURABLE.CREATE", &[&self.stream, name], body(&request)).await;
        self.changed(outcome, "jobs at a time, and the lease")
    }

    /// A limit that the process may not change is the operator's.
    fn changed(&self, outcome: Result<Value, Trouble>, limit: &str) -> Result<(), Fault> {
        match outcome {
            Ok(_) => Ok(()),
            Err(Trouble::Fault(Fault::NotAllowed(_))) => {
                tracing::debug!(queue = self.queue, "heirloom-nats: the queue keeps the operator's limit of {limit}");
                Ok(())
            }
            Err(trouble) => Err(self.fault(trouble)),
        }
    }

    /// Asks the server, and once more for as long as it starts.
    async fn ask(&self, verb: &str, tokens: &[&str], body: Bytes) -> Result<Value, Trouble> {
        let subject = format!("$JS.API.{verb}.{}", tokens.join("."));
        let mut tries = 0;
        loop {
            let trouble = match self.asker.ask(&subject, body.clone()).await {
                Ok(value) => return Ok(value),
                Err(trouble) => trouble,
            };
            let wait = match &trouble {
                Trouble::Server(error) if code::NOT_NOW.contains(&error.err_code) => 100,
                Trouble::Fault(Fault::Gone) => 100,
                Trouble::Fault(Fault::NoAnswer(_)) => 1000,
                _ => return Err(trouble),
            };
            tries += wait;
            if tries > 3000 {
                return Err(trouble);
            }
            if wait < 1000 {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
        }
    }

    fn ack_wait(&self) -> u64 {
        u64::try_from(self.settings.lease.as_nanos()).unwrap_or(u64::MAX)
    }

    fn fault(&self, trouble: Trouble) -> Fault {
        match trouble {
            Trouble::Fault(Fault::Gone) => no_jetstream(),
            Trouble::Fault(fault) => fault,
            Trouble::Server(error) => match error.err_code {
                code::NOT_ENABLED | code::NOT_ENABLED_FOR_ACCOUNT => no_jetstream(),
                _ => Fault::Broken(format!("the queue {:?} cannot be made: {}", self.queue, error.description)),
            },
        }
    }

    fn missing(&self, part: &str) -> Fault {
        Fault::Broken(missing(part, self.asker.names.app(), self.queue, self.limits))
    }
}

/// Looks whether a worker may do all that it does to a queue. The server reports a missing right only when it is used.
pub(crate) async fn check_worker(asker: &Asker, queue: &str, present: Present) -> Result<(), Fault> {
    let (stream, consumer) = (asker.names.stream(queue), present.incarnation.consumer());
    // A request that the server cannot read gets no delivery, and no message has the number 0.
    asker.probe(&format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"), "{").await?;
    let (acknowledge, info) =
        (format!("$JS.ACK.{stream}.{consumer}.1.0.0.0.0"), format!("$JS.API.STREAM.INFO.{stream}"));
    tokio::select! {
        denied = asker.probe(&acknowledge, "+WPI") => denied,
        // The server does not answer it, but reports a missing right before it answers a later request. The client hands on a
        // report a moment later than an answer.
        () = async { drop(asker.raw(&info, Bytes::new()).await); tokio::time::sleep(REPORTED).await } => Ok(()),
    }
}

/// Returns the text for a queue that is not there, with the command that makes it.
pub(crate) fn missing(part: &str, app: &str, queue: &str, limits: Option<QueueLimits>) -> String {
    let running = limits.map_or_else(|| "N".into(), |limits| limits.running.to_string());
    let queued = limits.and_then(|limits| limits.queued).map(|queued| format!(" --queued {queued}"));
    format!(
        "the queue {queue:?} has no {part}, and this process may not make it; with an operator's credentials, run \
         `heirloom-nats setup --server URL --app {app} --queue {queue} --running {running}{}`",
        queued.unwrap_or_default()
    )
}

fn no_jetstream() -> Fault {
    Fault::Broken(
        "the server has no JetStream for this account; start it with `-js`, or enable it for the account".into(),
    )
}

/// The jobs that a stream may hold: those that wait, and those that are delivered and unsettled.
fn most(limits: QueueLimits) -> i64 {
    let all = limits.queued.map(|queued| queued.saturating_add(limits.running));
    all.map_or(-1, |all| i64::try_from(all.max(1)).unwrap_or(i64::MAX))
}

fn running(limits: QueueLimits) -> u64 {
    (limits.running as u64).clamp(1, i64::MAX as u64)
}

fn body(value: &Value) -> Bytes {
    value.to_string().into()
}
