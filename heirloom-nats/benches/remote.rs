//! A remote job's way and back, beside plain NATS. `cargo bench --package heirloom-nats`; `-- --quick` for a short run.
//!
//! All ends are in this process, with a connection each, on a server that the bench starts. The rows of a group take turns, so
//! that a busy minute of the machine hits all of them. Each row prints the median, and its ratio to the raw JetStream row.

#[allow(dead_code, unreachable_pub, reason = "a part of the helpers is used")]
#[path = "../tests/common/mod.rs"]
mod common;

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer, stream};
use common::server::Setup;
use futures_util::StreamExt;
use heirloom::remote::{self, Job};
use heirloom::{PoolConfig, PoolManager, Scope};
use heirloom_nats::Nats;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Echo {
    #[serde(with = "bytes_of")]
    data: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct EchoAgain {
    #[serde(with = "bytes_of")]
    data: Vec<u8>,
}

/// Bytes as one piece, and not as a list of numbers.
mod bytes_of {
    use serde::{Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(data: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(data)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, data: &[u8]) -> Result<Vec<u8>, E> {
                Ok(data.to_vec())
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

impl Job for Echo {
    const NAME: &'static str = "echo";
    type Output = usize;

    fn run(self) -> usize {
        self.data.len()
    }
}

impl Job for EchoAgain {
    const NAME: &'static str = "echo-again";
    const REPEATABLE: bool = true;
    type Output = usize;

    fn run(self) -> usize {
        self.data.len()
    }
}

static BEGUN: AtomicUsize = AtomicUsize::new(0);
static STOPPED: AtomicUsize = AtomicUsize::new(0);

#[derive(Serialize, Deserialize)]
struct Sleep;

impl Job for Sleep {
    const NAME: &'static str = "sleep";
    type Output = ();

    fn run(self) {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        if heirloom::sleep(Duration::from_secs(60)).is_err() {
            STOPPED.fetch_add(1, Ordering::SeqCst);
        }
    }
}

const CHILD: &str = "HEIRLOOM_NATS_BENCH_WORKER";

fn open(url: &str) -> Nats {
    heirloom_nats::connect(url).app("bench").lease(Duration::from_secs(2)).open().expect("a connection")
}

fn serve(nats: &Nats, name: &'static str, permits: usize) -> remote::Serving {
    let here = heirloom::create(name);
    here.start(PoolConfig::leased(permits)).expect("starts");
    let serve = remote::serve(nats.queue("bench"), &here).job::<Echo>().job::<EchoAgain>().job::<Sleep>();
    serve.start().expect("serves")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A plain request of NATS, and a work queue of JetStream whose result is a confirmed request to the sender.
struct Raw {
    client: async_nats::Client,
    jet: jetstream::Context,
    runtime: tokio::runtime::Runtime,
    results: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl Raw {
    fn new(url: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
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
            let config = stream::Config {
                name: "raw".into(),
                subjects: vec!["raw.job".into()],
                retention: stream::RetentionPolicy::WorkQueue,
                storage: stream::StorageType::Memory,
                ..stream::Config::default()
            };
            let queue = jet.create_stream(config).await.expect("a stream");
            let config =
                consumer::pull::Config { durable_name: Some("raw".into()), ..consumer::pull::Config::default() };
            let jobs = queue.create_consumer(config).await.expect("a consumer");
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

    fn request(&self, data: &[u8]) {
        let data = data.to_vec();
        self.runtime.block_on(async { self.client.request("raw.echo", data.into()).await.expect("answered") });
    }

    fn jobs(&self, data: &[u8], count: usize) {
        for _ in 0..count {
            let data = data.to_vec();
            self.runtime.block_on(async { drop(self.jet.publish("raw.job", data.into()).await.expect("sent")) });
        }
        let results = self.results.lock().expect("one user");
        (0..count).for_each(|_| results.recv().expect("a result"));
    }
}

fn jobs<J: Job<Output = usize>>(pool: &PoolManager, make: impl Fn() -> J, count: usize) {
    let sent: Vec<_> = (0..count).map(|_| pool.send(make()).expect("accepted")).collect();
    assert!(sent.into_iter().all(|task| task.join().is_ok()));
}

fn group(name: &str, rounds: usize, each: usize, rows: &[(&str, &dyn Fn())]) {
    let mut times: Vec<Vec<Duration>> = rows.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds + 3 {
        for ((_, row), times) in rows.iter().zip(&mut times) {
            let begun = Instant::now();
            row();
            if round >= 3 {
                times.push(begun.elapsed());
            }
        }
    }
    let medians: Vec<Duration> = times.into_iter().map(median).collect();
    let raw = medians[1].as_secs_f64();
    println!("\n{name}");
    for ((row, _), median) in rows.iter().zip(&medians) {
        let each = micros(*median) / each as f64;
        println!("  {row:<46} {each:>9.1} us   {:>5.2}", median.as_secs_f64() / raw);
    }
}

fn main() {
    if let Ok(url) = std::env::var(CHILD) {
        let nats = open(&url);
        let _serving = serve(&nats, "child", 4);
        loop {
            std::thread::park();
        }
    }
    let quick = std::env::args().any(|argument| argument == "--quick");
    let Some(server) = Setup::default().config("max_payload: 8388608").start() else { return };
    let url = server.url();
    let raw = Raw::new(&url);
    let (origin, worker) = (open(&url), open(&url));
    let scope = Scope::new("bench");
    let pool = scope.create("remote");
    pool.start(PoolConfig::remote(256, origin.queue("bench"))).expect("starts");
    let serving = serve(&worker, "here", 128);

    let rounds = if quick { 30 } else { 1_000 };
    for (name, size, count, rounds) in [
        ("one job of 100 bytes, way and back", 100, 1, rounds),
        ("64 jobs in flight, each", 100, 64, rounds / 10),
        ("one job of 1 MiB", 1 << 20, 1, rounds / 10),
    ] {
        let data = vec![7_u8; size];
        let make = || Echo { data: data.clone() };
        let again = || EchoAgain { data: data.clone() };
        group(
            name,
            rounds,
            count,
            &[
                ("a request of NATS", &|| (0..count).for_each(|_| raw.request(&data))),
                ("JetStream with a confirmed result", &|| raw.jobs(&data, count)),
                ("heirloom, repeatable", &|| jobs(&pool, again, count)),
                ("heirloom, begun at most once", &|| jobs(&pool, make, count)),
            ],
        );
    }

    let mut times = Vec::new();
    for _ in 0..if quick { 3 } else { 20 } {
        let request = Scope::new_in(&scope, "request");
        let (begun, stopped) = (BEGUN.load(Ordering::SeqCst), STOPPED.load(Ordering::SeqCst));
        let tasks: Vec<_> = (0..100).map(|_| request.run(|| pool.send(Sleep)).expect("accepted")).collect();
        while BEGUN.load(Ordering::SeqCst) < begun + 100 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let at = Instant::now();
        request.cancel();
        tasks.into_iter().for_each(|task| drop(task.join()));
        times.push(at.elapsed());
        assert_eq!(STOPPED.load(Ordering::SeqCst), stopped + 100);
    }
    println!(
        "\ncancel of a scope, until 100 running jobs have stopped and their handles know\n  {:>9.1} us",
        micros(median(times))
    );

    drop(serving.stop());
    let mut times = Vec::new();
    for _ in 0..if quick { 1 } else { 5 } {
        let child =
            Command::new(std::env::current_exe().expect("this program")).env(CHILD, &url).stdout(Stdio::null()).spawn();
        let mut child = child.expect("a process");
        // Runs at the child alone.
        let task = pool.send(Sleep).expect("accepted");
        while pool.stats().running == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let at = Instant::now();
        child.kill().expect("kill -9");
        child.wait().expect("ended");
        drop(task.join().expect_err("its worker was killed"));
        times.push(at.elapsed());
    }
    println!(
        "\ndeath of a worker, until its job's handle knows (lease 2 s, no other worker)\n  {:>9.1} ms",
        micros(median(times)) / 1e3
    );
    println!("\nThe second column is the ratio to JetStream with a confirmed result.");
}
