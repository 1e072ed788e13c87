//! `queue_limit(n)` bounds the tasks that are queued; those that run, or wait, do not count. One more is refused and
//! comes back.

use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, Scope, SubmitErrorKind};

use crate::common::pools::{Busy, block_on, started};
use crate::common::{bounded, eventually};

const LONG: Duration = Duration::from_secs(50);

#[test]
fn as_many_as_the_limit_are_queued_beside_those_that_run() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(3).queue_limit(2));
        let busy = [Busy::on(&pool), Busy::on(&pool), Busy::on(&pool)];
        let queued = [pool.submit(|| 1).expect("room"), pool.submit(|| 2).expect("room")];
        let refused = pool.try_submit(|| 3).expect_err("the queue is full");
        assert!(
            matches!(
                refused.reason().as_submit().map(|it| it.kind()),
                Some(SubmitErrorKind::QueueFull { limit: 2, .. })
            ),
            "{refused}"
        );
        assert!(refused.is_temporary());
        assert!(refused.to_string().contains("bounded"), "{refused}");
        assert_eq!((pool.stats().queued, pool.stats().running, pool.stats().refused), (2, 3, 1));
        assert_eq!(refused.into_task()(), 3, "the closure is whole");
        for busy in busy {
            busy.end();
        }
        assert_eq!(queued.map(|task| task.join().expect("runs")), [1, 2]);
    });
}

#[test]
fn each_way_to_submit_respects_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(1).queue_limit(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("room");
        let is_full = |error: &heirloom::Error| {
            matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { .. }))
        };
        assert!(pool.submit(|| ()).is_err_and(|error| is_full(&error)));
        assert!(pool.submit_as("any", || ()).is_err_and(|error| is_full(&error)));
        assert!(pool.submit_timeout(|| (), Duration::ZERO).is_err_and(|error| is_full(&error)));
        assert!(pool.run(|| ()).is_err_and(|error| is_full(&error)));
        pool.scope(|s| assert!(s.submit(|| ()).is_err_and(|error| is_full(&error))));
        busy.end();
        queued.join().expect("runs");
    });
}

#[test]
fn a_waiting_task_does_not_count() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(1).queue_limit(1));
        let (go, gate) = mpsc::channel::<()>();
        let (here, waits) = mpsc::channel();
        let waiter = pool
            .submit(move || {
                heirloom::blocking(|| {
                    here.send(()).expect("the test listens");
                    let _ = gate.recv();
                });
            })
            .expect("room");
        waits.recv().expect("it waits");
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| 7).expect("one runs, one waits, none is queued");
        assert!(pool.submit(|| ()).is_err());
        busy.end();
        assert_eq!(queued.join().expect("runs"), 7);
        go.send(()).expect("the task listens");
        waiter.join().expect("runs");
    });
}

#[test]
fn room_comes_back_however_a_queued_task_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(1).queue_limit(1));
        let inner = pool.clone();
        pool.submit(move || {
            for i in 0..200 {
                let queued = inner.submit(move || i).expect("room");
                assert!(inner.submit(|| ()).is_err(), "and no more");
                match i % 3 {
                    0 => assert_eq!(queued.join().expect("in place"), i),
                    1 => {
                        queued.cancel();
                    }
                    _ => assert_eq!(queued.join_timeout(LONG).expect("in time").expect("elsewhere"), i),
                }
            }
        })
        .expect("room")
        .join()
        .expect("runs");
    });
}

#[test]
fn room_comes_back_from_a_scope_that_was_cancelled() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(1).queue_limit(3));
        for _ in 0..20 {
            let busy = Busy::on(&pool);
            let request = Scope::new("request");
            request.lineage().run(|| (0..3).for_each(|_| drop(pool.submit(|| ()).expect("room"))));
            request.cancel();
            busy.end();
            pool.wait_idle().expect("from outside");
        }
        assert_eq!(pool.stats().cancelled, 60);
    });
}

#[test]
fn a_bounded_wait_for_room_ends_in_time() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(1).queue_limit(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("room");
        let refused = pool.try_submit_timeout(|| 7, Duration::from_millis(20)).expect_err("nobody makes room");
        assert!(matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { .. })));
        assert_eq!(refused.into_task()(), 7);
        busy.end();
        queued.join().expect("runs");
    });
}

#[test]
fn a_wait_for_room_goes_on_when_there_is_some() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(1).queue_limit(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("room");
        std::thread::scope(|threads| {
            let blocking = threads.spawn(|| pool.submit_timeout(|| 7, LONG).expect("room in time").join());
            let polling = threads.spawn(|| block_on(pool.submit_async(|| 8)).expect("room in time").join());
            busy.end();
            assert_eq!(blocking.join().expect("nobody panics").expect("runs"), 7);
            assert_eq!(polling.join().expect("nobody panics").expect("runs"), 8);
        });
        queued.join().expect("runs");
    });
}

#[test]
fn a_wait_for_room_in_the_own_pool_gives_the_place_away() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(1).queue_limit(1));
        let inner = pool.clone();
        let answer = pool.submit(move || {
            let first = inner.submit(|| 1).expect("room");
            let second = inner.submit_timeout(|| 2, LONG).expect("the first one runs meanwhile");
            first.join().expect("runs") + second.join().expect("runs")
        });
        assert_eq!(answer.expect("room").join().expect("runs"), 3);
    });
}

#[test]
fn closing_ends_every_wait_for_room() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(1).queue_limit(1));
        let busy = Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("room");
        let together = Arc::new(Barrier::new(4));
        std::thread::scope(|threads| {
            let waiting: Vec<_> = (0..3)
                .map(|i| {
                    let (pool, together) = (pool.clone(), together.clone());
                    threads.spawn(move || {
                        together.wait();
                        if i == 0 {
                            block_on(pool.submit_async(|| ())).expect_err("closed")
                        } else {
                            pool.submit_timeout(|| (), LONG).expect_err("closed")
                        }
                    })
                })
                .collect();
            together.wait();
            pool.close();
            for waits in waiting {
                assert!(matches!(
                    waits.join().expect("nobody panics").as_submit().map(|it| it.kind()),
                    Some(SubmitErrorKind::Closed { .. })
                ));
            }
        });
        busy.end();
        queued.join().expect("a joining pool runs what it accepted");
    });
}

#[test]
fn many_producers_fill_it_and_never_overrun_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(2).queue_limit(5));
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..500 {
                        drop(pool.submit_timeout(std::thread::yield_now, LONG).expect("room in time"));
                        assert!(pool.stats().queued <= 5 + 4, "four of them may be on their way in");
                    }
                });
            }
        });
        pool.wait_idle().expect("from outside");
        assert_eq!(pool.stats().completed, 2_000);
        eventually("all room is back", || pool.stats().queued == 0);
        let busy = [Busy::on(&pool), Busy::on(&pool)];
        let all: Vec<_> = (0..5).map(|_| pool.submit(|| ()).expect("five again")).collect();
        assert!(pool.submit(|| ()).is_err());
        for busy in busy {
            busy.end();
        }
        for task in all {
            task.join().expect("runs");
        }
    });
}
