//! The death, or the pause, of a worker.

use heirloom::{ErrorKind, PoolConfig, Scope, remote};

use crate::common::process::eventually;
use crate::world::{Again, Once, World, open};

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
fn at_most_n_run_over_three_processes() {
    let Some(world) = World::calm(3) else { return };
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
fn a_repeatable_job_that_a_closed_worker_gives_back_loses_no_attempt() {
    let Some(world) = World::new(4) else { return };
    let pool = world.scope.create("one attempt");
    pool.start(PoolConfig::remote(4, world.nats.queue("work")).attempts(1)).expect("starts");
    let (nats, apart) = (open(&world.server.url(), world.lease), Scope::new("worker"));
    let here = apart.create("here");
    here.start(PoolConfig::leased(5)).expect("starts");
    let serving = remote::serve(nats.queue("work"), &here).job::<Again>().start().expect("serves");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let depth = || runtime.block_on(nats.queue("work").depth()).expect("connected");
    eventually("it has asked for jobs", || depth().pulls > 0);
    serving.close();
    // Its requests are open at the server still, and each brings the job once.
    let task = pool.send(Again(world.nap(0, 0))).expect("accepted");
    eventually("no request is open", || depth().pulls == 0);
    assert!(!task.is_finished());
    let _second = world.worker(1);
    assert!(task.join().expect("runs at the second"));
    assert_eq!(world.log.count("begin"), 1);
}
