//! A cluster of three servers, of which the leader of a queue is killed.

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part of the helpers")]
#[path = "common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::server::{Server, Setup, lasting_port};
use heirloom::remote::{self, Job, Serving};
use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};
use heirloom_nats::Nats;
use serde::{Deserialize, Serialize};

/// Servers elect a leader within some ten seconds.
const LONG: Duration = Duration::from_secs(90);
const LEASE: Duration = Duration::from_secs(2);

/// How often each job has begun.
static BEGUN: Mutex<Option<HashMap<u64, u32>>> = Mutex::new(None);

#[derive(Serialize, Deserialize)]
struct Numbered(u64);

impl Job for Numbered {
    const NAME: &'static str = "numbered";
    type Output = u64;

    fn run(self) -> u64 {
        *BEGUN.lock().expect("no panic under it").get_or_insert_default().entry(self.0).or_default() += 1;
        let _ = heirloom::sleep(Duration::from_millis(20));
        self.0
    }
}

/// Starts three servers. `None` on a machine that has none.
fn cluster() -> Option<Vec<Server>> {
    let ports = [(); 3].map(|()| lasting_port());
    let routes = ports.map(|port| format!("nats-route://127.0.0.1:{port}")).join(", ");
    let start = |at: usize| {
        let listen = format!("listen: \"127.0.0.1:{}\"", ports[at]);
        let config = format!("server_name: n{at}\ncluster {{ name: c, {listen}, routes: [{routes}] }}");
        Setup::default().config(&config).start()
    };
    (0..3).map(start).collect()
}

fn open(servers: &[Server], replicas: usize) -> Nats {
    let urls: Vec<String> = servers.iter().map(Server::url).collect();
    heirloom_nats::connect(urls.join(",")).app("shop").lease(LEASE).replicas(replicas).open().expect("a connection")
}

/// Returns the number of the server that leads the stream; `None` while there is no leader.
async fn leader(servers: &[Server]) -> Option<usize> {
    for server in servers {
        let Ok(client) = async_nats::connect(server.url()).await else { continue };
        let Ok(mut stream) = async_nats::jetstream::new(client).get_stream("hl=shop=q").await else { continue };
        let Ok(info) = stream.info().await else { continue };
        if let Some(leader) = info.cluster.as_ref().and_then(|cluster| cluster.leader.as_ref()) {
            return leader.strip_prefix('n')?.parse().ok();
        }
    }
    None
}

/// An origin and a worker of the cluster.
struct World {
    servers: Vec<Server>,
    runtime: tokio::runtime::Runtime,
    pool: PoolManager,
    worker: Nats,
    scope: Scope,
    _origin: Nats,
}

impl World {
    /// Starts the cluster and a pool. `None` without a server.
    fn new(replicas: usize) -> Option<Self> {
        let servers = cluster()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (origin, worker) = (open(&servers, replicas), open(&servers, replicas));
        let scope = Scope::new("test");
        let pool = scope.create("jobs");
        pool.start(PoolConfig::remote(8, origin.queue("q"))).expect("starts");
        Some(Self { servers, runtime, pool, worker, scope, _origin: origin })
    }

    fn serve(&self) -> Serving {
        let here = self.scope.create("here");
        here.start(PoolConfig::leased(8)).expect("starts");
        remote::serve(self.worker.queue("q"), &here).job::<Numbered>().start().expect("serves")
    }

    fn leader(&self) -> usize {
        let until = Instant::now() + LONG;
        loop {
            if let Some(leader) = self.runtime.block_on(leader(&self.servers)) {
                return leader;
            }
            assert!(Instant::now() < until, "the queue has no leader");
        }
    }

    fn send(&self, numbers: Range<u64>) -> Vec<(u64, TaskHandle<u64>)> {
        numbers.map(|number| (number, self.pool.send(Numbered(number)).expect("accepted"))).collect()
    }
}

fn join(tasks: Vec<(u64, TaskHandle<u64>)>) {
    for (number, task) in tasks {
        let Ok(value) = task.join_timeout(LONG) else { panic!("job {number} hangs") };
        assert_eq!(value.expect("runs"), number);
    }
}

/// Returns how often the jobs have begun, each one's number once.
fn begins(numbers: Range<u64>) -> Vec<u32> {
    let begun = BEGUN.lock().expect("no panic under it");
    numbers.map(|number| begun.as_ref().and_then(|begun| begun.get(&number)).copied().unwrap_or(0)).collect()
}

#[test]
fn the_death_of_a_queues_leader_delays_jobs_and_loses_none() {
    let Some(mut world) = World::new(3) else { return };
    let started = Instant::now();
    let _serving = world.serve();
    join(world.send(0..1));
    println!("the first job ended {:.1} s after the start of the cluster", started.elapsed().as_secs_f64());
    let leads = world.leader();
    let tasks = world.send(1..501);
    std::thread::sleep(Duration::from_millis(300));
    world.servers[leads].kill();
    let killed = Instant::now();
    join(tasks);
    println!("500 jobs ended {:.1} s after the leader's death", killed.elapsed().as_secs_f64());
    assert_eq!(begins(0..501), [1; 501]);
}

#[test]
fn a_queue_in_the_memory_of_one_server_of_a_cluster_is_filled_again() {
    let Some(mut world) = World::new(1) else { return };
    let tasks = world.send(1000..1050);
    let leads = world.leader();
    std::thread::sleep(Duration::from_millis(300));
    world.servers[leads].kill();
    std::thread::sleep(Duration::from_millis(300));
    world.servers[leads].start();
    let started = Instant::now();
    let _serving = world.serve();
    join(tasks);
    println!("50 jobs ended {:.1} s after the return of their server", started.elapsed().as_secs_f64());
    assert_eq!(begins(1000..1050), [1; 50]);
}
