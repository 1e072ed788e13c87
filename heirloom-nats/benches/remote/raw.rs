//! [`Raw`]: plain NATS, without heirloom.

use std::sync::mpsc;

use async_nats::jetstream::{self, consumer, stream};
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};

/// The runtime of each end: one thread.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// Makes a work queue in memory.
pub(crate) async fn work_queue(jet: &jetstream::Context, name: &str, subject: &str) -> stream::Stream {
    let config = stream::Config {
        name: name.into(),
        subjects: vec![subject.into()],
        retention: stream::RetentionPolicy::WorkQueue,
        storage: stream::StorageType::Memory,
        ..stream::Config::default()
    };
    jet.create_stream(config).await.expect("a stream")
}

/// Makes the consumer of a work queue.
pub(crate) async fn consumer(queue: &stream::Stream) -> consumer::PullConsumer {
    let config = consumer::pull::Config { durable_name: Some("worker".into()), ..consumer::pull::Config::default() };
    queue.create_consumer(config).await.expect("a consumer")
}

/// A plain request of NATS, and a work queue of JetStream whose result is a confirmed request to the sender.
pub(crate) struct Raw {
    client: async_nats::Client,
    jet: jetstream::Context,
    runtime: Runtime,
    results: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl Raw {
    pub(crate) fn new(url: &str) -> Self {
        let runtime = runtime();
        let (told, results) = mpsc::channel();
        let (client, jet) = runtime.block_on(async {
            let client = async_nats::connect(url).await.expect("a connection");
            let mut echo = client.subscribe("raw.echo").await.expect("subscribed");
            let answers = client.clone();
            tokio::spawn(async move {
                while let Some(asked) = echo.next().await {
                    let reply = asked.reply.expect("a request");
                    answers.publish(reply, asked.payload).await.expect("sent");
                }
            });
            // The sender's half that takes results, and confirms each.
            let origin = async_nats::connect(url).await.expect("a connection");
            let mut inbox = origin.subscribe("raw.result").await.expect("subscribed");
            tokio::spawn(async move {
                while let Some(result) = inbox.next().await {
                    origin.publish(result.reply.expect("a request"), "".into()).await.expect("sent");
                    told.send(()).expect("the bench listens");
                }
            });
            let jet = jetstream::new(client.clone());
            let jobs = consumer(&work_queue(&jet, "raw", "raw.job").await).await;
            let worker = async_nats::connect(url).await.expect("a connection");
            tokio::spawn(async move {
                let mut jobs = jobs.messages().await.expect("jobs");
                while let Some(Ok(job)) = jobs.next().await {
                    let worker = worker.clone();
                    tokio::spawn(async move {
                        worker.request("raw.result", job.payload.len().to_string().into()).await.expect("confirmed");
                        job.ack().await.expect("acknowledged");
                    });
                }
            });
            client.flush().await.expect("flushed");
            (client, jet)
        });
        Self { client, jet, runtime, results: std::sync::Mutex::new(results) }
    }

    /// Sends so many requests together, and waits for all replies.
    pub(crate) fn requests(&self, data: &[u8], count: usize) {
        let request =
            |_| async { drop(self.client.request("raw.echo", data.to_vec().into()).await.expect("answered")) };
        self.runtime.block_on(join_all((0..count).map(request)));
    }

    pub(crate) fn jobs(&self, data: &[u8], count: usize) {
        for _ in 0..count {
            let data = data.to_vec();
            self.runtime.block_on(async { drop(self.jet.publish("raw.job", data.into()).await.expect("sent")) });
        }
        let results = self.results.lock().expect("one user");
        (0..count).for_each(|_| results.recv().expect("a result"));
    }
}
