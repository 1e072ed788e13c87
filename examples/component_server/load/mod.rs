//! The server under its own load: many clients over real HTTP, and what there is to check afterwards.

mod client;
mod drive;
mod percentile;
mod report;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::file;
use crate::process;
use crate::site::{Page, Site};
use drive::{Cost, Load, Target};
pub(crate) use report::Report;

/// How long the last workers have to let go of the last request's pool. Its answer does not wait for that.
const SETTLING: Duration = Duration::from_secs(2);

/// Sends `requests` to all pages in turn and to the tree, from `clients` at a time.
pub(crate) async fn run(
    address: SocketAddr,
    site: &Site,
    requests: usize,
    clients: usize,
    disconnect: usize,
) -> Report {
    let target = |page: &Page| Target { path: page.href.clone(), cost: cost(site, page) };
    let mut targets: Vec<_> = site.pages.iter().map(target).collect();
    targets.push(Target { path: "/".into(), cost: cost(site, &site.pages[0]) });
    targets.push(Target { path: "/tree.txt".into(), cost: Cost::Cheap });
    let pages = targets.len();
    let clients = clients.min(requests);
    let load = Load { address, targets: targets.into(), clients, disconnect, requests, at_most: Duration::MAX };

    let most = Arc::new(AtomicUsize::new(0));
    let watching = tokio::spawn(watch_threads(most.clone()));
    let began = Instant::now();
    let seen = load.run().await;
    let took = began.elapsed();
    watching.abort();
    Report { seen, pages, clients, took, leftover: settle().await, threads: most.load(Relaxed) }
}

/// By the length of its file: colouring its code is what a page costs.
fn cost(site: &Site, page: &Page) -> Cost {
    match file::facts(site, page).map_or(0, |facts| facts.bytes) {
        ..3_000 => Cost::Cheap,
        15_000.. => Cost::Expensive,
        _ => Cost::Between,
    }
}

/// Keeps the most threads of heirloom's that there were at once.
async fn watch_threads(most: Arc<AtomicUsize>) {
    loop {
        most.fetch_max(heirloom::threads::stats().live, Relaxed);
        tokio::time::sleep(Duration::from_millis(2)).await;
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
