//! With the feature `tokio`: futures and jobs that take turns on a runtime's threads share no current node.
//!
//! A future without a node of its own stands at the process. A node that a future enters is current on each of its polls,
//! and for no other future.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use heirloom::{FutureExt, Lineage, NodeKind, PoolConfig, Scope, current};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, LocalSet, block_in_place, spawn_blocking, spawn_local, unconstrained, yield_now};

use crate::common::bounded;

fn one_thread() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime starts")
}

fn workers(n: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(n).build().expect("a runtime starts")
}

/// The current nodes before and after the wait.
async fn looks() -> [Lineage; 2] {
    let before = current();
    yield_now().await;
    [before, current()]
}

fn process() -> [Lineage; 2] {
    [Lineage::process(), Lineage::process()]
}

/// Sends the current node of its drop.
struct Drops(mpsc::Sender<Lineage>);

impl Drop for Drops {
    fn drop(&mut self) {
        let _ = self.0.send(current());
    }
}

#[test]
fn a_spawned_future_stands_at_the_process() {
    bounded(|| {
        for runtime in [one_thread(), workers(2)] {
            runtime.block_on(async {
                assert_eq!(tokio::spawn(looks()).await.unwrap(), process());
                let mut set = JoinSet::new();
                set.spawn(looks());
                assert_eq!(set.join_next().await.unwrap().unwrap(), process());
                assert_eq!(tokio::spawn(unconstrained(looks())).await.unwrap(), process());
                assert_eq!(LocalSet::new().run_until(async { spawn_local(looks()).await.unwrap() }).await, process());
            });
        }
    });
}

#[test]
fn a_blocking_job_stands_at_the_process() {
    bounded(|| {
        for runtime in [one_thread(), workers(1)] {
            let job = || (current(), tokio::runtime::Handle::current().block_on(looks()));
            let (itself, within) = runtime.block_on(async { spawn_blocking(job).await.unwrap() });
            assert_eq!((itself, within), (Lineage::process(), process()));
        }
    });
}

#[test]
fn the_future_of_block_on_has_its_thread_for_itself() {
    bounded(|| {
        for runtime in [one_thread(), workers(1)] {
            let own = current();
            assert_eq!(own.thread_id(), Some(thread::current().id()));
            let seen = runtime.block_on(async {
                let local = LocalSet::new().run_until(looks()).await;
                [looks().await, local].concat()
            });
            assert!(seen.iter().all(|place| *place == own), "{seen:?}");
        }
    });
}

#[test]
fn a_future_does_not_see_the_place_of_the_code_that_drives_its_runtime() {
    bounded(|| {
        let scope = Scope::new("scope");
        let work = scope.create("work");
        work.start(PoolConfig::leased(1)).unwrap();
        let drive = || {
            let runtime = one_thread();
            let spawned = runtime.spawn(async { (looks().await, heirloom::task_id()) });
            let (seen, id) = runtime.block_on(async { (spawned.await.unwrap(), heirloom::task_id()) });
            (seen.0, seen.1, id, heirloom::task_id())
        };
        // An entered node, a task, and a thread of this crate.
        let (seen, ..) = scope.run(drive);
        assert_eq!(seen, process());
        let task = work.submit(drive).unwrap();
        let own = Some(task.id());
        assert_eq!(task.join().unwrap(), (process(), None, own, own));
        let (seen, ..) = scope.run(|| heirloom::thread::spawn(drive).expect("a thread starts")).join().unwrap();
        assert_eq!(seen, process());
    });
}

#[test]
fn a_future_is_not_asked_to_stop_with_the_code_that_drives_its_runtime() {
    bounded(|| {
        let (ready, is_ready) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let thread = heirloom::thread::spawn(move || {
            ready.send(()).unwrap();
            let _ = gone.recv();
            let runtime = one_thread();
            let spawned = runtime.spawn(async { (heirloom::is_cancelled(), heirloom::acknowledge_cancel()) });
            runtime.block_on(async { (heirloom::is_cancelled(), spawned.await.unwrap(), heirloom::is_cancelled()) })
        })
        .expect("a thread starts");
        is_ready.recv().unwrap();
        thread.cancel();
        drop(go);
        assert_eq!(thread.join().unwrap(), (true, (false, false), true));
    });
}

#[test]
fn asking_the_place_of_a_future_without_one_to_stop_is_refused() {
    bounded(|| {
        let outcome = workers(1).block_on(async { tokio::spawn(async { current().cancel() }).await.unwrap() });
        assert_eq!(outcome, heirloom::CancelOutcome::NotCancellable);
    });
}

#[test]
fn a_scope_opened_without_a_place_stands_below_the_process() {
    bounded(|| {
        let own = Scope::new("own");
        let runtime = one_thread();
        let parent =
            own.run(|| runtime.block_on(async { tokio::spawn(async { Scope::new("x").parent() }).await.unwrap() }));
        assert_eq!(parent, Some(Lineage::process()));
    });
}

#[test]
fn what_a_future_without_a_place_starts_stands_below_the_process() {
    bounded(|| {
        let work = Lineage::process().create("what a future without a place starts");
        work.start(PoolConfig::leased(1)).unwrap();
        let manager = work.clone();
        let seen = workers(1).block_on(async {
            let starts = async move {
                let task = manager.submit(current).unwrap().await.unwrap();
                let thread = heirloom::thread::spawn(current).expect("a thread starts").join().unwrap();
                [task, thread]
            };
            tokio::spawn(starts).await.unwrap()
        });
        assert_eq!(seen.each_ref().map(Lineage::kind), [NodeKind::Task, NodeKind::Thread]);
        assert_eq!(seen.map(|place| place.parent()), [Some(Lineage::process()), Some(Lineage::process())]);
        drop(Lineage::process().remove("what a future without a place starts"));
    });
}

/// A hundred futures take turns on one thread, each inside a node of its own across every `.await`.
#[test]
fn a_guard_held_across_an_await_is_seen_by_its_own_future_alone() {
    bounded(|| {
        let own = current();
        let turns = async {
            let rounds = Rc::new(RefCell::new(0_u32));
            let mut all = Vec::new();
            for i in 0..100 {
                let rounds = Rc::clone(&rounds);
                all.push(spawn_local(async move {
                    let [outer, inner] = [Scope::new(format!("outer {i}")), Scope::new(format!("inner {i}"))];
                    assert_eq!(current(), Lineage::process());
                    let _outer = outer.enter();
                    for _ in 0..20 {
                        yield_now().await;
                        assert_eq!(current(), *outer);
                        let _inner = inner.enter();
                        yield_now().await;
                        assert_eq!(current(), *inner);
                        *rounds.borrow_mut() += 1;
                    }
                    drop(_outer);
                    yield_now().await;
                    assert_eq!(current(), Lineage::process());
                }));
                all.push(spawn_local(async {
                    for _ in 0..40 {
                        assert_eq!(current(), Lineage::process());
                        yield_now().await;
                    }
                }));
            }
            for each in all {
                assert_eq!(current(), own);
                each.await.unwrap();
            }
            assert_eq!(*rounds.borrow(), 2000);
        };
        LocalSet::new().block_on(&one_thread(), turns);
        assert_eq!(current(), own);
    });
}

#[test]
fn a_guard_that_its_runtimes_end_drops_leaves_its_own_place() {
    bounded(|| {
        let scope = Scope::new("scope");
        let (drops, dropped) = mpsc::channel();
        let set = LocalSet::new();
        let stays = scope.lineage().clone();
        let _never = set.spawn_local(async move {
            let _at = stays.enter();
            let _drops = Drops(drops);
            std::future::pending::<()>().await;
        });
        let runtime = one_thread();
        set.block_on(&runtime, yield_now());
        let other = Scope::new("other");
        let _at = other.enter();
        drop(set);
        assert_eq!(dropped.recv().unwrap(), *scope, "the guard is dropped after it");
        assert_eq!(current(), *other);
    });
}

/// A guard of one future keeps no other's entry on the stack, and takes none off.
#[test]
fn leaving_a_place_takes_no_other_futures_place_along() {
    bounded(|| {
        let [held, around] = [Scope::new("held"), Scope::new("around")];
        let runtime = one_thread();
        let set = LocalSet::new();
        let (at, (asks, asked)) = (held.lineage().clone(), mpsc::channel::<()>());
        let holds = set.spawn_local(async move {
            let _at = at.enter();
            while asked.try_recv().is_err() {
                assert_eq!(current(), at);
                yield_now().await;
            }
            current()
        });
        // The future enters its node above this one, and stays there when this one is exited.
        around.run(|| set.block_on(&runtime, yield_now()));
        asks.send(()).unwrap();
        assert_eq!(set.block_on(&runtime, holds).unwrap(), *held);
    });
}

#[test]
fn a_future_is_dropped_without_the_place_of_the_code_that_drops_it() {
    bounded(|| {
        let scope = Scope::new("scope");
        let _at = scope.enter();
        let (drops, dropped) = mpsc::channel();
        let runtime = one_thread();
        let never = |drops| async move {
            let _drops = Drops(drops);
            std::future::pending::<()>().await;
        };
        let aborted = runtime.spawn(never(drops.clone()));
        let _until_the_end = runtime.spawn(never(drops.clone()));
        let result = runtime.spawn({
            let drops = drops.clone();
            async move { Drops(drops) }
        });
        let kept = Scope::new("kept");
        let _kept = runtime.spawn(never(drops.clone()).in_lineage(&kept));
        runtime.block_on(async {
            yield_now().await;
            aborted.abort();
            yield_now().await;
        });
        assert_eq!(dropped.try_recv().unwrap(), Lineage::process(), "an abort");
        drop(result);
        assert_eq!(dropped.try_recv().unwrap(), Lineage::process(), "a result that nobody took");
        drop(runtime);
        let mut ends = [dropped.try_recv().unwrap(), dropped.try_recv().unwrap()];
        ends.sort_by_key(|place| place.name().is_some());
        assert_eq!(ends, [Lineage::process(), kept.lineage().clone()], "the runtime's end");
        assert_eq!(current(), *scope);
    });
}

#[test]
fn blocking_in_place_stays_where_the_future_stands() {
    bounded(|| {
        let scope = Scope::new("scope");
        let at = scope.lineage().clone();
        let inner = at.clone();
        workers(2).block_on(async {
            let blocks = async move {
                let within = block_in_place(|| {
                    let nested = one_thread();
                    let spawned = nested.spawn(looks());
                    (current(), nested.block_on(async { (current(), spawned.await.unwrap()) }), current())
                });
                assert_eq!(within, (inner.clone(), (inner.clone(), process()), inner.clone()));
                yield_now().await;
                assert_eq!(current(), inner);
            };
            tokio::spawn(blocks.in_lineage(&at)).await.unwrap();
            let none = tokio::spawn(async { block_in_place(current) }).await.unwrap();
            assert_eq!(none, Lineage::process());
        });
    });
}

#[test]
fn a_future_keeps_its_place_when_another_task_polls_it() {
    bounded(|| {
        let scope = Scope::new("scope");
        let at = scope.lineage().clone();
        workers(2).block_on(async {
            let inner = at.clone();
            let stays = async move {
                for _ in 0..50 {
                    assert_eq!(current(), inner);
                    yield_now().await;
                }
            };
            let mut future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(stays.in_lineage(&at));
            let mut polls = 0;
            loop {
                // Another task, on any of the threads, for each poll.
                let one = tokio::spawn(async move {
                    let ready = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
                    assert_eq!(current(), Lineage::process());
                    (ready, future)
                });
                let (ready, left) = one.await.unwrap();
                future = left;
                polls += 1;
                if ready {
                    break;
                }
            }
            assert_eq!(polls, 51);
        });
    });
}

/// heirloom cannot tell the two futures apart by themselves.
#[test]
fn branches_of_one_task_are_kept_apart_by_in_lineage() {
    bounded(|| {
        let [a, b] = [Scope::new("a"), Scope::new("b")];
        let (at_a, at_b) = (a.lineage().clone(), b.lineage().clone());
        let (seen_a, seen_b, none) = one_thread().block_on(async {
            let both = async move { tokio::join!(looks().in_lineage(&at_a), looks().in_lineage(&at_b), looks()) };
            tokio::spawn(both).await.unwrap()
        });
        assert_eq!(seen_a, [a.lineage().clone(), a.lineage().clone()]);
        assert_eq!(seen_b, [b.lineage().clone(), b.lineage().clone()]);
        assert_eq!(none, process());
    });
}

#[test]
fn wrapping_without_a_place_gives_none() {
    bounded(|| {
        let (job, callback) = workers(1).block_on(async {
            let wrap = async { (heirloom::wrap(heirloom::current), heirloom::wrap_fn(|| heirloom::create("x"))) };
            tokio::spawn(wrap).await.unwrap()
        });
        let own = current();
        assert_eq!(job(), Lineage::process());
        assert!(callback().start(PoolConfig::leased(1)).is_err(), "it owns nothing here either");
        assert_eq!(current(), own);
    });
}
