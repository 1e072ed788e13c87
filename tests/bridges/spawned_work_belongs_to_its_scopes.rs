//! `heirloom::spawn`, `spawn_blocking` and `JoinSet`: the work stands at the node that spawned it.
//!
//! The scopes there count it, wait for it at their end and cancel it, and its handle returns its result.

use std::future::pending;
use std::panic::panic_any;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::{CancelOutcome, FutureExt, Heirloom, JoinSet, Lineage, Registry, Scope, SpawnError, StopError};
use heirloom::{current, spawn, spawn_blocking};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::common::bounded;

static USER: Heirloom<u32> = Heirloom::new("user");

const LONG: Duration = Duration::from_secs(3600);

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread().build().unwrap(), workers()]
}

fn workers() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).build().unwrap()
}

/// Sends the current node of its drop.
struct Drops(mpsc::Sender<Lineage>);

impl Drop for Drops {
    fn drop(&mut self) {
        let _ = self.0.send(current());
    }
}

fn a_scope() -> (Scope, Lineage) {
    let scope = Scope::new("request");
    USER.at(&scope).bind(7_u32).unwrap();
    let at = scope.lineage().clone();
    (scope, at)
}

fn user() -> Option<u32> {
    USER.get().ok().map(|user| *user)
}

#[test]
fn it_stands_where_it_was_spawned() {
    bounded(|| {
        for runtime in runtimes() {
            let (_scope, at) = a_scope();
            let looks = async {
                let mut all = Vec::new();
                for _ in 0..4 {
                    all.push((current(), user()));
                    yield_now().await;
                }
                all
            };
            let seen = runtime.block_on(
                async {
                    let future = spawn(looks).unwrap();
                    let job = spawn_blocking(|| vec![(current(), user())]).unwrap();
                    [future.await.unwrap(), job.await.unwrap()].concat()
                }
                .in_lineage(&at),
            );
            assert_eq!(seen, vec![(at, Some(7)); 5]);
        }
    });
}

#[test]
fn what_a_place_makes_for_itself_it_may_make_from_there() {
    bounded(|| {
        let (_scope, at) = a_scope();
        let owner = workers().block_on(
            async {
                let made = spawn(async {
                    let own = heirloom::create("own");
                    own.start(heirloom::PoolConfig::leased(1)).unwrap();
                    own.owner()
                });
                made.unwrap().await.unwrap()
            }
            .in_lineage(&at),
        );
        assert_eq!(owner, Some(at));
    });
}

#[test]
fn spawned_without_a_place_it_has_none() {
    bounded(|| {
        for runtime in runtimes() {
            let none = || (current(), heirloom::create("x").start(heirloom::PoolConfig::leased(1)).is_ok());
            let seen = runtime.block_on(async {
                let spawns = async move {
                    let future = spawn(async move { none() }).unwrap();
                    [future.await.unwrap(), spawn_blocking(none).unwrap().await.unwrap()]
                };
                tokio::spawn(spawns).await.unwrap()
            });
            assert_eq!(seen, [(Lineage::process(), false), (Lineage::process(), false)]);
        }
    });
}

#[test]
fn outside_of_a_runtime_it_is_refused() {
    bounded(|| {
        let all = [spawn(async {}).map(drop), spawn_blocking(|| ()).map(drop), JoinSet::new().spawn(async {})];
        for refused in all {
            let refused = refused.expect_err("no runtime runs here");
            assert!(matches!(refused.as_spawn(), Some(SpawnError::NotRunning)), "{refused}");
        }
    });
}

#[test]
fn a_scope_that_was_told_to_end_takes_none() {
    bounded(|| {
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        outer.close();
        let runtime = workers();
        let refused = inner.run(|| {
            let _in = runtime.enter();
            [spawn(async {}).map(drop), spawn_blocking(|| ()).map(drop)]
        });
        for refused in refused {
            let refused = refused.expect_err("the scope has ended");
            assert!(
                matches!(refused.as_spawn(), Some(SpawnError::ScopeEnded { place, .. }) if place.contains("inner")),
                "{refused:?}"
            );
            assert!(refused.is_cancelled());
        }
        assert_eq!((inner.pending(), outer.pending()), (0, 0));
        assert!(inner.stop().unwrap().is_complete());
    });
}

#[test]
fn its_scopes_count_it_and_their_stop_waits_for_it() {
    bounded(|| {
        for runtime in runtimes() {
            let outer = Scope::new("outer");
            let inner = Scope::new_in(&outer, "inner");
            let (open, opened) = oneshot::channel::<()>();
            let (go, gone) = mpsc::channel::<()>();
            let _in = runtime.enter();
            let (future, job) = inner.run(|| (spawn(opened).unwrap(), spawn_blocking(move || gone.recv()).unwrap()));
            assert_eq!((inner.pending(), outer.pending()), (2, 2));
            let left = outer.stop_timeout(Duration::ZERO).unwrap();
            assert_eq!((left.remaining, left.is_complete()), (2, false));
            drop((future, job)); // detached, and waited for all the same
            runtime.block_on(async {
                let stops = outer.stop_async();
                let ends = async {
                    yield_now().await;
                    assert_eq!(outer.pending(), 2);
                    open.send(()).unwrap();
                    go.send(()).unwrap();
                };
                let (stopped, ()) = tokio::join!(stops, ends);
                assert!(stopped.unwrap().is_complete());
            });
            assert_eq!((inner.pending(), outer.pending()), (0, 0));
        }
    });
}

/// Sends in its drop the current node, and the number of tasks that the scope counts.
struct Leaves(Arc<Scope>, mpsc::Sender<(Lineage, usize)>);

impl Drop for Leaves {
    fn drop(&mut self) {
        let _ = self.1.send((current(), self.0.pending()));
    }
}

#[test]
fn what_a_detached_one_leaves_is_dropped_at_its_place_before_the_scope_counts_it_out() {
    bounded(|| {
        let runtime = workers();
        let _in = runtime.enter();
        let spawns: [fn(oneshot::Receiver<()>, Leaves); 2] = [
            |gone, leaves| drop(spawn(async { (gone.await, leaves).1 }).unwrap()),
            |gone, leaves| drop(spawn_blocking(|| (gone.blocking_recv(), leaves).1).unwrap()),
        ];
        for spawns in spawns {
            let scope = Arc::new(Scope::new("request"));
            let (leaves, left) = mpsc::channel();
            let (go, gone) = oneshot::channel();
            scope.run(|| spawns(gone, Leaves(Arc::clone(&scope), leaves)));
            go.send(()).unwrap();
            assert!(scope.stop().unwrap().is_complete());
            assert_eq!(left.try_recv().unwrap(), (scope.lineage().clone(), 1));
        }
    });
}

#[test]
fn a_future_is_dropped_at_its_place_when_its_scope_is_cancelled() {
    bounded(|| {
        for runtime in runtimes() {
            let (scope, at) = a_scope();
            let (drops, dropped) = mpsc::channel();
            let (begins, begun) = oneshot::channel();
            runtime.block_on(async {
                let future = scope.run(|| {
                    spawn(async move {
                        let _drops = Drops(drops);
                        begins.send(()).unwrap();
                        pending::<()>().await;
                    })
                });
                let future = future.unwrap();
                begun.await.unwrap();
                scope.cancel();
                let ended = future.await.unwrap_err();
                assert!(ended.is_cancelled() && !ended.is_panic(), "{ended}");
                assert_eq!(scope.pending(), 0);
            });
            assert_eq!(dropped.try_recv().unwrap(), at);
        }
    });
}

#[test]
fn a_future_is_dropped_when_its_handle_says_so() {
    bounded(|| {
        for runtime in runtimes() {
            let scope = Scope::new("request");
            runtime.block_on(async {
                for cancels_on_drop in [false, true] {
                    let (drops, dropped) = oneshot::channel::<()>();
                    let future = scope.run(|| {
                        spawn(async move {
                            let _drops = drops;
                            pending::<()>().await;
                        })
                    });
                    let future = future.unwrap();
                    yield_now().await;
                    if cancels_on_drop {
                        drop(future.cancel_on_drop());
                    } else {
                        assert_eq!(future.cancel(), CancelOutcome::Requested);
                        // Another worker of the runtime may have dropped the future since.
                        let again = future.cancel();
                        assert!(matches!(again, CancelOutcome::AlreadyRequested | CancelOutcome::AlreadyFinished));
                        assert!(future.await.unwrap_err().is_cancelled());
                    }
                    assert!(dropped.await.is_err());
                }
                let ended = spawn(async {}).unwrap();
                yield_now().await;
                while !ended.is_finished() {
                    yield_now().await;
                }
                assert_eq!(ended.cancel(), CancelOutcome::AlreadyFinished);
                ended.await.unwrap();
                assert_eq!(scope.pending(), 0);
            });
        }
    });
}

/// Takes the runtime's only thread for jobs, until the returned sender is dropped.
fn takes_the_thread() -> (impl Future<Output = ()>, mpsc::Sender<()>) {
    let (go, gone) = mpsc::channel();
    let (begins, begun) = oneshot::channel();
    let job = tokio::task::spawn_blocking(move || {
        begins.send(()).unwrap();
        let _ = gone.recv();
    });
    let _detached = job;
    (async { begun.await.unwrap() }, go)
}

#[test]
fn a_job_that_has_not_begun_is_over_as_soon_as_it_is_cancelled() {
    bounded(|| {
        workers().block_on(async {
            let (taken, go) = takes_the_thread();
            taken.await;
            let (scope, at) = a_scope();
            let (drops, dropped) = mpsc::channel();
            let queued = || {
                let drops = Drops(drops.clone());
                scope.run(|| spawn_blocking(move || drop(drops))).unwrap()
            };
            let (by_handle, by_scope, detached) = (queued(), queued(), queued());
            assert_eq!(scope.pending(), 3);
            by_handle.cancel();
            assert_eq!((dropped.try_recv(), scope.pending()), (Ok(at.clone()), 2));
            assert!(by_handle.await.unwrap_err().is_cancelled());
            drop(detached);
            scope.cancel();
            assert_eq!((dropped.try_iter().collect::<Vec<_>>(), scope.pending()), (vec![at.clone(), at], 0));
            assert!(by_scope.await.unwrap_err().is_cancelled());
            drop(go);
        });
    });
}

#[test]
fn a_job_that_runs_hears_of_it_where_it_looks() {
    bounded(|| {
        let runtime = workers();
        let by_scope: fn(&Scope, &heirloom::SpawnHandle<bool>) = |scope, _| scope.cancel();
        let by_handle: fn(&Scope, &heirloom::SpawnHandle<bool>) = |_, job| job.abort();
        for cancel in [by_scope, by_handle] {
            let scope = Scope::new("request");
            let (begins, begun) = mpsc::channel();
            let _in = runtime.enter();
            let job = scope.run(|| {
                spawn_blocking(move || {
                    assert!(heirloom::checkpoint().is_ok());
                    begins.send(()).unwrap();
                    heirloom::sleep(LONG).is_err() && heirloom::checkpoint().is_err()
                })
            });
            let job = job.unwrap();
            begun.recv().unwrap();
            cancel(&scope, &job);
            assert!(runtime.block_on(job).unwrap());
        }
    });
}

#[test]
fn a_job_may_decline_what_its_handle_asks() {
    bounded(|| {
        let runtime = workers();
        let _in = runtime.enter();
        let (begins, begun) = mpsc::channel();
        let (declines, declined) = mpsc::channel();
        let job = spawn_blocking(move || {
            begins.send(()).unwrap();
            let asked = heirloom::sleep(LONG).is_err() && heirloom::acknowledge_cancel();
            let goes_on = heirloom::checkpoint().is_ok() && !heirloom::acknowledge_cancel();
            declines.send(()).unwrap();
            asked && goes_on && heirloom::sleep(LONG).is_err()
        });
        let job = job.unwrap();
        begun.recv().unwrap();
        assert_eq!(job.cancel(), CancelOutcome::Requested);
        declined.recv().unwrap();
        assert_eq!(job.cancel(), CancelOutcome::Requested, "a new request");
        assert!(runtime.block_on(job).unwrap());
    });
}

#[test]
fn a_future_hears_of_its_handles_request_while_it_runs() {
    bounded(|| {
        let runtime = workers();
        let _in = runtime.enter();
        let (begins, begun) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let (hears, heard) = mpsc::channel();
        let future = spawn(async move {
            begins.send(heirloom::is_cancelled()).unwrap();
            let _ = gone.recv();
            hears.send(heirloom::is_cancelled()).unwrap();
            pending::<()>().await;
        });
        let future = future.unwrap();
        assert!(!begun.recv().unwrap());
        future.abort();
        drop(go);
        assert!(heard.recv().unwrap());
        assert!(runtime.block_on(future).unwrap_err().is_cancelled());
    });
}

#[test]
fn a_panic_is_handed_over_with_its_payload() {
    bounded(|| {
        for runtime in runtimes() {
            let scope = Scope::new("request");
            let ended = runtime.block_on(async {
                let (future, job) =
                    scope.run(|| (spawn(async { panic_any(7_u32) }), spawn_blocking(|| panic!("no {}", 8))));
                let (future, job): (Result<(), _>, Result<(), _>) = (future.unwrap().await, job.unwrap().await);
                (future.unwrap_err(), job.unwrap_err())
            });
            assert!(ended.0.is_panic() && ended.1.is_panic() && !ended.0.is_cancelled());
            assert_eq!((ended.0.panic_message(), ended.1.panic_message()), (None, Some("no 8")));
            assert!(ended.1.to_string().contains("no 8"));
            assert_eq!(ended.0.into_panic().unwrap().downcast_ref::<u32>(), Some(&7));
            assert!(scope.stop().unwrap().is_complete(), "it is counted out");
        }
    });
}

#[test]
fn a_runtime_that_is_shut_down_cancels_it() {
    bounded(|| {
        let runtime = workers();
        let scope = Scope::new("request");
        let (future, job) = runtime.block_on(async {
            let (taken, go) = takes_the_thread();
            taken.await;
            let both = scope.run(|| (spawn(pending::<()>()).unwrap(), spawn_blocking(|| ()).unwrap()));
            drop(go);
            both
        });
        let handle = runtime.handle().clone();
        drop(runtime);
        let future = futures::executor::block_on(future).unwrap_err();
        assert!(future.is_cancelled() && future.to_string().contains("shut down"), "{future}");
        let _ = futures::executor::block_on(job); // begun or not, it has ended
        let late = scope.run(|| {
            let _in = handle.enter();
            [spawn(async {}).unwrap(), spawn_blocking(|| ()).unwrap()]
        });
        for late in late {
            assert!(futures::executor::block_on(late).unwrap_err().is_cancelled());
        }
        assert_eq!(scope.pending(), 0);
    });
}

#[test]
fn it_does_not_wait_for_the_end_of_its_own_scope() {
    bounded(|| {
        for runtime in runtimes() {
            let scope: &'static Scope = Box::leak(Box::new(Scope::new("request")));
            let (future, job, other) = runtime.block_on(async {
                let (future, job) = scope.run(|| {
                    let future = spawn(async { scope.stop_async().await });
                    (future.unwrap(), spawn_blocking(|| scope.stop()).unwrap())
                });
                let elsewhere = Scope::new("elsewhere");
                let stops = async { Scope::new("a third").stop_async().await };
                let other = elsewhere.run(|| spawn(stops)).unwrap();
                (future.await.unwrap(), job.await.unwrap(), other.await.unwrap())
            });
            for own in [future, job] {
                assert!(
                    matches!(own, Err(ref it) if matches!(it.as_stop(), Some(StopError::FromOwnTask { .. }))),
                    "{own:?}"
                );
            }
            assert!(other.is_ok() && !scope.is_closed());
        }
    });
}

#[test]
fn a_shutdown_waits_for_it_and_reports_what_is_left() {
    bounded(|| {
        let runtime = workers();
        let family = Arc::new(Registry::new());
        let sockets = Scope::new_in(&family.root(), "sockets");
        let _in = runtime.enter();
        // No scope would end it, so the shutdown does not wait for it.
        let acceptor = family.root().run(|| spawn(pending::<()>())).unwrap();
        assert!(family.shutdown_timeout(LONG).is_complete());

        let (go, gone) = oneshot::channel::<()>();
        let socket = sockets.run(|| spawn(gone)).unwrap();
        let report = family.shutdown_timeout(Duration::ZERO);
        assert_eq!((report.spawned, report.is_complete()), (1, false));
        assert!(report.to_string().contains("1 spawned future(s) or job(s)"), "{report}");
        let own = Arc::clone(&family);
        let within = sockets.run(|| spawn_blocking(move || own.shutdown_timeout(LONG).spawned)).unwrap();
        assert_eq!(runtime.block_on(within).unwrap(), 1, "it does not wait for itself, nor count itself");
        std::thread::scope(|s| {
            let waits = s.spawn(|| family.shutdown_timeout(LONG));
            go.send(()).unwrap();
            assert!(waits.join().unwrap().is_complete());
        });
        assert!(socket.is_finished());

        let (go, gone) = oneshot::channel::<()>();
        let socket = sockets.run(|| spawn(gone)).unwrap();
        runtime.block_on(async {
            assert_eq!(family.shutdown_timeout_async(Duration::ZERO).await.spawned, 1);
            let own = Arc::clone(&family);
            let within = sockets.run(|| spawn(async move { own.shutdown_timeout_async(LONG).await.spawned })).unwrap();
            assert_eq!(within.await.unwrap(), 1);
            let (report, sent) = tokio::join!(family.shutdown_timeout_async(LONG), async { go.send(()) });
            assert!(sent.is_ok() && report.is_complete() && socket.is_finished());
        });
        acceptor.cancel();
    });
}

#[test]
fn a_set_yields_each_at_its_end() {
    bounded(|| {
        for runtime in runtimes() {
            let (scope, at) = a_scope();
            let mut all = runtime.block_on(
                async {
                    let mut set = JoinSet::new();
                    assert!(set.join_next().await.is_none() && set.try_join_next().is_none() && set.is_empty());
                    for i in 0..10 {
                        set.spawn(async move {
                            yield_now().await;
                            (i, current())
                        })
                        .unwrap();
                        set.spawn_blocking(move || (10 + i, current())).unwrap();
                    }
                    assert_eq!((set.len(), heirloom::current().scope().is_some()), (20, true));
                    let mut all = Vec::new();
                    while let Some(ended) = set.join_next().await {
                        all.push(ended.unwrap());
                    }
                    all
                }
                .in_lineage(&at),
            );
            all.sort_by_key(|(i, _)| *i);
            assert!(all.iter().enumerate().all(|(i, (number, place))| (i, place) == (*number, &at)), "{all:?}");
            assert_eq!(scope.pending(), 0);
        }
    });
}

#[test]
fn a_set_cancels_what_is_in_it() {
    bounded(|| {
        for runtime in runtimes() {
            let scope = Scope::new("request");
            let at = scope.lineage().clone();
            runtime.block_on(
                async {
                    let mut set = JoinSet::new();
                    let fill = |set: &mut JoinSet<()>| (0..10).for_each(|_| set.spawn(pending()).unwrap());
                    fill(&mut set);
                    set.abort_all();
                    for _ in 0..10 {
                        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
                    }
                    assert!(set.is_empty());
                    fill(&mut set);
                    set.shutdown().await;
                    assert!(set.is_empty() && scope.pending() == 0);
                    fill(&mut set);
                    drop(set);
                    while scope.pending() > 0 {
                        yield_now().await;
                    }
                    let (go, gone) = oneshot::channel::<()>();
                    let mut set = JoinSet::new();
                    set.spawn(gone).unwrap();
                    set.detach_all();
                    drop(set);
                    yield_now().await;
                    assert_eq!(scope.pending(), 1);
                    go.send(()).unwrap();
                    while scope.pending() > 0 {
                        yield_now().await;
                    }
                }
                .in_lineage(&at),
            );
        }
    });
}
