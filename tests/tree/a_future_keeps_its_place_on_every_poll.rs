//! A future `in_lineage` or `in_scope` stands at its place on every poll, on whatever thread of whatever runtime, and
//! the place of that thread is restored after every poll, also when it panics.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heirloom::{FutureExt, Lineage, PoolConfig, Scope, current};

use crate::common;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime starts")
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Looks around where it is dropped.
struct Looks(std::sync::mpsc::Sender<Lineage>);

impl Drop for Looks {
    fn drop(&mut self) {
        let _ = self.0.send(current());
    }
}

#[test]
fn it_stands_there_on_every_poll_of_a_multi_thread_runtime() {
    common::bounded(|| {
        runtime().block_on(async {
            let met = Arc::new(tokio::sync::Barrier::new(16));
            let tasks: Vec<_> = (0..16)
                .map(|i| {
                    let scope = Scope::new(format!("request {i}"));
                    let at = scope.lineage().clone();
                    let met = Arc::clone(&met);
                    let inner = at.clone();
                    let work = async move {
                        for _ in 0..200 {
                            assert_eq!(current(), inner);
                            tokio::task::yield_now().await;
                            if i % 2 == 0 {
                                met.wait().await;
                            } else {
                                let _ = tokio::join!(met.wait(), tokio::task::yield_now());
                            }
                        }
                        scope
                    };
                    tokio::spawn(work.in_lineage(&at))
                })
                .collect();
            for task in tasks {
                assert!(task.await.is_ok(), "every poll stood at its own place");
            }
        });
    });
}

#[test]
fn the_workers_place_is_restored_after_every_poll() {
    common::bounded(|| {
        runtime().block_on(async {
            let scope = Scope::new("request");
            let inside = async {
                for _ in 0..500 {
                    // Forgotten on purpose: the poll takes it along.
                    std::mem::forget(Lineage::process().enter());
                    tokio::task::yield_now().await;
                }
            };
            let inside = tokio::spawn(inside.in_lineage(&scope));
            let outside: Vec<_> = (0..8)
                .map(|_| {
                    tokio::spawn(async {
                        for _ in 0..500 {
                            let here = current();
                            if cfg!(feature = "tokio") {
                                assert_eq!(here, Lineage::process(), "it shares its thread");
                            } else {
                                // heirloom cannot tell that it does.
                                assert_eq!(here.thread_id(), Some(std::thread::current().id()));
                                assert_eq!(here.parent(), Some(Lineage::process()));
                            }
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            for task in outside {
                assert!(task.await.is_ok());
            }
            assert!(inside.await.is_ok());
        });
    });
}

#[test]
fn the_place_is_restored_after_a_poll_that_panics() {
    common::bounded(|| {
        let here = current();
        let [outer, inner] = [Scope::new("outer"), Scope::new("inner")];
        let at = outer.lineage().clone();
        let failing = async {
            std::mem::forget(inner.enter());
            assert_eq!(current(), *inner);
            resume_unwind(Box::new(()))
        };
        let mut failing = pin!(failing.in_lineage(&at));
        let failed: Result<Poll<()>, _> = catch_unwind(AssertUnwindSafe(|| poll_once(failing.as_mut())));
        assert!(failed.is_err());
        assert_eq!(current(), here);
    });
}

#[test]
fn the_place_is_restored_after_a_poll_in_a_scope_that_panics() {
    common::bounded(|| {
        let here = current();
        let scope = Scope::new("request");
        let at = scope.lineage().clone();
        let mut failing = Box::pin(async { resume_unwind(Box::new(())) }.in_scope(scope));
        let failed: Result<Poll<()>, _> = catch_unwind(AssertUnwindSafe(|| poll_once(failing.as_mut())));
        assert!(failed.is_err());
        assert_eq!(current(), here);
        drop(failing);
        assert_eq!(current(), here);
        drop(at);
    });
}

#[test]
fn nested_places_come_back_in_turn() {
    common::bounded(|| {
        let [a, b] = [Scope::new("a"), Scope::new("b")];
        let here = current();
        let inner = async {
            let first = current();
            tokio::task::yield_now().await;
            (first, current())
        }
        .in_lineage(&b);
        let outer = async {
            let before = current();
            let inner = inner.await;
            (before, inner, current())
        }
        .in_lineage(&a);
        let seen = runtime().block_on(outer);
        let (a, b) = (a.lineage().clone(), b.lineage().clone());
        assert_eq!(seen, (a.clone(), (b.clone(), b), a));
        assert_eq!(current(), here);
    });
}

#[test]
fn it_is_dropped_standing_there() {
    common::bounded(|| {
        let scope = Scope::new("request");
        let (said, heard) = std::sync::mpsc::channel();
        let looks = Looks(said.clone());
        drop(async move { drop(looks) }.in_lineage(&scope));
        assert_eq!(heard.recv().as_ref(), Ok(scope.lineage()), "before the first poll");

        let looks = Looks(said.clone());
        let mut polled = Box::pin(
            async move {
                let _looks = looks;
                std::future::pending::<()>().await
            }
            .in_lineage(&scope),
        );
        assert!(poll_once(polled.as_mut()).is_pending());
        drop(polled);
        assert_eq!(heard.recv().as_ref(), Ok(scope.lineage()), "between polls");

        let at = scope.lineage().clone();
        let looks = Looks(said);
        drop(async move { drop(looks) }.in_scope(scope));
        assert_eq!(heard.recv(), Ok(at), "in a scope");
    });
}

#[test]
fn tasks_that_it_submits_stand_below_it() {
    common::bounded(|| {
        let shared = Scope::new("shared");
        let pool = shared.create("work");
        pool.start(PoolConfig::leased(2)).expect("starts");
        runtime().block_on(async {
            let request = Scope::new("request");
            let at = request.lineage().clone();
            let parent = async move {
                tokio::task::yield_now().await;
                let first = pool.submit(current).expect("open").await.expect("ends");
                tokio::task::yield_now().await;
                let second = pool.submit(current).expect("open").await.expect("ends");
                (first.parent(), second.parent())
            };
            let parents = tokio::spawn(parent.in_lineage(&at)).await.expect("ends");
            assert_eq!(parents, (Some(at.clone()), Some(at)));
        });
    });
}

#[test]
fn a_future_polled_inside_a_task_goes_back_to_the_task() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let request = Scope::new("request");
        let at = request.lineage().clone();
        let (task, inside, after) = pool
            .submit(move || {
                let task = current();
                let inside = futures::executor::block_on(async { current() }.in_lineage(&at));
                (task, inside, current())
            })
            .expect("open")
            .join()
            .expect("ends");
        assert_eq!(inside, *request);
        assert_eq!(task, after);
    });
}
