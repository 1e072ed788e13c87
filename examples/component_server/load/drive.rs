//! Many clients at a time, some of which hang up in the middle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::client::Client;

/// An answer that takes longer counts as none.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an impatient client waits before it hangs up: the server has begun with the page by then.
const IMPATIENCE: Duration = Duration::from_millis(3);

pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) cost: Cost,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    Cheap,
    Between,
    Expensive,
}

#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// Requested in turn.
    pub(crate) targets: Arc<[Target]>,
    pub(crate) clients: usize,
    /// How many of a hundred requests are given up.
    pub(crate) disconnect: usize,
    pub(crate) requests: usize,
    /// Even if not all requests were sent by then.
    pub(crate) at_most: Duration,
}

/// The clients' numbers.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) latencies: Vec<(Cost, Duration)>,
    pub(crate) hung_up: usize,
    pub(crate) bytes: u64,
    pub(crate) failures: Vec<String>,
}

impl Load {
    pub(crate) async fn run(self) -> Seen {
        let next = Arc::new(AtomicUsize::new(0));
        let mut running = JoinSet::new();
        for _ in 0..self.clients {
            running.spawn(self.clone().one_client(next.clone()));
        }
        let mut all = Seen::default();
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(seen) => all.add(seen),
                Err(error) => all.failures.push(format!("a client ended early: {error}")),
            }
        }
        all
    }

    async fn one_client(self, next: Arc<AtomicUsize>) -> Seen {
        let mut client = Client::new(self.address);
        let mut seen = Seen::default();
        let start = Instant::now();
        loop {
            let at = next.fetch_add(1, Relaxed);
            if at >= self.requests || start.elapsed() >= self.at_most {
                return seen;
            }
            let Target { path, cost } = &self.targets[at % self.targets.len()];
            // 61 and 100 have no common divisor, so each hundred has its share, and not all at once.
            if at * 61 % 100 < self.disconnect {
                match client.hang_up(path, IMPATIENCE).await {
                    Ok(()) => seen.hung_up += 1,
                    Err(error) => seen.failures.push(format!("{path}, to hang up: {error}")),
                }
                continue;
            }
            let began = Instant::now();
            match timeout(PATIENCE, client.get(path)).await {
                Ok(Ok(answer)) if answer.is_whole() => {
                    seen.latencies.push((*cost, began.elapsed()));
                    seen.bytes += answer.body.len() as u64;
                }
                Ok(Ok(answer)) => {
                    seen.failures.push(format!("{path}: status {}, {} bytes", answer.status, answer.body.len()));
                }
                Ok(Err(error)) => seen.failures.push(format!("{path}: {error}")),
                Err(_) => {
                    seen.failures.push(format!("{path}: no answer within {PATIENCE:?}"));
                    // The answer may still come, and must not be taken for the next one's.
                    client = Client::new(self.address);
                }
            }
        }
    }
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.latencies.extend(other.latencies);
        self.hung_up += other.hung_up;
        self.bytes += other.bytes;
        self.failures.extend(other.failures);
    }

    /// Those of pages of one cost, sorted.
    pub(crate) fn of(&self, cost: Cost) -> Vec<Duration> {
        self.sorted(|is| is == cost)
    }

    /// Those of some pages, sorted.
    pub(crate) fn sorted(&self, some: impl Fn(Cost) -> bool) -> Vec<Duration> {
        let mut of: Vec<_> = self.latencies.iter().filter(|(is, _)| some(*is)).map(|(_, took)| *took).collect();
        of.sort_unstable();
        of
    }
}
