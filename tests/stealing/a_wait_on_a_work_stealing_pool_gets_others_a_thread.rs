//! A work-stealing pool's thread that waits in heirloom does not count against the limit of threads, so what it waits
//! for gets one.

use std::sync::mpsc;

use heirloom::{PoolConfig, Scope, threads};
use rayon::prelude::*;

use crate::common::{alone, eventually};

#[test]
fn a_leased_task_that_all_its_threads_wait_for_runs_at_the_limit() {
    alone(|| {
        threads::set_limit(1);
        let scope = Scope::new("test");
        let (math, io) = (scope.create("math"), scope.create("io"));
        math.start(PoolConfig::work_stealing(3)).expect("starts");
        io.start(PoolConfig::leased(2)).expect("starts");
        let (opens, open) = mpsc::channel();
        let (waits, waiting) = mpsc::channel();
        let task = math.submit(move || {
            heirloom::blocking(|| {
                waits.send(()).expect("somebody listens");
                open.recv()
            })
        });
        waiting.recv().expect("it waits");
        for _ in 0..10 {
            io.submit(|| ()).expect("accepted").join().expect("runs");
        }
        opens.send(()).expect("it waits");
        task.expect("accepted").join().expect("runs").expect("told");
        let task = |n: usize| io.submit(move || n).expect("accepted").join().expect("runs");
        for _ in 0..20 {
            let sum: usize = math.install(|| (0..50).into_par_iter().map(task).sum()).expect("runs");
            assert_eq!(sum, 1225);
        }
        // On a busy machine the threads of the rayon pool before may still be leaving: each `install` after an idle moment makes one.
        eventually("five threads are enough", || threads::stats().live <= 5);
        // Also where the task itself waits in rayon, for a piece that waits here.
        let other = scope.create("other");
        other.start(PoolConfig::work_stealing(1)).expect("starts");
        let by_way_of_other = |n: usize| other.install(|| task(n)).expect("runs");
        for _ in 0..200 {
            let sum: usize = math.install(|| (0..20).into_par_iter().map(by_way_of_other).sum()).expect("runs");
            assert_eq!(sum, 190);
        }
    });
}
