//! apalis over Redis. A result is in Redis, where `persist_results` keeps it, which is on by default.
//!
//! A worker looks for jobs by a poll strategy of its user. `RedisStorageFactory` would have Redis notify it, but the push of
//! apalis-redis 1.0.0 schedules each job for "now", and notifies of none. So the worker looks each millisecond, which is as quick as
//! tokio's timer, and only in a turn, so that it takes no time from other peers.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// The time between two looks of the worker, and of a sender that looks itself.
const LOOK: Duration = Duration::from_millis(1);

use crate::{Peer, runtime};

/// Its queue carries JSON, so the data is text.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Echo {
    data: String,
}

/// How the sender gets results.
#[derive(Clone, Copy)]
pub(crate) enum Results {
    /// By apalis's own wait, which looks each 100 ms.
    Waited,
    /// By looks of the sender's code.
    Polled,
}

/// A sender, and a worker on a runtime of its own.
pub(crate) struct Apalis {
    storage: RedisStorage<Echo>,
    results: Results,
    runtime: Runtime,
    turn: watch::Sender<bool>,
}

impl Apalis {
    pub(crate) fn start(redis: &str, results: Results) -> Self {
        let queue = match results {
            Results::Waited => "waited",
            Results::Polled => "polled",
        };
        let config = || Config::default().queue(queue);
        let (worker, runtime) = (runtime(), runtime());
        let connection = worker.block_on(apalis_redis::connect(redis)).expect("a connection");
        let turn = watch::Sender::new(false);
        let looks = Looks::new(turn.subscribe());
        let jobs = PollWith::new(RedisStorage::<Echo>::new(connection).with_config(config()), looks);
        // Its future is not `Send`; the jobs are.
        std::thread::spawn(move || {
            let work = async |echo: Echo| echo.data.len();
            let jobs = WorkerBuilder::new("peer").backend(jobs).parallelize(tokio::spawn).build(work);
            worker.block_on(jobs.run()).expect("it works");
        });
        let connection = runtime.block_on(apalis_redis::connect(redis)).expect("a connection");
        let storage = RedisStorage::new(connection).with_config(config());
        Self { storage, results, runtime, turn }
    }
}

impl Peer for Apalis {
    fn turn(&mut self, data: &str, count: usize) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (storage, results) = (&mut self.storage, self.results);
        self.turn.send_replace(true);
        let lengths: Vec<usize> = self.runtime.block_on(async move {
            let ids: Vec<TaskId> = (0..count).map(|_| TaskId::from_int(NEXT.fetch_add(1, Ordering::Relaxed))).collect();
            let echo = |id: &TaskId| TaskBuilder::new(Echo { data: data.into() }).task_id(id.clone()).build();
            let tasks: Vec<Task<Echo>> = ids.iter().map(echo).collect();
            storage.push_all(futures_util::stream::iter(tasks)).await.expect("sent");
            match results {
                Results::Waited => wait(storage, ids).await,
                Results::Polled => poll(storage, ids).await,
            }
        });
        self.turn.send_replace(false);
        assert!(lengths.len() == count && lengths.iter().all(|length| *length == data.len()));
    }
}

/// The moments at which the worker looks.
struct Looks(Pin<Box<dyn Stream<Item = ()> + Send>>);

impl Looks {
    fn new(turn: watch::Receiver<bool>) -> Self {
        let next = async |mut turn: watch::Receiver<bool>| {
            tokio::time::sleep(LOOK).await;
            turn.wait_for(|in_turn| *in_turn).await.ok()?;
            Some(((), turn))
        };
        Self(Box::pin(futures_util::stream::unfold(turn, next).fuse()))
    }
}

impl PollStrategy for Looks {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut due = false;
        // Until the next moment has registered the waker. `IntervalStrategy` registers none in the call in which it is due: if a
        // look for jobs ends without one in that call, the worker sleeps until its heartbeat, after 30 s.
        while let Poll::Ready(Some(())) = self.0.poll_next_unpin(cx) {
            due = true;
        }
        if due { Poll::Ready(Some(())) } else { Poll::Pending }
    }
}

async fn wait(storage: &mut RedisStorage<Echo>, ids: Vec<TaskId>) -> Vec<usize> {
    let results = storage.wait_for(ids).map(|result| length(result.expect("a result")));
    results.collect().await
}

async fn poll(storage: &mut RedisStorage<Echo>, ids: Vec<TaskId>) -> Vec<usize> {
    let mut open: HashSet<TaskId> = ids.into_iter().collect();
    let mut lengths = Vec::new();
    while !open.is_empty() {
        let found: Vec<TaskResult<usize>> = storage.check_status(open.iter().cloned()).await.expect("looked");
        if found.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
        for result in found {
            open.remove(result.task_id());
            lengths.push(length(result));
        }
    }
    lengths
}

fn length(result: TaskResult<usize>) -> usize {
    result.take().expect("the job has a value")
}
