//! Jobs over two hops of processes, and two versions of a job in two processes. The workers, and one origin, are this same
//! program, started again.

#![cfg(unix)]

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part of the helpers")]
#[path = "common/mod.rs"]
mod common;

use std::time::Duration;

use common::LONG;
use common::end;
use common::process::{Log, Process, eventually, park_for_ever};
use common::server::Server;
use heirloom::remote::{self, Job, TraceContext};
use heirloom::{ErrorKind, PoolConfig, PoolManager, Scope, TaskHandle};
use heirloom_nats::Nats;
use serde::{Deserialize, Serialize};

/// Long, since a process that the system lets wait for half of it loses its jobs.
const LEASE: Duration = end::LEASE.saturating_mul(2);
/// A time that no test waits for.
const MINUTE: u64 = 60_000;

/// The names of the first origin's scopes, and the headers of its trace, as a job sees them.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Standing {
    path: Vec<String>,
    headers: Vec<(String, String)>,
}

impl Standing {
    fn here() -> Self {
        let origin = heirloom::current().origin().expect("a job has one");
        let headers = TraceContext::current();
        Self {
            path: origin.path().map(String::from).collect(),
            headers: headers.iter().map(|(key, value)| (key.into(), value.into())).collect(),
        }
    }
}

/// The job of the last worker.
#[derive(Serialize, Deserialize)]
struct Last {
    log: Log,
    millis: u64,
}

impl Job for Last {
    const NAME: &'static str = "last";
    type Output = Standing;

    fn run(self) -> Standing {
        self.log.nap(2, self.millis);
        Standing::here()
    }
}

/// The job of the worker in the middle: it sends [`Last`] on from a scope of its own, and waits for its end.
#[derive(Serialize, Deserialize)]
struct Relay {
    log: Log,
    millis: u64,
}

impl Job for Relay {
    const NAME: &'static str = "relay";
    type Output = [Standing; 2];

    fn run(self) -> [Standing; 2] {
        let part = Scope::new("part 2");
        let last = Last { log: self.log.clone(), millis: self.millis };
        let last = part.run(|| heirloom::get("second").expect("the worker has it").send(last)).expect("accepted");
        self.log.note("begin", 1, 1);
        let last = last.join();
        self.log.note("back", 1, 1);
        [Standing::here(), last.expect("the last worker ran it")]
    }
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct OldOutput {
    bytes: usize,
}

#[derive(Serialize, Deserialize)]
struct Old {
    page: String,
}

impl Job for Old {
    const NAME: &'static str = "picture";
    type Output = OldOutput;

    fn run(self) -> OldOutput {
        OldOutput { bytes: self.page.len() }
    }
}

/// A version with one field more in the job and in its output.
#[derive(Serialize, Deserialize)]
struct New {
    page: String,
    #[serde(default)]
    width: u32,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct NewOutput {
    bytes: usize,
    #[serde(default)]
    scaled: bool,
}

impl Job for New {
    const NAME: &'static str = "picture";
    type Output = NewOutput;

    fn run(self) -> NewOutput {
        NewOutput { bytes: self.page.len(), scaled: self.width > 0 }
    }
}

/// A version whose new field has no default.
#[derive(Serialize, Deserialize)]
struct Strict {
    page: String,
    height: u32,
}

impl Job for Strict {
    const NAME: &'static str = "picture";
    type Output = OldOutput;

    fn run(self) -> OldOutput {
        OldOutput { bytes: self.page.len() * self.height as usize }
    }
}

fn open(url: &str) -> Nats {
    heirloom_nats::connect(url).app("hops").lease(LEASE).open().expect("a connection")
}

/// Serves a queue with one job until the process is killed.
fn serve<J: Job>(nats: &Nats, queue: &str) -> ! {
    let here = heirloom::create("here");
    here.start(PoolConfig::leased(2)).expect("starts");
    let _serving = remote::serve(nats.queue(queue), &here).job::<J>().start().expect("serves");
    park_for_ever()
}

/// The part of a child process. The harness runs it in each run, where it has nothing to do.
#[test]
fn a_child_plays_its_part() {
    let Some(([part, argument, url], _)) = Process::part() else { return };
    let nats = open(&url);
    match part.as_str() {
        "origin" => {
            let first = heirloom::create("first");
            first.start(PoolConfig::remote(4, nats.queue("first"))).expect("starts");
            let _task = first.send(Relay { log: Log::at(&argument), millis: MINUTE }).expect("accepted");
            park_for_ever()
        }
        "middle" => {
            heirloom::create("second").start(PoolConfig::remote(4, nats.queue("second"))).expect("starts");
            serve::<Relay>(&nats, "first")
        }
        "last" => serve::<Last>(&nats, "second"),
        "old" => serve::<Old>(&nats, "first"),
        "new" => serve::<New>(&nats, "first"),
        "strict" => serve::<Strict>(&nats, "first"),
        part => panic!("no part {part}"),
    }
}

/// An origin in this process.
struct World {
    server: Server,
    _nats: Nats,
    scope: Scope,
    pool: PoolManager,
    log: Log,
}

impl World {
    /// `None` without a server.
    fn new() -> Option<Self> {
        let server = Server::plain()?;
        let nats = open(&server.url());
        let scope = Scope::new("test");
        let pool = scope.create("first");
        pool.start(PoolConfig::remote(4, nats.queue("first"))).expect("starts");
        let log = Log::of(&server);
        Some(Self { server, _nats: nats, scope, pool, log })
    }

    fn process(&self, part: &str) -> Process {
        Process::start(&self.server, LEASE, part, "-")
    }

    /// Starts the workers of both hops: that in the middle, and the last one.
    fn hops(&self) -> [Process; 2] {
        ["middle", "last"].map(|part| self.process(part))
    }

    fn relay(&self, millis: u64) -> Relay {
        Relay { log: self.log.clone(), millis }
    }

    /// Waits until the jobs of both hops have begun.
    fn have_begun(&self) {
        eventually("both jobs have begun", || self.log.count("begin") == 2);
    }

    fn last_is_cancelled(&self) {
        eventually("the last job is cancelled", || self.log.count("cancel") == 1);
    }

    fn join<T>(&self, task: TaskHandle<T>) -> Result<T, heirloom::Error> {
        task.join_timeout(LONG).unwrap_or_else(|_| panic!("the job hangs\n{}", self.server.log()))
    }
}

#[test]
fn a_client_that_gives_up_stops_the_second_hop() {
    let Some(world) = World::new() else { return };
    let _hops = world.hops();
    let call = world.pool.send(world.relay(MINUTE)).expect("accepted").cancel_on_drop();
    world.have_begun();
    drop(call);
    world.last_is_cancelled();
    eventually("the first hop has its result", || world.log.count("back") == 1);
}

#[test]
fn a_dropped_scope_stops_the_second_hop() {
    let Some(world) = World::new() else { return };
    let _hops = world.hops();
    let request = Scope::new_in(&world.scope, "request 7");
    let task = request.run(|| world.pool.send(world.relay(MINUTE))).expect("accepted");
    world.have_begun();
    drop(request);
    world.last_is_cancelled();
    assert!(world.join(task).is_ok(), "it saw the request, and returned");
}

#[test]
fn a_dropped_scope_reaches_the_second_hop_past_a_paused_first_one() {
    let Some(world) = World::new() else { return };
    let [middle, _last] = world.hops();
    let request = Scope::new_in(&world.scope, "request 7");
    let task = request.run(|| world.pool.send(world.relay(MINUTE))).expect("accepted");
    world.have_begun();
    middle.signal(libc::SIGSTOP);
    drop(request);
    world.last_is_cancelled();
    middle.signal(libc::SIGCONT);
    // The first hop counts as dead, or not, and its job has ended in both cases.
    drop(world.join(task));
}

#[test]
fn the_death_of_the_origin_stops_both_hops() {
    let Some(world) = World::new() else { return };
    let _hops = world.hops();
    let origin = Process::start(&world.server, LEASE, "origin", &world.log.path().display().to_string());
    world.have_begun();
    origin.kill();
    world.last_is_cancelled();
    eventually("the first hop has its result", || world.log.count("back") == 1);
}

#[test]
fn the_death_of_the_first_hop_stops_the_second_one() {
    let Some(world) = World::new() else { return };
    let [middle, _last] = world.hops();
    let task = world.pool.send(world.relay(MINUTE)).expect("accepted");
    world.have_begun();
    middle.kill();
    world.last_is_cancelled();
    assert_eq!(world.join(task).expect_err("its worker was killed").kind(), ErrorKind::WorkerLost);
}

#[test]
fn each_hop_has_the_whole_path_and_the_first_headers() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let Some(world) = World::new() else { return };
    let _hops = world.hops();
    let request = Scope::new_in(&world.scope, "request 7: \u{e4}\r\n");
    let mut context = TraceContext::new();
    context.set("traceparent", PARENT);
    context.set("baggage", "tenant=acme");
    context.bind_at(&request).expect("open");
    let task = request.run(|| world.pool.send(world.relay(0))).expect("accepted");
    let [first, second] = world.join(task).expect("both ran");
    assert_eq!(first.path, ["test", "request 7: \u{e4}\r\n"]);
    assert_eq!(second.path, ["test", "request 7: \u{e4}\r\n", "part 2"]);
    let headers = [("traceparent", PARENT), ("baggage", "tenant=acme")].map(|(key, value)| (key.into(), value.into()));
    assert_eq!([first.headers, second.headers], [headers.to_vec(), headers.to_vec()]);
}

#[test]
fn two_versions_of_a_job_meet_in_two_processes() {
    let Some(world) = World::new() else { return };
    let page = || "page".to_string();
    let worker = world.process("new");
    let task = world.pool.send(Old { page: page() }).expect("accepted");
    assert_eq!(world.join(task).expect("a new worker runs an old job"), OldOutput { bytes: 4 });
    worker.kill();
    let _worker = world.process("old");
    let task = world.pool.send(New { page: page(), width: 200 }).expect("accepted");
    let output = world.join(task).expect("an old worker runs a new job");
    assert_eq!(output, NewOutput { bytes: 4, scaled: false });
}

#[test]
fn a_job_without_a_field_that_the_worker_needs_is_not_understood_and_named() {
    let Some(world) = World::new() else { return };
    let _worker = world.process("strict");
    let task = world.pool.send(Old { page: "page".into() }).expect("accepted");
    let error = world.join(task).expect_err("no version of it");
    assert_eq!(error.kind(), ErrorKind::NotUnderstood);
    let text = error.to_string();
    assert!(text.contains("picture") && text.contains("height"), "{text}");
}

#[test]
fn a_job_that_the_worker_does_not_know_is_not_understood_and_blocks_no_other() {
    let Some(world) = World::new() else { return };
    let _worker = world.process("old");
    let unknown = world.pool.send(world.relay(0)).expect("accepted");
    let known = world.pool.send(Old { page: "page".into() }).expect("accepted");
    let error = world.join(unknown).expect_err("the worker has no such job");
    assert_eq!(error.kind(), ErrorKind::NotUnderstood);
    assert!(error.as_task().is_some_and(|error| !error.maybe_ran()));
    let text = error.to_string();
    assert!(text.contains("relay") && text.contains("picture"), "{text}");
    assert_eq!(world.join(known).expect("runs"), OldOutput { bytes: 4 });
}
