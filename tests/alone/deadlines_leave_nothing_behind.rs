//! A scope or a task that ends removes its deadline, in whichever way it ends: the timer's thread, which stays while there is
//! one, ends. Deadlines that come while their scopes and tasks end do no harm.

use std::time::{Duration, Instant};

use crate::common::pools::{Busy, started, threads_named};
use crate::common::{alone, eventually};
use heirloom::{FutureExt, PoolConfig, Scope};

/// As much of the thread's name as the system keeps.
const NAME: &str = "heirloom-timer";
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn each_end_of_a_scope_or_a_task_removes_its_deadline() {
    alone(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1).task_timeout(HOUR));
        let far = || Instant::now() + HOUR;
        let scope = || {
            let scope = Scope::new("request");
            scope.deadline(far());
            scope.deadline(far() + HOUR);
            scope
        };
        for round in 0..1000 {
            drop(scope());
            scope().finish();
            let ended = scope();
            ended.close();
            ended.deadline(far());
            let cancelled = scope();
            let node = cancelled.lineage().clone();
            cancelled.cancel();
            drop(std::future::pending::<()>().in_scope(scope()).timeout(HOUR));
            Scope::run_timeout("request", HOUR, |_| ());
            pool.submit(|| ()).expect("accepted").timeout(HOUR).timeout(2 * HOUR).join().expect("runs");
            drop(pool.submit(move || round).expect("accepted").timeout(HOUR));
            let busy = Busy::on(&pool);
            let queued = pool.submit(|| ()).expect("accepted").timeout(HOUR);
            let _ = queued.cancel();
            drop(queued);
            busy.end();
            assert!(ended.is_closed() && node.is_cancelled());
        }
        let open = scope();
        eventually("the thread runs", || threads_named(NAME) == 1);
        drop(open);
        pool.wait_idle().expect("not from an own task");
        eventually("the thread has ended", || threads_named(NAME) == 0);
        assert_eq!(heirloom::deadline(), None);
    });
}

#[test]
fn deadlines_that_come_while_all_ends_do_no_harm() {
    alone(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(4).task_timeout(Duration::from_millis(1)));
        let racers: Vec<_> = (0..4_u64)
            .map(|racer| {
                let pool = pool.clone();
                std::thread::spawn(move || {
                    for round in 0..500_u64 {
                        let scope = Scope::new("request");
                        let soon = Instant::now() + Duration::from_micros((racer * 311 + round * 97) % 3000);
                        scope.deadline(soon);
                        let tasks: Vec<_> = (0..4)
                            .filter_map(|_| {
                                scope.run(|| pool.submit(|| heirloom::sleep(Duration::from_micros(900)))).ok()
                            })
                            .map(|task| task.timeout(Duration::from_micros((round * 131) % 2500)))
                            .collect();
                        scope.deadline(soon + Duration::from_micros(200));
                        match round % 4 {
                            0 => drop(scope),
                            1 => scope.finish(),
                            2 => drop(scope.stop().expect("not from an own task")),
                            _ => scope.cancel(),
                        }
                        for task in tasks {
                            let ended = task.join();
                            assert!(ended.is_ok() || ended.is_err_and(|error| error.is_cancelled()));
                        }
                    }
                })
            })
            .collect();
        for racer in racers {
            racer.join().expect("no panic");
        }
        pool.wait_idle().expect("not from an own task");
        let open = Scope::new("open");
        open.deadline(Instant::now() + HOUR);
        drop(open);
        eventually("the timer's thread has ended", || threads_named(NAME) == 0);
        eventually("the cancelling threads have ended", || threads_named("heirloom-cancel") == 0);
    });
}
