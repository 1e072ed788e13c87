//! What rayon gives to each of its workers ends: a work-stealing pool counts on the threads that it has, at the limit
//! of threads too, and after its last task.

use std::sync::mpsc;

use heirloom::{PoolConfig, Scope, threads};

use crate::common::{alone, eventually};

#[test]
fn a_broadcast_reaches_all_of_them() {
    alone(|| {
        threads::set_limit(1);
        let scope = Scope::new("test");
        let pool = scope.create("math");
        pool.start(PoolConfig::work_stealing(3)).expect("starts");
        for _ in 0..20 {
            assert_eq!(pool.install(|| rayon::broadcast(|here| here.index())).expect("runs"), [0, 1, 2]);
        }
        // Those without a task do not count.
        assert!(threads::stats().live <= 4, "{:?}", threads::stats());

        let (ends, ended) = mpsc::channel::<()>();
        let (tells, told) = mpsc::channel();
        pool.install(move || {
            rayon::spawn(move || {
                ended.recv().expect_err("it is dropped");
                tells.send(rayon::broadcast(|_| ()).len()).expect("somebody listens");
            });
        })
        .expect("runs");
        // What outlives the last task has the threads that it began with.
        let other = scope.create("other");
        other.start(PoolConfig::leased(1)).expect("starts");
        other.run(|| ()).expect("runs");
        drop(ends);
        assert_eq!(told.recv().expect("it ended"), 3);
        assert!(pool.stop().expect("not from within").is_complete());
        eventually("they go back", || threads::stats().waiting == 0);
    });
}
