//! The server under its own load: many clients over real HTTP, and what there is to check afterwards.

mod client;
mod percentile;
mod report;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::process;
use crate::site::Site;
use client::Client;
pub(crate) use report::Report;

/// An answer that takes longer counts as none.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the last workers have to let go of the last request's pool. Its answer does not wait for that.
const SETTLING: Duration = Duration::from_secs(2);

/// What one client saw.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    bytes: u64,
    failures: Vec<String>,
}

/// Sends `requests` to all pages in turn and to the tree, from `clients` at a time.
pub(crate) async fn run(address: SocketAddr, site: &Site, requests: usize, clients: usize) -> Report {
    let mut targets: Vec<String> = vec!["/".into(), "/tree".into()];
    targets.extend(site.pages.iter().map(|page| page.href.clone()));
    let targets: Arc<[String]> = targets.into();
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..clients.min(requests) {
        running.spawn(one_client(address, targets.clone(), next.clone(), requests));
    }
    let mut all = Seen::default();
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(seen) => all.add(seen),
            Err(error) => all.failures.push(format!("a client ended early: {error}")),
        }
    }
    let took = began.elapsed();
    Report::new(all, targets.len(), clients, took, settle().await)
}

async fn one_client(address: SocketAddr, targets: Arc<[String]>, next: Arc<AtomicUsize>, requests: usize) -> Seen {
    let mut client = Client::new(address);
    let mut seen = Seen::default();
    loop {
        let at = next.fetch_add(1, Relaxed);
        if at >= requests {
            return seen;
        }
        let target = &targets[at % targets.len()];
        let began = Instant::now();
        match timeout(PATIENCE, client.get(target)).await {
            Ok(Ok(answer)) if answer.status == 200 && answer.body.trim_ascii_end().ends_with(b"</html>") => {
                seen.latencies.push(began.elapsed());
                seen.bytes += answer.body.len() as u64;
            }
            Ok(Ok(answer)) => {
                seen.failures.push(format!("{target}: status {}, {} bytes", answer.status, answer.body.len()));
            }
            Ok(Err(error)) => seen.failures.push(format!("{target}: {error}")),
            Err(_) => {
                seen.failures.push(format!("{target}: no answer within {PATIENCE:?}"));
                // The answer may still come, and must not be taken for the next one's.
                client = Client::new(address);
            }
        }
    }
}

/// Waits until only the managers of the process are left, and says which others are there at last.
async fn settle() -> Vec<String> {
    let began = Instant::now();
    loop {
        let left = process::leftover_managers();
        if left.is_empty() || began.elapsed() > SETTLING {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.latencies.extend(other.latencies);
        self.bytes += other.bytes;
        self.failures.extend(other.failures);
    }
}
