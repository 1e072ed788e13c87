//! A queued task that is cancelled has ended when the cancel returns, in any pool and whoever owns that: its closure is
//! dropped, its handle answers, its counts and its room are given back. What one cancel costs does not depend on what
//! others have queued.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Weak, mpsc};
use std::time::Duration;

use heirloom::{
    CancelOutcome, FutureExt, Lineage, PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskHandle, TaskStatus, thread,
};

use crate::common::pools::{Busy, block_on, started};
use crate::common::{BOUND, bounded, eventually};

/// A queued task whose closure holds something.
struct Queued {
    handle: TaskHandle<()>,
    held: Weak<()>,
}

impl Queued {
    fn on(pool: &PoolManager) -> Self {
        let holds = Arc::new(());
        let held = Arc::downgrade(&holds);
        let handle = pool.submit(move || drop(holds)).expect("accepted");
        assert_eq!(handle.status(), TaskStatus::Queued);
        Self { handle, held }
    }

    fn assert_over(self) {
        assert!(self.held.upgrade().is_none(), "its closure is still there");
        assert!(self.handle.is_finished(), "its handle does not answer");
        assert!(self.handle.join().expect_err("it never ran").is_cancelled());
    }
}

fn kinds() -> Vec<PoolConfig> {
    vec![
        PoolConfig::leased(1),
        PoolConfig::leased(1).daemon(),
        PoolConfig::leased(1).holds_permit(),
        PoolConfig::leased(1).queue_limit(100),
        PoolConfig::dedicated(1),
        #[cfg(feature = "rayon")]
        PoolConfig::work_stealing(1),
    ]
}

#[test]
fn in_a_shared_pool_of_any_kind() {
    bounded(|| {
        let owner = Scope::new("owner");
        for kind in kinds() {
            let pool = started(&owner, "shared", kind);
            let busy = Busy::on(&pool);
            let (request, other) = (Scope::new("request"), Scope::new("other"));
            let kept = other.run(|| pool.submit(|| 7).expect("accepted"));
            let tasks: Vec<_> = request.run(|| (0..10).map(|_| Queued::on(&pool)).collect());
            request.cancel();
            assert_eq!((request.pending(), other.pending()), (0, 1));
            assert_eq!((pool.stats().queued, pool.stats().cancelled), (1, 10));
            tasks.into_iter().for_each(Queued::assert_over);
            busy.end();
            assert_eq!(kept.join().expect("another request's"), 7);
        }
    });
}

#[test]
fn in_a_local_pool_that_nobody_drives() {
    bounded(|| {
        let owner = Scope::new("owner");
        let ui = owner.create("ui");
        let local = ui.start_local(PoolConfig::local()).expect("starts");
        let request = Scope::new("request");
        let task = request.run(|| Queued::on(&ui));
        drop(request);
        task.assert_over();
        assert_eq!(local.run_pending(), 0);
    });
}

/// Queues tasks, and returns them with what cancels them.
type Way = fn(&PoolManager) -> (Vec<Queued>, Box<dyn FnOnce()>);

fn two_at(at: &Lineage, pool: &PoolManager) -> Vec<Queued> {
    at.run(|| vec![Queued::on(pool), Queued::on(pool)])
}

fn ways() -> [Way; 8] {
    [
        |pool| {
            let request = Scope::new("cancelled");
            (two_at(&request, pool), Box::new(move || request.cancel()))
        },
        |pool| {
            let request = Scope::new("dropped");
            (two_at(&request, pool), Box::new(|| drop(request)))
        },
        |pool| {
            let mut chain = vec![Scope::new("far above")];
            for depth in 0..1000 {
                chain.push(Scope::new_in(&chain[depth], "below"));
            }
            let mut tasks = two_at(chain.last().expect("it is long"), pool);
            tasks.extend(two_at(&chain[500], pool));
            (tasks, Box::new(move || chain[0].cancel()))
        },
        |pool| {
            let scope = Scope::new("of a future");
            let at = scope.lineage().clone();
            let future = std::future::pending::<()>().in_scope(scope);
            (two_at(&at, pool), Box::new(|| drop(future)))
        },
        |pool| {
            // This test's own thread.
            let at = heirloom::current();
            (two_at(&at, pool), Box::new(move || assert_eq!(at.cancel(), CancelOutcome::Requested)))
        },
        |pool| {
            let (pool, (says, said)) = (pool.clone(), mpsc::channel());
            let thread = thread::spawn(move || {
                says.send(two_at(&heirloom::current(), &pool)).expect("the test listens");
                heirloom::sleep(BOUND).expect_err("it is cancelled");
            })
            .expect("a thread starts");
            let tasks = said.recv().expect("it submits");
            (
                tasks,
                Box::new(move || {
                    thread.cancel();
                    thread.join().expect("ends");
                }),
            )
        },
        |pool| {
            let scope = Scope::new("beside");
            let (pool, (says, said)) = (pool.clone(), mpsc::channel());
            let task = started(&scope, "beside", PoolConfig::leased(1)).submit(move || {
                says.send(two_at(&heirloom::current(), &pool)).expect("the test listens");
                heirloom::sleep(BOUND).expect_err("it is cancelled");
            });
            let tasks = said.recv().expect("it submits");
            (
                tasks,
                Box::new(move || {
                    task.expect("accepted").cancel();
                    scope.finish();
                }),
            )
        },
        |pool| {
            let scope = Scope::new("beside");
            let beside = started(&scope, "beside", PoolConfig::leased(1));
            let (pool, (says, said)) = (pool.clone(), mpsc::channel());
            let task = beside.submit(move || {
                says.send(two_at(&heirloom::current(), &pool)).expect("the test listens");
                heirloom::sleep(BOUND).expect_err("its pool is cancelled");
            });
            let tasks = said.recv().expect("it submits");
            (
                tasks,
                Box::new(move || {
                    beside.cancel();
                    task.expect("accepted").join().expect("ends");
                    drop(scope);
                }),
            )
        },
    ]
}

#[test]
fn however_it_was_cancelled() {
    bounded(|| {
        for way in ways() {
            let owner = Scope::new_in(&Lineage::process(), "owner");
            let pool = started(&owner, "shared", PoolConfig::leased(1));
            let busy = owner.run(|| Busy::on(&pool));
            let (tasks, cancel) = way(&pool);
            cancel();
            // A task or a thread that hears of it may end the rest of what it submitted a moment later.
            assert_eq!(pool.stats().queued, 0);
            tasks.into_iter().for_each(Queued::assert_over);
            busy.end();
            heirloom::current().is_cancelled().then(heirloom::acknowledge_cancel);
        }
    });
}

#[test]
fn those_who_wait_for_it_go_on() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let request = Scope::new("request");
        let (joined, awaited) = request.run(|| (Queued::on(&pool).handle, Queued::on(&pool).handle));
        let joins = std::thread::spawn(move || joined.join());
        let awaits = std::thread::spawn(move || block_on(awaited));
        let at = request.lineage().clone();
        let stops = std::thread::spawn(move || {
            let inner = Scope::new_in(&at, "inner");
            inner.stop().expect("from outside").remaining
        });
        assert_eq!(stops.join().unwrap(), 0);
        request.cancel();
        for waited in [joins, awaits] {
            assert!(waited.join().unwrap().expect_err("it never ran").is_cancelled());
        }
        assert_eq!(request.stop().expect("from outside").remaining, 0);
        busy.end();
    });
}

#[test]
fn a_map_under_way_ends() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let request = Scope::new("request");
        let mut map = request.run(|| pool.map(0..3, |n| n)).expect("accepted");
        request.cancel();
        assert!(map.next().expect("the first").expect_err("it never ran").is_cancelled());
        busy.end();
    });
}

#[test]
fn a_borrowing_task_is_over_too() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let request = Scope::new("request");
        let text = String::from("borrowed");
        request.run(|| {
            pool.scope(|s| {
                let task = s.submit(|| text.len()).expect("accepted");
                request.cancel();
                assert!(task.join().expect_err("it never ran").is_cancelled());
            });
        });
        busy.end();
    });
}

#[test]
fn what_is_submitted_at_a_cancelled_place_is_over_when_the_submit_returns() {
    bounded(|| {
        let owner = Scope::new("owner");
        for kind in kinds() {
            let pool = started(&owner, "shared", kind);
            let busy = Busy::on(&pool);
            let to = pool.clone();
            let thread = thread::spawn(move || {
                heirloom::current().cancel();
                let task = to.submit(|| ()).expect("a cancelled thread is refused nothing");
                assert!(task.is_finished());
                assert!(task.join().expect_err("it never ran").is_cancelled());
                // Declined: the next one is as any other.
                assert!(heirloom::acknowledge_cancel());
                to.submit(|| 7).expect("accepted")
            })
            .expect("a thread starts");
            let next = thread.join().expect("ends");
            assert_eq!(pool.stats().queued, 1);
            busy.end();
            assert_eq!(next.join().expect("runs"), 7);
        }
    });
}

#[test]
fn a_shielded_thread_keeps_what_it_queued() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let daemon = started(&owner, "daemon", PoolConfig::leased(1).daemon());
        let busy = [Busy::on(&pool), Busy::on(&daemon)];
        let request = Scope::new("request");
        let to = [pool.clone(), daemon.clone()];
        let shielded = request.run(|| {
            thread::Builder::new().shielded().spawn(move || {
                let _node = heirloom::current();
                to.map(|pool| pool.submit(|| 7).expect("accepted"))
            })
        });
        let [joining, daemons] = shielded.expect("starts").join().expect("ends");
        request.cancel();
        // No request reaches it, but a closed scope's daemon tasks never start.
        assert!(!joining.is_finished() && daemons.is_finished());
        busy.into_iter().for_each(Busy::end);
        assert_eq!(joining.join().expect("runs"), 7);
    });
}

#[test]
fn closing_a_scope_ends_its_daemon_tasks_alone() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let daemon = started(&owner, "daemon", PoolConfig::leased(1).daemon());
        let busy = [Busy::on(&pool), Busy::on(&daemon)];
        let request = Scope::new("request");
        let inner = Scope::new_in(&request, "inner");
        let kept = inner.run(|| pool.submit(|| 7).expect("accepted"));
        let ended = inner.run(|| Queued::on(&daemon));
        request.close();
        ended.assert_over();
        assert_eq!((request.pending(), daemon.stats().queued), (1, 0));
        busy.into_iter().for_each(Busy::end);
        assert_eq!(kept.join().expect("runs"), 7);
    });
}

#[test]
fn submits_that_race_with_the_cancel_leave_nothing_queued() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let daemon = started(&owner, "daemon", PoolConfig::leased(1).daemon());
        let busy = [Busy::on(&pool), Busy::on(&daemon)];
        let dropped = Arc::new(AtomicUsize::new(0));
        struct Counts(Arc<AtomicUsize>);
        impl Drop for Counts {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let mut accepted = 0;
        for round in 0..500 {
            let request = Scope::new("request");
            let inner = Scope::new_in(&request, "inner");
            let together = Barrier::new(4);
            accepted += std::thread::scope(|threads| {
                let submitters = [&pool, &daemon, &pool].map(|pool| {
                    threads.spawn(|| {
                        together.wait();
                        let submit = || {
                            let counts = Counts(Arc::clone(&dropped));
                            inner.run(|| pool.submit(move || drop(counts)))
                        };
                        for accepted in 0.. {
                            match submit() {
                                Ok(task) => drop(task),
                                // The refused closure was counted too.
                                Err(error)
                                    if matches!(
                                        error.as_submit().map(|it| it.kind()),
                                        Some(SubmitErrorKind::ScopeEnded { .. })
                                    ) =>
                                {
                                    return accepted + 1;
                                }
                                Err(error) => panic!("{error}"),
                            }
                        }
                        unreachable!("the scope is cancelled")
                    })
                });
                together.wait();
                if round % 2 == 0 {
                    request.cancel()
                } else {
                    inner.cancel()
                };
                submitters.into_iter().map(|submitter| submitter.join().expect("ends")).sum::<usize>()
            });
            assert_eq!((request.pending(), inner.pending()), (0, 0));
            assert_eq!((pool.stats().queued, daemon.stats().queued), (0, 0));
            assert_eq!(dropped.load(Ordering::SeqCst), accepted, "each closure is dropped once");
        }
        busy.into_iter().for_each(Busy::end);
    });
}

#[test]
fn a_cancel_costs_what_its_own_request_queued() {
    bounded(|| {
        const OTHERS: usize = 20;
        const QUEUED: usize = 2_000;
        let owner = Scope::new("owner");
        let shared = started(&owner, "shared", PoolConfig::leased(1));
        let busy = Busy::on(&shared);
        let everybody = Scope::new("everybody else");
        // Full queues, at which others wait for room, and a long one.
        let full: Vec<_> = (0..OTHERS)
            .map(|_| {
                let pool = started(&owner, "full", PoolConfig::leased(1).queue_limit(QUEUED));
                let busy = Busy::on(&pool);
                everybody.run(|| (0..QUEUED).for_each(|_| drop(pool.submit(|| ()).expect("room"))));
                let (to, at) = (pool.clone(), everybody.lineage().clone());
                let waits =
                    std::thread::spawn(move || at.run(|| to.submit_timeout(|| (), BOUND * 10).map(drop).is_ok()));
                eventually("it waits", || pool.stats().refused > 0);
                (pool, busy, waits)
            })
            .collect();
        everybody.run(|| (0..QUEUED).for_each(|_| drop(shared.submit(|| ()).expect("accepted"))));
        let before = cpu_time();
        const CANCELS: u32 = 1_000;
        for _ in 0..CANCELS {
            let request = Scope::new("request");
            let task = request.run(|| shared.submit(|| ()).expect("accepted"));
            drop(request);
            assert!(task.is_finished());
        }
        let each = (cpu_time() - before) / CANCELS;
        // A few microseconds. Looking through the full queues would cost milliseconds.
        assert!(each < Duration::from_micros(200), "{each:?} for each cancel");
        drop(everybody);
        busy.end();
        for (_, busy, waits) in full {
            busy.end();
            // Its place was cancelled, or it was let in before and ended.
            let _ = waits.join().unwrap();
        }
    });
}

/// Of all threads of this process.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists, and the call fills the structure.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned() as u32)
}
