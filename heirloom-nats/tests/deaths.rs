//! What the death of a process, or of the server, does to jobs. Workers and one origin are processes of their own: this same
//! program, started again.

#![cfg(unix)]

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part of the helpers")]
#[path = "common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::LONG;
use common::end::LEASE;
use common::process::{Log, Process, eventually, park_for_ever};
use common::server::Server;
use heirloom::remote::{self, Job};
use heirloom::{ErrorKind, PoolConfig, PoolManager, Scope};
use heirloom_nats::Nats;
use serde::{Deserialize, Serialize};

/// Naps, and writes its begin and its end into the log.
#[derive(Serialize, Deserialize, Clone)]
struct Nap {
    log: Log,
    number: usize,
    millis: u64,
}

impl Nap {
    fn run(&self) -> bool {
        self.log.nap(self.number, self.millis)
    }
}

/// A job that begins at most once.
#[derive(Serialize, Deserialize)]
struct Once(Nap);

impl Job for Once {
    const NAME: &'static str = "once";
    type Output = bool;

    fn run(self) -> bool {
        self.0.run()
    }
}

/// A job that may begin again.
#[derive(Serialize, Deserialize)]
struct Again(Nap);

impl Job for Again {
    const NAME: &'static str = "again";
    const REPEATABLE: bool = true;
    type Output = bool;

    fn run(self) -> bool {
        self.0.run()
    }
}

fn open(url: &str) -> Nats {
    heirloom_nats::connect(url).app("deaths").lease(LEASE).open().expect("a connection")
}

/// The part of a child process. The harness runs it in each run, where it has nothing to do.
#[test]
fn a_child_plays_its_part() {
    let Some([part, argument, url]) = Process::part() else { return };
    let nats = open(&url);
    let here = heirloom::create("work");
    if part == "origin" {
        here.start(PoolConfig::remote(4, nats.queue("work"))).expect("starts");
        let nap = Nap { log: Log::at(&argument), number: 0, millis: 60_000 };
        let _task = here.send(Once(nap)).expect("accepted");
        park_for_ever();
    }
    here.start(PoolConfig::leased(argument.parse().expect("a number of permits"))).expect("starts");
    let _serving = remote::serve(nats.queue("work"), &here).job::<Once>().job::<Again>().start().expect("serves");
    park_for_ever();
}

/// An origin in this process, with a log of its jobs.
struct World {
    server: Server,
    nats: Nats,
    scope: Scope,
    pool: PoolManager,
    log: Log,
}

impl World {
    /// `None` without a server.
    fn new(running: usize) -> Option<Self> {
        let server = Server::plain()?;
        let nats = open(&server.url());
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::remote(running, nats.queue("work"))).expect("starts");
        let log = Log::of(&server);
        Some(Self { server, nats, scope, pool, log })
    }

    fn nap(&self, number: usize, millis: u64) -> Nap {
        Nap { log: self.log.clone(), number, millis }
    }

    fn worker(&self, permits: usize) -> Process {
        Process::start(&self.server, "worker", &permits.to_string())
    }
}

#[test]
fn a_job_whose_worker_is_killed_is_lost_and_began_once() {
    let Some(world) = World::new(4) else { return };
    let first = world.worker(2);
    let task = world.pool.send(Once(world.nap(0, 60_000))).expect("accepted");
    eventually("the job has begun", || world.log.count("begin") == 1);
    first.kill();
    let _second = world.worker(2);
    let error = task.join().expect_err("its worker was killed");
    assert_eq!(error.kind(), ErrorKind::WorkerLost);
    assert!(error.as_task().is_some_and(heirloom::TaskError::maybe_ran));
    assert!(world.pool.send(Once(world.nap(1, 0))).expect("accepted").join().expect("runs at the second"));
    assert_eq!(world.log.count("begin"), 2);
}

#[test]
fn a_repeatable_job_whose_worker_is_killed_runs_at_the_next() {
    let Some(world) = World::new(4) else { return };
    let first = world.worker(2);
    let task = world.pool.send(Again(world.nap(0, 1_500))).expect("accepted");
    eventually("the job has begun", || world.log.count("begin") == 1);
    first.kill();
    let _second = world.worker(2);
    assert!(task.join().expect("runs again"));
    let attempts: Vec<u32> =
        world.log.lines().iter().filter(|line| line.what == "begin").map(|line| line.attempt).collect();
    assert_eq!(attempts.len(), 2);
    assert!(attempts[0] < attempts[1], "{attempts:?}");
}

#[test]
fn a_job_that_waits_for_a_killed_worker_is_delivered_to_the_next() {
    let Some(world) = World::new(1) else { return };
    let first = world.worker(1);
    let running = world.pool.send(Once(world.nap(0, 60_000))).expect("accepted");
    eventually("the job has begun", || world.log.count("begin") == 1);
    let waiting: Vec<_> =
        (1..10).map(|number| world.pool.send(Once(world.nap(number, 0))).expect("accepted")).collect();
    first.kill();
    let _second = world.worker(1);
    assert_eq!(running.join().expect_err("killed").kind(), ErrorKind::WorkerLost);
    assert!(waiting.into_iter().all(|task| task.join().expect("runs")));
    assert_eq!(world.log.count("begin"), 10);
}

#[test]
fn a_paused_worker_counts_as_dead_and_the_first_result_counts() {
    let Some(world) = World::new(1) else { return };
    let first = world.worker(1);
    let task = world.pool.send(Again(world.nap(0, 500))).expect("accepted");
    eventually("the job has begun", || world.log.count("begin") == 1);
    first.signal(libc::SIGSTOP);
    let _second = world.worker(1);
    assert!(task.join().expect("one of the two ran"));
    first.signal(libc::SIGCONT);
    assert!(world.pool.send(Once(world.nap(1, 0))).expect("accepted").join().expect("runs"));
}

#[test]
fn a_paused_server_delays_and_loses_nothing() {
    let Some(world) = World::new(4) else { return };
    let _worker = world.worker(4);
    let tasks: Vec<_> = (0..8).map(|number| world.pool.send(Once(world.nap(number, 50))).expect("accepted")).collect();
    world.server.pause();
    std::thread::sleep(LEASE / 2);
    world.server.go_on();
    assert!(tasks.into_iter().all(|task| task.join().expect("runs")));
    assert_eq!(world.log.count("begin"), 8);
}

#[test]
fn at_most_n_run_over_three_processes() {
    let Some(world) = World::new(3) else { return };
    let _workers = [(); 3].map(|()| world.worker(4));
    let tasks: Vec<_> = (0..30).map(|number| world.pool.send(Once(world.nap(number, 40))).expect("accepted")).collect();
    assert!(tasks.into_iter().all(|task| task.join().expect("runs")));
    let mut lines = world.log.lines();
    lines.sort_by_key(|line| line.micros);
    let (mut now, mut most) = (0_i32, 0);
    for line in &lines {
        now += if line.what == "begin" { 1 } else { -1 };
        most = most.max(now);
    }
    assert_eq!((lines.len(), most), (60, 3));
}

#[test]
fn a_dropped_scope_stops_its_jobs_in_all_processes() {
    let Some(world) = World::new(8) else { return };
    let _workers = [(); 2].map(|()| world.worker(4));
    let request = Scope::new_in(&world.scope, "request 7");
    let send = |number| request.run(|| world.pool.send(Once(world.nap(number, 60_000)))).expect("accepted");
    let tasks: Vec<_> = (0..8).map(send).collect();
    eventually("all have begun", || world.log.count("begin") == 8);
    drop(request);
    assert!(tasks.into_iter().all(|task| !task.join().expect("each returns early")));
    assert_eq!(world.log.count("cancel"), 8);
}

#[test]
fn a_closed_connection_ends_its_jobs() {
    let Some(world) = World::new(1) else { return };
    let _worker = world.worker(1);
    let running = world.pool.send(Once(world.nap(0, 60_000))).expect("accepted");
    eventually("the job has begun", || world.log.count("begin") == 1);
    let waiting = world.pool.send(Once(world.nap(1, 0))).expect("accepted");
    assert!(world.nats.close(LONG));
    assert_eq!(running.join().expect_err("no word of it comes").kind(), ErrorKind::WorkerLost);
    assert_eq!(waiting.join().expect_err("it was not begun").kind(), ErrorKind::EngineFailed);
}

#[test]
fn the_jobs_of_a_killed_origin_are_cancelled() {
    let Some(world) = World::new(4) else { return };
    let _worker = world.worker(2);
    let origin = Process::start(&world.server, "origin", &world.log.path().display().to_string());
    eventually("the job has begun", || world.log.count("begin") == 1);
    origin.kill();
    eventually("the job has stopped", || world.log.count("cancel") == 1);
    assert!(world.pool.send(Once(world.nap(1, 0))).expect("accepted").join().expect("another origin's job runs"));
}

/// Kills of workers and of the server under load. `HEIRLOOM_SOAK` is the number of jobs.
#[test]
fn each_job_ends_and_begins_once_under_kills() {
    let Some(mut world) = World::new(16) else { return };
    let jobs: usize = std::env::var("HEIRLOOM_SOAK").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(3_000);
    let kill_each = Duration::from_millis(if jobs > 10_000 { 1_000 } else { 300 });
    let mut workers: Vec<Process> = (0..3).map(|_| world.worker(4)).collect();
    let (mut open, mut ended, mut lost) = (Vec::new(), 0_usize, 0_usize);
    let (mut sent, mut kills, mut restarts) = (0, 0, 0);
    let begun = Instant::now();
    let mut next_kill = begun + kill_each;
    while sent < jobs || !open.is_empty() {
        while sent < jobs && open.len() < 256 {
            open.push((sent, world.pool.send(Once(world.nap(sent, 0))).expect("accepted")));
            sent += 1;
        }
        if Instant::now() >= next_kill && sent < jobs {
            next_kill = Instant::now() + kill_each;
            kills += 1;
            let at = kills % workers.len();
            let next = world.worker(4);
            std::mem::replace(&mut workers[at], next).kill();
            if kills % 10 == 0 {
                world.server.kill();
                world.server.start();
                restarts += 1;
            }
        }
        let before = open.len();
        let (done, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, task)| task.is_finished());
        open = rest;
        for (number, task) in done {
            ended += 1;
            match task.join() {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WorkerLost => lost += 1,
                Err(error) => panic!("job {number}: {error}"),
            }
        }
        if open.len() == before {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(begun.elapsed() < LONG * 2 || jobs > 10_000, "{} jobs hang", open.len());
    }
    let mut begins: HashMap<usize, u32> = HashMap::new();
    world
        .log
        .lines()
        .iter()
        .filter(|line| line.what == "begin")
        .for_each(|line| *begins.entry(line.number).or_default() += 1);
    let twice = begins.values().filter(|begins| **begins > 1).count();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{ended} jobs, {lost} lost with their workers, {kills} workers and {restarts} servers killed, {seconds:.1} s"
    );
    assert_eq!((ended, twice), (jobs, 0));
    assert!(begins.len() + lost >= jobs);
}
