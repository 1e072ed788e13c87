//! A few clients at a time, each page in turn. One request in ten is for a heavy picture, and its client hangs up.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::answer::Answer;
use crate::client;
use crate::pages::Pages;
use crate::{svg, web};

const WIDTH: u32 = 200;
/// An answer that takes longer counts as none.
const PATIENCE: Duration = Duration::from_secs(30);
/// An impatient client hangs up after that time. Mostly its job has begun by then.
const IMPATIENCE: Duration = Duration::from_millis(25);
/// More drawings than any worker ends in a lifetime.
const HEAVY: u64 = u64::MAX;

pub(crate) struct Load {
    address: SocketAddr,
    pages: Vec<Expected>,
    clients: usize,
}

/// A page, and its picture as this process draws it.
struct Expected {
    path: String,
    svg: String,
}

/// Numbers of the clients.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) pages: usize,
    pub(crate) took: Vec<Duration>,
    pub(crate) bytes: usize,
    pub(crate) hung_up: u64,
    /// Pictures by worker.
    pub(crate) of_workers: BTreeMap<String, u64>,
    pub(crate) failures: Vec<String>,
}

struct Visit {
    number: u64,
    page: usize,
    impatient: bool,
}

impl Load {
    pub(crate) fn new(address: SocketAddr, pages: &Pages, clients: usize) -> std::io::Result<Self> {
        let mut expected = Vec::new();
        for name in pages.names() {
            let Some(file) = pages.file(name) else { continue };
            let Ok(svg) = svg::draw(&std::fs::read_to_string(file)?, WIDTH, || Ok::<(), Infallible>(()));
            expected.push(Expected { path: format!("/thumb/{}?width={WIDTH}", web::in_path(name)), svg });
        }
        Ok(Self { address, pages: expected, clients })
    }

    /// Gets each page's picture `rounds` times.
    pub(crate) async fn run(self, rounds: usize) -> Seen {
        let mut visits = VecDeque::new();
        for turn in 0..rounds * self.pages.len() {
            let page = turn % self.pages.len();
            visits.push_back(Visit { number: visits.len() as u64, page, impatient: false });
            if visits.len() % 10 == 9 {
                visits.push_back(Visit { number: visits.len() as u64, page, impatient: true });
            }
        }
        let (load, visits) = (Arc::new(self), Arc::new(Mutex::new(visits)));
        let mut clients = JoinSet::new();
        for _ in 0..load.clients {
            let (load, visits) = (load.clone(), visits.clone());
            clients.spawn(async move {
                let mut seen = Seen::default();
                let next = || visits.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(visit) = next() {
                    load.visit(&visit, &mut seen).await;
                }
                seen
            });
        }
        let mut all = Seen { pages: load.pages.len(), ..Seen::default() };
        while let Some(ended) = clients.join_next().await {
            match ended {
                Ok(seen) => all.add(seen),
                Err(error) => all.failures.push(format!("a client has failed: {error}")),
            }
        }
        all.took.sort_unstable();
        all
    }

    async fn visit(&self, visit: &Visit, seen: &mut Seen) {
        let Expected { path, svg } = &self.pages[visit.page];
        // Each request has values of its own, so a mix-up of two requests is seen.
        let tenant = format!("tenant-{}", visit.number);
        let trace = format!("00-{:032x}-{:016x}-01", visit.number + 1, visit.number + 1);
        let baggage = format!("visit={}", visit.number);
        let headers = [("x-tenant", &*tenant), ("traceparent", &*trace), ("baggage", &*baggage)];
        if visit.impatient {
            match client::send(self.address, &format!("{path}&times={HEAVY}"), &headers).await {
                Ok(connection) => {
                    sleep(IMPATIENCE).await;
                    drop(connection);
                    seen.hung_up += 1;
                }
                Err(error) => seen.failures.push(format!("{path}, to hang up: {error}")),
            }
            return;
        }
        let began = Instant::now();
        let answer = timeout(PATIENCE, async { client::read(client::send(self.address, path, &headers).await?).await });
        let problem = match answer.await {
            Err(_) => format!("no answer within {PATIENCE:?}"),
            Ok(Err(error)) => error.to_string(),
            Ok(Ok(answer)) => match wrong(&answer, svg, &headers) {
                Some(problem) => problem,
                None => {
                    seen.took.push(began.elapsed());
                    seen.bytes += answer.body.len();
                    *seen.of_workers.entry(answer.header("x-worker").unwrap_or_default().into()).or_default() += 1;
                    return;
                }
            },
        };
        seen.failures.push(format!("{path}: {problem}"));
    }
}

/// Returns the first thing that is wrong with an answer.
fn wrong(answer: &Answer, svg: &str, headers: &[(&str, &str)]) -> Option<String> {
    if answer.status != 200 {
        return Some(format!("status {}: {}", answer.status, answer.body.trim()));
    }
    if answer.body != svg {
        return Some(format!("a picture of {} bytes instead of {}", answer.body.len(), svg.len()));
    }
    let (name, sent) = headers.iter().find(|(name, sent)| answer.header(name) != Some(*sent))?;
    Some(format!("the job saw {:?} as {name} instead of {sent}", answer.header(name)))
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.took.extend(other.took);
        self.bytes += other.bytes;
        self.hung_up += other.hung_up;
        for (worker, pictures) in other.of_workers {
            *self.of_workers.entry(worker).or_default() += pictures;
        }
        self.failures.extend(other.failures);
    }

    /// Returns the time that `percent` of the answers did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.took.len() * percent).div_ceil(100).max(1);
        self.took.get(rank - 1).copied().unwrap_or_default()
    }
}
