//! With the feature `tokio`: a wait through a portal on a thread that runs a runtime's future is refused at once.
//!
//! The error is `WouldDeadlock`, and the future never runs. On a runtime's thread that may block the wait goes on.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};

use heirloom::{PoolConfig, Portal, PortalError, Scope};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task;

use crate::common::bounded;
use crate::common::pools::started;

fn many() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().expect("a runtime starts")
}

fn one() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime starts")
}

fn seven() -> Result<u32, heirloom::Error> {
    Portal::current().expect("in a runtime").block_on(async { 7 })
}

fn refused(out: Result<u32, heirloom::Error>) -> bool {
    matches!(out, Err(ref it) if matches!(it.as_portal(), Some(PortalError::WouldDeadlock { circle: None })))
}

#[test]
fn a_future_of_any_runtime_is_refused() {
    bounded(|| {
        for runtime in [many(), one()] {
            assert!(refused(runtime.block_on(async { seven() })));
            assert!(refused(runtime.block_on(async { tokio::spawn(async { seven() }).await.unwrap() })));
            let local = task::LocalSet::new();
            assert!(refused(local.block_on(&runtime, async { task::spawn_local(async { seven() }).await.unwrap() })));
            // Another runtime's portal too: the wait blocks this runtime all the same.
            let other = many();
            let portal = Portal::new(other.handle());
            assert!(refused(runtime.block_on(async { portal.block_on(async { 7 }) })));
            let joined = runtime.block_on(async { portal.spawn(async { 7 }).join() });
            assert!(refused(joined));
            assert_eq!(runtime.block_on(portal.spawn(async { 7 })).unwrap(), 7, "awaiting is fine");
        }
    });
}

#[test]
fn an_unconstrained_future_is_refused_too() {
    bounded(|| {
        for runtime in [many(), one()] {
            assert!(refused(runtime.block_on(task::unconstrained(async { seven() }))));
            let spawned = async { tokio::spawn(task::unconstrained(async { seven() })).await.unwrap() };
            assert!(refused(runtime.block_on(spawned)));
            assert_eq!(runtime.block_on(async { task::spawn_blocking(seven).await.unwrap() }).unwrap(), 7, "still");
        }
        let (says, said) = mpsc::channel();
        many().block_on(Tells(says));
        assert!(refused(said.recv().unwrap()), "while what has run is dropped");
    });
}

/// Ready at once; waits through a portal when it is dropped.
struct Tells(mpsc::Sender<Result<u32, heirloom::Error>>);

impl Future for Tells {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(seven());
    }
}

#[test]
fn a_task_that_runs_on_a_runtimes_thread_is_refused() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = started(&scope, "work", PoolConfig::leased(1));
        let here = many().block_on(async { work.run(seven) });
        assert!(refused(here.expect("it ran on this thread")));
    });
}

#[test]
fn a_refused_call_runs_nothing_and_leaves_the_budget() {
    bounded(|| {
        let left = |runtime: &Runtime| {
            runtime.block_on(async {
                let first = futures::poll!(Box::pin(async {
                    assert!(refused(Portal::current().unwrap().block_on(async { unreachable!("it is not run") })));
                    // A task's whole budget of one poll, of which the refusal took nothing.
                    let mut steps = 0;
                    while task::coop::has_budget_remaining() {
                        task::consume_budget().await;
                        steps += 1;
                    }
                    steps
                }));
                let untouched = task::yield_now();
                untouched.await;
                let mut steps = 0;
                while task::coop::has_budget_remaining() {
                    task::consume_budget().await;
                    steps += 1;
                }
                (first, std::task::Poll::Ready(steps))
            })
        };
        let (refused_first, plain) = left(&one());
        assert_eq!(refused_first, plain);
    });
}

#[test]
fn a_call_where_blocking_is_allowed_is_served() {
    bounded(|| {
        let runtime = many();
        assert_eq!(runtime.block_on(async { task::spawn_blocking(seven).await.unwrap() }).unwrap(), 7);
        assert_eq!(
            runtime.block_on(async { tokio::spawn(async { task::block_in_place(seven) }).await.unwrap() }).unwrap(),
            7
        );
        let current = one();
        assert_eq!(current.block_on(async { task::spawn_blocking(seven).await.unwrap() }).unwrap(), 7);
        // In a runtime's context, but not running a future of it.
        let _context = runtime.enter();
        assert!(Handle::try_current().is_ok());
        assert_eq!(seven().unwrap(), 7);
    });
}

#[test]
fn a_task_that_is_awaited_in_its_own_pools_runtime_may_block_on_any() {
    bounded(|| {
        let scope = Scope::new("test");
        let server = many();
        Portal::new(server.handle()).bind_at(&scope).expect("the scope is open");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let by_portal = || heirloom::portal()?.block_on(async { 7 });
        let by_runtime = || one().block_on(async { 7 });
        for runtime in [one, many] {
            let inner = pool.clone();
            // No other code could have started the two before they are awaited.
            let outer = move || {
                runtime().block_on(async move {
                    let portal = inner.submit(by_portal).expect("accepted").await;
                    (portal, inner.submit(by_runtime).expect("accepted").await)
                })
            };
            let (portal, own) = scope.run(|| pool.submit(outer)).expect("accepted").join().expect("no panic");
            assert_eq!(portal.expect("no panic").expect("the server's runtime runs it"), 7);
            assert_eq!(own.expect("no panic"), 7);
        }
    });
}
