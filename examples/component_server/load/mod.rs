//! The server under its own load: many clients over real HTTP.

mod client;
mod drive;
mod percentile;
mod report;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::file;
use crate::site::{Page, Site};
use drive::{Cost, Load, Target};
pub(crate) use report::Report;

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

    let began = Instant::now();
    let seen = load.run().await;
    Report { seen, pages, clients, took: began.elapsed() }
}

/// By the length of its file: colouring the code is most of a page's cost.
fn cost(site: &Site, page: &Page) -> Cost {
    match file::facts(site, page).map_or(0, |facts| facts.bytes) {
        ..3_000 => Cost::Cheap,
        15_000.. => Cost::Expensive,
        _ => Cost::Between,
    }
}
