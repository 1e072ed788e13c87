//! [`Threads`]: plain NATS, without heirloom, as code that blocks uses it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_nats::jetstream::{self, Message};
use futures_util::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::raw::{consumer, runtime, work_queue};

/// The waits of callers, by the numbers of their jobs.
type Waits = Arc<Mutex<HashMap<u64, oneshot::Sender<usize>>>>;

/// The work queue and the messages of [`Raw`](crate::raw::Raw), between threads that may block.
///
/// A caller is a thread outside of all runtimes, and waits for the result of its own job. The job's body runs on a thread of
/// `spawn_blocking`. Each end has a connection, and a runtime with one thread.
pub(crate) struct Threads {
    origin: Runtime,
    jet: jetstream::Context,
    waits: Waits,
    last: AtomicU64,
    _worker: Runtime,
}

impl Threads {
    pub(crate) fn new(url: &str) -> Self {
        let (origin, worker) = (runtime(), runtime());
        let waits = Waits::default();
        let jet = origin.block_on(open_origin(url, Arc::clone(&waits)));
        worker.block_on(open_worker(url));
        Self { origin, jet, waits, last: AtomicU64::new(0), _worker: worker }
    }

    /// Sends so many jobs, then waits for each result in turn.
    pub(crate) fn jobs(&self, data: &[u8], count: usize) {
        let sent: Vec<_> = (0..count).map(|_| self.send(data.to_vec())).collect();
        assert!(sent.into_iter().all(|result| result.blocking_recv() == Ok(data.len())));
    }

    fn send(&self, data: Vec<u8>) -> oneshot::Receiver<usize> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let (sender, result) = oneshot::channel();
        self.waits.lock().expect("no panic under it").insert(number, sender);
        let jet = self.jet.clone();
        self.origin.spawn(async move {
            drop(jet.publish(format!("threads.job.{number}"), data.into()).await.expect("sent"));
        });
        result
    }
}

/// Makes the queue, and takes results from now on. Each is confirmed, and given to its caller.
async fn open_origin(url: &str, waits: Waits) -> jetstream::Context {
    let client = async_nats::connect(url).await.expect("a connection");
    let mut inbox = client.subscribe("threads.result.*").await.expect("subscribed");
    let jet = jetstream::new(client.clone());
    work_queue(&jet, "threads", "threads.job.*").await;
    tokio::spawn(async move {
        while let Some(result) = inbox.next().await {
            client.publish(result.reply.expect("a request"), "".into()).await.expect("sent");
            let caller = waits.lock().expect("no panic under it").remove(&number(&result.subject));
            let length = std::str::from_utf8(&result.payload).ok().and_then(|text| text.parse().ok());
            caller.expect("a caller").send(length.expect("a number")).expect("the caller waits");
        }
    });
    jet
}

/// Takes jobs from now on.
async fn open_worker(url: &str) {
    let client = async_nats::connect(url).await.expect("a connection");
    let queue = jetstream::new(client.clone()).get_stream("threads").await.expect("the stream");
    let jobs = consumer(&queue).await;
    tokio::spawn(async move {
        let mut jobs = jobs.messages().await.expect("jobs");
        while let Some(Ok(job)) = jobs.next().await {
            tokio::spawn(run(client.clone(), job));
        }
    });
}

async fn run(client: async_nats::Client, job: Message) {
    let data = job.payload.clone();
    let length = tokio::task::spawn_blocking(move || data.len()).await.expect("no panic");
    let result = format!("threads.result.{}", number(&job.subject));
    client.request(result, length.to_string().into()).await.expect("confirmed");
    job.ack().await.expect("acknowledged");
}

/// Returns the number of a job, which ends its subject.
fn number(subject: &str) -> u64 {
    subject.rsplit('.').next().and_then(|token| token.parse().ok()).expect("a number")
}
