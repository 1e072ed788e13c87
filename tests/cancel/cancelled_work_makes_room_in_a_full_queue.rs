//! A cancel gives the room of the queued tasks that it ends back at once: full queues accept again, and those who wait
//! for room are let in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use heirloom::{CancelOutcome, Lineage, PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskHandle, TaskStatus};

use crate::common::pools::{Busy, block_on, started};
use crate::common::{BOUND, bounded, eventually};

const LIMIT: usize = 4;

/// A pool of one that is busy for as long as the second lives.
fn busy(scope: &Scope, config: PoolConfig) -> (PoolManager, Busy) {
    let pool = started(scope, "bounded", config.queue_limit(LIMIT));
    let busy = Busy::on(&pool);
    (pool, busy)
}

fn full_of(pool: &PoolManager, at: &Lineage) -> Vec<TaskHandle<()>> {
    let tasks = at.run(|| (0..LIMIT).map(|_| pool.submit(|| panic!("it runs")).expect("room")).collect());
    assert!(is_full(pool), "and no more");
    tasks
}

fn is_full(pool: &PoolManager) -> bool {
    pool.submit(|| ())
        .is_err_and(|error| matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { .. })))
}

/// Fills the queue with what the returned function asks to stop, each time in another way.
type Way = fn(&PoolManager) -> Box<dyn FnOnce()>;

fn ways() -> [Way; 6] {
    [
        |pool| {
            let request = Scope::new("cancelled");
            full_of(pool, &request).into_iter().for_each(drop);
            Box::new(move || {
                request.cancel();
                std::mem::forget(request);
            })
        },
        |pool| {
            let request = Scope::new("dropped");
            full_of(pool, &request).into_iter().for_each(drop);
            Box::new(|| drop(request))
        },
        |pool| {
            let outer = Scope::new("far above");
            let inner = Scope::new_in(&outer, "inner");
            full_of(pool, &inner).into_iter().for_each(drop);
            Box::new(move || {
                outer.lineage().cancel();
                inner.finish();
            })
        },
        |pool| {
            let tasks = full_of(pool, &heirloom::current());
            Box::new(move || tasks.iter().for_each(|task| assert_eq!(task.cancel(), CancelOutcome::Requested)))
        },
        |pool| {
            let (pool, (says, full)) = (pool.clone(), mpsc::channel());
            let thread = heirloom::thread::spawn(move || {
                drop(full_of(&pool, &heirloom::current()));
                says.send(()).expect("the test listens");
                heirloom::sleep(BOUND).expect_err("it is asked to stop");
            })
            .expect("a thread starts");
            full.recv().expect("it fills the queue");
            Box::new(move || {
                thread.cancel();
                thread.join().expect("it ends");
            })
        },
        |pool| {
            let scope = Scope::new("beside");
            let (pool, (says, full)) = (pool.clone(), mpsc::channel());
            let task = started(&scope, "beside", PoolConfig::leased(1)).submit(move || {
                drop(full_of(&pool, &heirloom::current()));
                says.send(()).expect("the test listens");
                heirloom::sleep(BOUND).expect_err("it is asked to stop");
            });
            full.recv().expect("it fills the queue");
            Box::new(move || {
                let task = task.expect("accepted");
                task.cancel();
                task.join().expect("it ends");
                drop(scope);
            })
        },
    ]
}

#[test]
fn what_was_refused_before_is_accepted_then_however_it_was_asked() {
    bounded(|| {
        for way in ways() {
            let scope = Scope::new("test");
            let (pool, busy) = busy(&scope, PoolConfig::leased(1));
            let ask = way(&pool);
            assert!(is_full(&pool));
            ask();
            let next: Vec<_> = (0..LIMIT).map(|i| pool.submit(move || i).expect("there is room")).collect();
            assert!(is_full(&pool), "and no more than the limit");
            assert_eq!((pool.stats().cancelled, pool.stats().queued), (LIMIT as u64, LIMIT));
            busy.end();
            assert!(next.into_iter().map(|task| task.join().expect("runs")).eq(0..LIMIT));
        }
    });
}

#[test]
fn each_way_to_submit_finds_the_room() {
    bounded(|| {
        let in_a_scope: fn(&PoolManager) = |pool| {
            let inner = pool.clone();
            let outer = heirloom::get("outer").expect("found");
            let scoped = outer.submit(move || inner.scope(|s| s.submit(|| ()).expect("room").cancel()));
            assert_eq!(scoped.expect("accepted").join().expect("ends"), CancelOutcome::Requested);
        };
        let ways: [fn(&PoolManager); 6] = [
            |pool| drop(pool.submit(|| ()).expect("room")),
            |pool| drop(pool.submit_as("any", || ()).expect("room")),
            |pool| drop(pool.try_submit(|| ()).expect("room")),
            |pool| drop(pool.submit_timeout(|| (), Duration::ZERO).expect("room")),
            |pool| drop(block_on(pool.submit_async(|| ())).expect("room")),
            in_a_scope,
        ];
        let outer = Scope::new("test");
        started(&outer, "outer", PoolConfig::leased(1));
        for submit in ways {
            let (pool, busy) = busy(&outer, PoolConfig::leased(1));
            let request = Scope::new("request");
            let tasks = full_of(&pool, &request);
            drop(request);
            outer.run(|| submit(&pool));
            busy.end();
            assert!(tasks.into_iter().all(|task| task.join().expect_err("never runs").is_cancelled()));
        }
    });
}

#[test]
fn a_submitter_that_waits_is_let_in() {
    bounded(|| {
        for (way, awaits) in ways().into_iter().flat_map(|way| [(way, false), (way, true)]) {
            let scope = Scope::new("test");
            let (pool, busy) = busy(&scope, PoolConfig::leased(1));
            let ask = way(&pool);
            let before = pool.stats().refused;
            let waits: Vec<_> = (0..LIMIT)
                .map(|i| {
                    let pool = pool.clone();
                    let task = move || i;
                    std::thread::spawn(move || match awaits {
                        false => pool.submit_timeout(task, BOUND * 10),
                        true => block_on(pool.submit_async(task)),
                    })
                })
                .collect();
            eventually("all were refused once", || pool.stats().refused >= before + LIMIT as u64);
            ask();
            // All of them, while the pool is still busy.
            let tasks: Vec<_> = waits.into_iter().map(|waits| waits.join().unwrap().expect("let in")).collect();
            assert_eq!(pool.stats().queued, LIMIT);
            busy.end();
            assert!(tasks.into_iter().map(|task| task.join().expect("runs")).eq(0..LIMIT));
        }
    });
}

#[test]
fn the_scope_counts_it_no_more_while_the_pool_is_still_busy() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy) = busy(&scope, PoolConfig::leased(1));
        let requests: Vec<_> = (0..LIMIT).map(|_| Scope::new("request")).collect();
        for request in &requests {
            drop(request.run(|| pool.submit(|| ()).expect("room")));
            assert_eq!(request.pending(), 1);
            request.cancel();
            assert_eq!(request.pending(), 0);
        }
        let next = pool.submit(|| ()).expect("room");
        assert!(requests.iter().all(|request| request.pending() == 0));
        busy.end();
        next.join().expect("runs");
    });
}

#[test]
fn the_rest_stays_in_order() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy) = busy(&scope, PoolConfig::leased(1));
        let order = Arc::new(Mutex::new(Vec::new()));
        let submit = |i| {
            let order = Arc::clone(&order);
            drop(pool.submit(move || order.lock().unwrap().push(i)).expect("room"));
        };
        let request = Scope::new("request");
        request.run(|| submit(1));
        submit(2);
        request.run(|| submit(3));
        submit(4);
        request.cancel();
        submit(5);
        submit(6);
        assert!(is_full(&pool));
        busy.end();
        pool.wait_idle().expect("from outside");
        assert_eq!(*order.lock().unwrap(), [2, 4, 5, 6]);
    });
}

#[test]
fn it_is_dropped_once_where_it_would_have_stood_and_under_no_lock() {
    struct Dropped {
        pool: PoolManager,
        seen: mpsc::Sender<(Lineage, Option<usize>)>,
    }
    impl Drop for Dropped {
        fn drop(&mut self) {
            // Comes back to all that could be locked.
            let (stats, again) = (self.pool.stats(), self.pool.submit(|| ()));
            assert!(
                matches!(again, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. }))),
                "its scope accepts nothing"
            );
            let fits = Lineage::process().run(|| self.pool.submit(|| ())).map(drop).is_ok();
            self.seen.send((heirloom::current(), fits.then_some(stats.queued))).expect("the test listens");
            panic!("and panics");
        }
    }
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy) = busy(&scope, PoolConfig::leased(1));
        let request = Scope::new("request");
        let (seen, drops) = mpsc::channel();
        request.run(|| {
            for _ in 0..LIMIT {
                let dropped = Dropped { pool: pool.clone(), seen: seen.clone() };
                drop(pool.submit(move || std::hint::black_box(&dropped).pool.stats()).expect("room"));
            }
        });
        drop(seen);
        request.cancel();
        let drops: Vec<_> = drops.iter().collect();
        assert_eq!(drops.len(), LIMIT);
        assert!(drops.iter().all(|(at, _)| at == request.lineage()));
        // Each has given its room back before its closure is dropped.
        assert!(drops.iter().all(|(_, fits)| fits.is_some()));
        assert!(is_full(&pool));
        assert_eq!((request.pending(), pool.stats().cancelled), (0, LIMIT as u64));
        busy.end();
        pool.wait_idle().expect("from outside");
        assert_eq!(pool.stats().completed, LIMIT as u64 + 1);
    });
}

#[test]
fn what_was_asked_before_it_was_submitted_makes_room_too() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy) = busy(&scope, PoolConfig::leased(1));
        let (gone, go) = mpsc::channel::<Vec<TaskHandle<()>>>();
        let to = pool.clone();
        let thread = heirloom::thread::spawn(move || {
            let at = heirloom::current();
            at.cancel();
            // A thread that was asked to stop is refused nothing, but nothing of it starts.
            for _ in 0..3 {
                let tasks = at.run(|| (0..LIMIT).map(|_| to.submit(|| panic!("it runs")).expect("room")).collect());
                gone.send(tasks).expect("the test listens");
            }
        })
        .expect("a thread starts");
        let tasks: Vec<_> = go.iter().flatten().collect();
        thread.join().expect("ends");
        assert!(tasks.iter().all(TaskHandle::is_finished));
        let waits = pool.submit_timeout(|| 7, Duration::ZERO).expect("room");
        assert!(tasks.into_iter().all(|task| task.join().expect_err("never runs").is_cancelled()));
        busy.end();
        assert_eq!(waits.join().expect("runs"), 7);
    });
}

#[test]
fn daemon_tasks_of_a_closed_scope_make_room() {
    bounded(|| {
        for awaits in [false, true] {
            let scope = Scope::new("test");
            let (pool, busy) = busy(&scope, PoolConfig::leased(1).daemon());
            let request = Scope::new("request");
            let tasks = full_of(&pool, &request);
            let before = pool.stats().refused;
            let waits = awaits.then(|| {
                let pool = pool.clone();
                std::thread::spawn(move || pool.submit_timeout(|| 7, BOUND * 10).expect("let in"))
            });
            if awaits {
                eventually("it was refused once", || pool.stats().refused > before);
            }
            request.close();
            let next = waits.map_or_else(|| pool.submit(|| 7).expect("room"), |waits| waits.join().unwrap());
            assert!(tasks.into_iter().all(|task| task.join().expect_err("never runs").is_cancelled()));
            assert_eq!(request.pending(), 0);
            busy.end();
            assert_eq!(next.join().expect("runs"), 7);
        }
    });
}

#[test]
fn joining_tasks_of_a_closed_scope_keep_theirs() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy) = busy(&scope, PoolConfig::leased(1));
        let request = Scope::new("request");
        let tasks: Vec<_> = request.run(|| (0..LIMIT).map(|i| pool.submit(move || i).expect("room")).collect());
        request.close();
        assert!(is_full(&pool));
        // Nor does another's end make any.
        Scope::new("another").cancel();
        assert!(is_full(&pool));
        busy.end();
        assert!(tasks.into_iter().map(|task| task.join().expect("runs")).eq(0..LIMIT));
    });
}

#[test]
fn other_kinds_of_pools_make_room_too() {
    bounded(|| {
        let scope = Scope::new("test");
        #[cfg(feature = "rayon")]
        let kinds = [PoolConfig::dedicated(1), PoolConfig::leased(1).holds_permit(), PoolConfig::work_stealing(1)];
        #[cfg(not(feature = "rayon"))]
        let kinds = [PoolConfig::dedicated(1), PoolConfig::leased(1).holds_permit()];
        for kind in kinds {
            let (pool, busy) = busy(&scope, kind);
            let request = Scope::new("request");
            let tasks = full_of(&pool, &request);
            drop(request);
            let next = pool.submit(|| 7).expect("room");
            assert!(tasks.iter().all(TaskHandle::is_finished));
            busy.end();
            assert_eq!(next.join().expect("runs"), 7);
        }
        let ui = scope.create("ui");
        let local = ui.start_local(PoolConfig::local().queue_limit(LIMIT)).expect("starts");
        let request = Scope::new("request");
        let tasks = full_of(&ui, &request);
        drop(request);
        let next = ui.submit(|| 7).expect("room");
        assert!(tasks.iter().all(TaskHandle::is_finished));
        assert_eq!(local.run_pending(), 1);
        assert_eq!(next.join().expect("ran"), 7);
    });
}

#[test]
fn it_ends_once_whoever_comes_for_it_at_the_same_time() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "bounded", PoolConfig::leased(2).queue_limit(LIMIT));
        let ended = Arc::new(AtomicUsize::new(0));
        struct Ends(Arc<AtomicUsize>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let mut accepted = 0;
        for _ in 0..2_000 {
            let request = Scope::new("request");
            let tasks: Vec<_> = request.run(|| {
                (0..LIMIT)
                    .map_while(|_| {
                        let ends = Ends(Arc::clone(&ended));
                        pool.submit_timeout(move || drop(ends), BOUND).ok()
                    })
                    .collect()
            });
            accepted += tasks.len();
            let together = Barrier::new(4);
            std::thread::scope(|threads| {
                let (mine, theirs): (Vec<_>, Vec<_>) = tasks.into_iter().enumerate().partition(|(i, _)| i % 2 == 0);
                threads.spawn(|| {
                    together.wait();
                    request.cancel();
                });
                // Cancels by handle.
                threads.spawn(|| {
                    together.wait();
                    for (_, task) in mine {
                        task.cancel();
                        let finished = task.status() != TaskStatus::Queued;
                        assert!(finished);
                        assert!(task.join().is_ok_and(|()| true) || ended.load(Ordering::SeqCst) > 0);
                    }
                });
                // Joins in place, on a worker.
                threads.spawn(|| {
                    together.wait();
                    let _ = Lineage::process().run(|| {
                        let joins = move || theirs.into_iter().for_each(|(_, task)| drop(task.join()));
                        pool.submit_timeout(joins, BOUND).expect("room").join()
                    });
                });
                // Finds the queue full, or not.
                threads.spawn(|| {
                    together.wait();
                    for _ in 0..3 * LIMIT {
                        let _ = Lineage::process().run(|| pool.submit(|| ()).map(drop));
                    }
                });
            });
            // A task is counted out of its scope just after its handle says that it has ended.
            eventually("nothing of the request is left", || request.pending() == 0);
        }
        pool.wait_idle().expect("from outside");
        assert_eq!(ended.load(Ordering::SeqCst), accepted);
        let stats = pool.stats();
        assert_eq!((stats.running, stats.waiting, stats.queued), (0, 0, 0));
        // All room is back.
        let busy = [Busy::on(&pool), Busy::on(&pool)];
        let all: Vec<_> = (0..LIMIT).map(|_| pool.submit(|| ()).expect("room")).collect();
        assert!(is_full(&pool));
        busy.into_iter().for_each(Busy::end);
        all.into_iter().for_each(|task| task.join().expect("runs"));
    });
}

#[test]
fn submitters_that_come_together_all_find_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let (pool, busy) = busy(&scope, PoolConfig::leased(1));
        for _ in 0..300 {
            let request = Scope::new("request");
            drop(full_of(&pool, &request));
            request.cancel();
            let together = Barrier::new(LIMIT);
            let submitted: Vec<TaskHandle<()>> = std::thread::scope(|threads| {
                let submit = || {
                    together.wait();
                    pool.submit(|| ()).expect("room for each")
                };
                let all: Vec<_> = (0..LIMIT).map(|_| threads.spawn(submit)).collect();
                all.into_iter().map(|submits| submits.join().expect("accepted")).collect()
            });
            assert!(is_full(&pool));
            for task in submitted {
                assert_eq!(task.cancel(), CancelOutcome::Requested);
            }
        }
        busy.end();
    });
}
