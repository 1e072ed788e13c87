//! Kills of workers and of the server under load.
//!
//! A plain run is short. The long one takes some twenty minutes:
//!
//! ```sh
//! HEIRLOOM_SOAK=1000000 cargo test --release --package heirloom-nats --test deaths -- --nocapture soak
//! ```

use std::time::{Duration, Instant};

use heirloom::{ErrorKind, TaskHandle};

use crate::common::LONG;
use crate::common::process::Process;
use crate::memory::{Sizes, resident};
use crate::world::{Once, World};

/// Permits of a worker.
const PERMITS: usize = 4;
/// The most jobs that are sent and have not ended.
const OPEN: usize = 256;
/// The jobs that end between two kills at least: on a busy machine a worker takes long to start.
const PROGRESS: usize = 50;
/// A run from here on kills each second, and judges the origin's memory.
const LONG_RUN: usize = 20_000;
/// The most that the origin's memory may be at the end of a tenth of the jobs, beside the end of the second one.
const FLAT: f64 = 1.25;

/// The outcome of one job.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Open,
    Value,
    Lost,
}

struct Soak {
    world: World,
    jobs: usize,
    /// Three that are killed in turns.
    workers: Vec<Process>,
    /// A worker that lives through all of it.
    steady: Process,
    open: Vec<(usize, TaskHandle<bool>)>,
    outcomes: Vec<Outcome>,
    sent: usize,
    ended: usize,
    lost: usize,
    kills: usize,
    restarts: usize,
    begun: Instant,
    sizes: [Sizes; 4],
    /// The origin's resident memory at the end of each tenth of the jobs, in KiB.
    tenths: Vec<u64>,
}

/// Each handle ends; a job begins at most once, and exactly once if it has a value; the memory stays. `HEIRLOOM_SOAK` is the
/// number of jobs.
#[test]
fn each_job_ends_and_begins_once_under_kills() {
    let Some(world) = World::new(4 * PERMITS) else { return };
    let jobs = std::env::var("HEIRLOOM_SOAK").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(3_000);
    let mut soak = Soak::new(world, jobs);
    soak.run();
    soak.judge();
}

impl Soak {
    fn new(world: World, jobs: usize) -> Self {
        Self {
            workers: (0..3).map(|_| world.worker(PERMITS)).collect(),
            steady: world.worker(PERMITS),
            world,
            jobs,
            open: Vec::new(),
            outcomes: vec![Outcome::Open; jobs],
            sent: 0,
            ended: 0,
            lost: 0,
            kills: 0,
            restarts: 0,
            begun: Instant::now(),
            sizes: Default::default(),
            tenths: Vec::new(),
        }
    }

    fn run(&mut self) {
        let kill_each = Duration::from_millis(if self.jobs < LONG_RUN { 300 } else { 1_000 });
        let (mut next_kill, mut next_sample, mut next_line) = (kill_each, Duration::ZERO, Duration::from_secs(10));
        let (mut last_end, mut at_kill) = (Instant::now(), 0);
        while self.ended < self.jobs {
            self.send();
            let now = self.begun.elapsed();
            if now >= next_sample {
                self.sample();
                next_sample = now + Duration::from_secs(1);
            }
            if now >= next_kill && self.ended >= at_kill + PROGRESS && self.sent < self.jobs {
                self.kill();
                at_kill = self.ended;
                next_kill = self.begun.elapsed() + kill_each;
            }
            if now >= next_line {
                println!("{}", self.line());
                next_line += Duration::from_secs(10);
            }
            if self.join() {
                last_end = Instant::now();
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(last_end.elapsed() < LONG, "{} jobs hang: {:?}\n{}", self.open.len(), self.hanging(), self.line());
        }
    }

    fn send(&mut self) {
        while self.sent < self.jobs && self.open.len() < OPEN {
            let nap = self.world.nap(self.sent, 0);
            self.open.push((self.sent, self.world.pool.send(Once(nap)).expect("accepted")));
            self.sent += 1;
        }
    }

    /// Kills a worker, and the server with each tenth one.
    fn kill(&mut self) {
        self.kills += 1;
        let at = self.kills % self.workers.len();
        let next = self.world.worker(PERMITS);
        std::mem::replace(&mut self.workers[at], next).kill();
        if self.kills.is_multiple_of(10) {
            self.world.server.kill();
            self.world.server.start();
            self.restarts += 1;
        }
    }

    /// Takes the results that are there. Returns whether there was one.
    fn join(&mut self) -> bool {
        let before = self.open.len();
        for (number, task) in self.open.extract_if(.., |(_, task)| task.is_finished()) {
            self.outcomes[number] = match task.join() {
                Ok(whole) => {
                    assert!(whole, "job {number} was cancelled");
                    Outcome::Value
                }
                Err(error) if error.kind() == ErrorKind::WorkerLost => Outcome::Lost,
                Err(error) => panic!("job {number}: {error}"),
            };
            self.ended += 1;
            self.lost += usize::from(self.outcomes[number] == Outcome::Lost);
            if self.ended.is_multiple_of(self.jobs.div_ceil(10)) {
                self.tenths.extend(resident(std::process::id()));
            }
        }
        self.open.len() < before
    }

    fn sample(&mut self) {
        let [origin, steady, workers, server] = &mut self.sizes;
        origin.sample(std::process::id());
        steady.sample(self.steady.id());
        self.workers.iter().for_each(|worker| workers.sample(worker.id()));
        self.world.server.pid().into_iter().for_each(|pid| server.sample(pid));
    }

    fn line(&self) -> String {
        let [origin, steady, workers, server] = self.sizes.each_ref().map(Sizes::last);
        format!(
            "{:>5.0} s: {} jobs ended, {} lost with their workers, {} workers and {} servers killed; MiB: origin {origin:.1}, \
             steady worker {steady:.1}, a killed worker {workers:.1}, server {server:.1}",
            self.begun.elapsed().as_secs_f64(),
            self.ended,
            self.lost,
            self.kills,
            self.restarts,
        )
    }

    fn hanging(&self) -> Vec<usize> {
        self.open.iter().take(32).map(|(number, _)| *number).collect()
    }

    fn judge(&self) {
        println!("{}", self.line());
        println!("first and last minute's median, MiB:");
        for (name, sizes) in ["origin", "steady worker", "killed workers", "server"].iter().zip(&self.sizes) {
            let (first, last) = sizes.first_and_last_minute();
            println!("  {name:<16} {first:>7.1} {last:>7.1}");
        }
        println!("  origin at the end of each tenth, KiB: {:?}", self.tenths);
        let mut begins = vec![0_u8; self.jobs];
        self.world.log.each_line(|line| begins[line.number] += u8::from(line.what == "begin"));
        for (number, (begins, outcome)) in begins.iter().zip(&self.outcomes).enumerate() {
            let right = match outcome {
                Outcome::Open => false,
                Outcome::Value => *begins == 1,
                Outcome::Lost => *begins <= 1,
            };
            assert!(right, "job {number} began {begins} times");
        }
        assert!(self.lost <= self.kills * PERMITS, "more jobs are lost than the killed workers had permits");
        if self.jobs >= LONG_RUN
            && let Some(second) = self.tenths.get(1)
        {
            let most = self.tenths[1..].iter().max().expect("two tenths");
            assert!(*most as f64 <= *second as f64 * FLAT, "the origin's memory grows: {:?} KiB", self.tenths);
        }
    }
}
