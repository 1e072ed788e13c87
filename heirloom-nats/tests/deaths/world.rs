//! [`World`]: a server, and an origin in this process; and the jobs that it sends.

use std::time::Duration;

use heirloom::remote::Job;
use heirloom::{PoolConfig, PoolManager, Scope};
use heirloom_nats::Nats;
use serde::{Deserialize, Serialize};

use crate::common::LONG;
use crate::common::end::{CALM, LEASE};
use crate::common::process::{Log, Process};
use crate::common::server::Server;

/// Naps, and writes its begin and its end into the log.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Nap {
    pub(crate) log: Log,
    pub(crate) number: usize,
    pub(crate) millis: u64,
}

impl Nap {
    fn run(&self) -> bool {
        self.log.nap(self.number, self.millis)
    }
}

/// A job that begins at most once.
#[derive(Serialize, Deserialize)]
pub(crate) struct Once(pub(crate) Nap);

impl Job for Once {
    const NAME: &'static str = "once";
    type Output = bool;

    fn run(self) -> bool {
        self.0.run()
    }
}

/// A job that may begin again.
#[derive(Serialize, Deserialize)]
pub(crate) struct Again(pub(crate) Nap);

impl Job for Again {
    const NAME: &'static str = "again";
    const REPEATABLE: bool = true;
    type Output = bool;

    fn run(self) -> bool {
        self.0.run()
    }
}

/// An origin in this process, with a log of its jobs.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) lease: Duration,
    pub(crate) nats: Nats,
    pub(crate) scope: Scope,
    pub(crate) pool: PoolManager,
    pub(crate) log: Log,
}

impl World {
    /// For a test in which a lease ends: a long one, since a process that the system lets wait for half of it loses its jobs. `None`
    /// without a server.
    pub(crate) fn new(running: usize) -> Option<Self> {
        Self::with_lease(running, LEASE * 2)
    }

    /// For a test in which no lease ends.
    pub(crate) fn calm(running: usize) -> Option<Self> {
        Self::with_lease(running, CALM)
    }

    fn with_lease(running: usize, lease: Duration) -> Option<Self> {
        let server = Server::plain()?;
        let nats = open(&server.url(), lease);
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::remote(running, nats.queue("work"))).expect("starts");
        let log = Log::of(&server);
        Some(Self { server, lease, nats, scope, pool, log })
    }

    pub(crate) fn nap(&self, number: usize, millis: u64) -> Nap {
        Nap { log: self.log.clone(), number, millis }
    }

    pub(crate) fn worker(&self, permits: usize) -> Process {
        Process::start(&self.server, self.lease, "worker", &permits.to_string())
    }
}

pub(crate) fn open(url: &str, lease: Duration) -> Nats {
    heirloom_nats::connect(url).app("deaths").lease(lease).timeout(LONG).open().expect("a connection")
}
