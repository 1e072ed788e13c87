//! The death, or the pause, of a worker.

use heirloom::ErrorKind;

use crate::common::process::eventually;
use crate::world::{Again, Once, World};

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
