//! An origin whose connection comes and goes, and whose messages get lost, keeps one message of each job that waits.

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part of the helpers")]
#[path = "common/mod.rs"]
mod common;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::LONG;
use common::end::LEASE;
use common::proxy::Proxy;
use common::server::Server;
use heirloom::remote::engine::Depth;
use heirloom::remote::{self, Job, Queue, Serving};
use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};
use heirloom_nats::Nats;
use serde::{Deserialize, Serialize};

/// The numbers of the jobs that have begun, in their order.
static BEGUN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

#[derive(Serialize, Deserialize)]
struct Numbered(u64);

impl Job for Numbered {
    const NAME: &'static str = "numbered";
    type Output = u64;

    fn run(self) -> u64 {
        BEGUN.lock().expect("no panic under it").push(self.0);
        self.0
    }
}

fn open(url: &str) -> Nats {
    heirloom_nats::connect(url).app("shop").lease(LEASE).open().expect("a connection")
}

fn depth(queue: &Queue) -> Option<Depth> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(queue.depth()).ok()
}

/// Returns the number of jobs that wait, by the first answer that comes.
fn queued(queue: &Queue) -> u64 {
    let mut depth_now = None;
    eventually("the server answers", || {
        depth_now = depth(queue);
        depth_now.is_some()
    });
    depth_now.map_or(0, |depth| depth.queued)
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < until, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn origin(nats: &Nats, queue: &str) -> (Scope, PoolManager) {
    let scope = Scope::new("origin");
    let pool = scope.create("jobs");
    // Twice as many messages as jobs would not fit.
    pool.start(PoolConfig::remote(1, nats.queue(queue)).queue_limit(12)).expect("starts");
    (scope, pool)
}

fn serve(nats: &Nats, queue: &str) -> (Scope, Serving) {
    let scope = Scope::new("worker");
    let here = scope.create("here");
    here.start(PoolConfig::leased(1)).expect("starts");
    let serving = remote::serve(nats.queue(queue), &here).job::<Numbered>().start().expect("serves");
    (scope, serving)
}

/// Joins the jobs, and looks that each has begun once, and in its turn.
fn each_runs_once_in_its_turn(tasks: Vec<TaskHandle<u64>>, first: u64) {
    let end = first + tasks.len() as u64;
    for (task, number) in tasks.into_iter().zip(first..) {
        let value = task.join_timeout(LONG).unwrap_or_else(|_| panic!("job {number} hangs"));
        assert_eq!(value.expect("runs"), number);
    }
    let begun = BEGUN.lock().expect("no panic under it");
    let ours: Vec<u64> = begun.iter().copied().filter(|number| (first..end).contains(number)).collect();
    assert_eq!(ours, (first..end).collect::<Vec<_>>());
}

#[test]
fn a_flapping_connection_adds_no_copies_and_keeps_the_turns() {
    let Some(server) = Server::plain() else { return };
    let proxy = Proxy::to(server.port());
    let (nats, watcher) = (open(&proxy.url()), open(&server.url()));
    let queue = watcher.queue("flapping");
    let (_scope, pool) = origin(&nats, "flapping");
    let tasks: Vec<_> = (0..10).map(|number| pool.send(Numbered(number)).expect("accepted")).collect();
    eventually("all jobs wait", || depth(&queue).is_some_and(|depth| depth.queued == 10));
    for _ in 0..20 {
        proxy.cut(true);
        eventually("the origin has lost its connection", || depth(&nats.queue("flapping")).is_none());
        proxy.cut(false);
        eventually("the origin is connected", || depth(&nats.queue("flapping")).is_some());
        assert_eq!(queued(&queue), 10);
    }
    // Two leases, after which it looks again without a reason.
    std::thread::sleep(LEASE * 3);
    assert_eq!(queued(&queue), 10);
    let (_worker, _serving) = serve(&watcher, "flapping");
    each_runs_once_in_its_turn(tasks, 0);
    eventually("no message is left", || depth(&queue).is_some_and(|depth| depth.queued + depth.running == 0));
}

#[test]
fn jobs_whose_messages_an_operator_has_removed_are_sent_again() {
    let Some(server) = Server::plain() else { return };
    let nats = open(&server.url());
    let queue = nats.queue("emptied");
    let (_scope, pool) = origin(&nats, "emptied");
    let tasks: Vec<_> = (100..110).map(|number| pool.send(Numbered(number)).expect("accepted")).collect();
    eventually("all jobs wait", || depth(&queue).is_some_and(|depth| depth.queued == 10));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let operator = async_nats::connect(server.url()).await.expect("a connection");
        let stream = async_nats::jetstream::new(operator).get_stream("hl=shop=emptied").await.expect("the stream");
        assert_eq!(stream.purge().await.expect("purged").purged, 10);
    });
    eventually("they wait again", || depth(&queue).is_some_and(|depth| depth.queued == 10));
    let (_worker, _serving) = serve(&nats, "emptied");
    each_runs_once_in_its_turn(tasks, 100);
}

#[test]
fn a_pool_that_starts_without_a_server_has_its_queue_and_limits_later() {
    let Some(mut server) = Server::plain() else { return };
    let nats = open(&server.url());
    let queue = nats.queue("later");
    server.kill();
    eventually("the connection is lost", || depth(&queue).is_none());
    let (_scope, pool) = origin(&nats, "later");
    let tasks: Vec<_> = (200..210).map(|number| pool.send(Numbered(number)).expect("accepted")).collect();
    server.start();
    eventually("all jobs wait", || depth(&queue).is_some_and(|depth| depth.queued == 10));
    let (_worker, _serving) = serve(&nats, "later");
    each_runs_once_in_its_turn(tasks, 200);
}
