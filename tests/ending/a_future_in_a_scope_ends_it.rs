//! A future `in_scope`: when it has finished its scope is closed; dropped early, the scope is cancelled. Neither
//! blocks.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Waker};

use heirloom::{FutureExt, Heirloom, PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskHandle};

use crate::common;

/// A pool whose only place is taken until the sender is dropped.
fn blocked(owner: &Scope) -> (PoolManager, Sender<()>, TaskHandle<()>) {
    let pool = owner.create("work");
    pool.start(PoolConfig::leased(1)).expect("starts");
    let (go, wait): (Sender<()>, Receiver<()>) = mpsc::channel();
    let blocker = pool.submit(move || wait.recv().unwrap_or_default()).expect("open");
    (pool, go, blocker)
}

#[test]
fn a_finished_future_closes_its_scope_and_accepted_tasks_run() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let (pool, go, blocker) = blocked(&owner);
        let request = Scope::new("request");
        let at = request.lineage().clone();
        let own = request.create("own");
        own.start(PoolConfig::leased(1)).expect("starts");
        let theirs = pool.clone();
        let submits = async move {
            let queued = theirs.submit(|| 7).expect("open");
            // Handed out as it is; awaiting it here would wait for the blocker.
            [queued]
        };
        let [queued] = futures::executor::block_on(submits.in_scope(request));
        // Back although the task is still queued behind another: nothing waited.
        assert!(!queued.is_finished());
        assert!(!own.is_running(), "its managers are closed");
        let refused = at.run(|| pool.submit(|| ()));
        assert!(
            matches!(refused, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. }))),
            "{refused:?}"
        );
        drop(go);
        assert_eq!(queued.join().expect("it runs"), 7);
        let _ = blocker.join();
    });
}

#[test]
fn a_future_dropped_before_its_first_poll_cancels_its_scope() {
    common::bounded(|| {
        let request = Scope::new("request");
        let own = request.create("own");
        own.start(PoolConfig::leased(1)).expect("starts");
        drop(async {}.in_scope(request));
        assert!(!own.is_running());
    });
}

#[test]
fn a_future_dropped_early_cancels_its_tasks_in_every_pool() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let (pool, go, blocker) = blocked(&owner);
        let request = Scope::new("request");
        let at = request.lineage().clone();
        let (said, heard) = mpsc::channel();
        let theirs = pool.clone();
        let mut future = Box::pin(
            async move {
                let _ = said.send(theirs.submit(|| 7).expect("open"));
                std::future::pending::<()>().await;
            }
            .in_scope(request),
        );
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let queued = heard.recv().expect("it was submitted");
        drop(future);
        let refused = at.run(|| pool.submit(|| ()));
        assert!(
            matches!(refused, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. }))),
            "{refused:?}"
        );
        drop(go);
        assert!(queued.join().expect_err("it never runs").is_cancelled());
        let _ = blocker.join();
    });
}

#[test]
fn a_panic_in_a_poll_cancels_when_the_future_is_dropped() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let (pool, go, blocker) = blocked(&owner);
        let request = Scope::new("request");
        let (said, heard) = mpsc::channel();
        let theirs = pool.clone();
        let failing = async move {
            let _ = said.send(theirs.submit(|| 7).expect("open"));
            resume_unwind(Box::new(()));
        };
        let failed = catch_unwind(AssertUnwindSafe(|| futures::executor::block_on(failing.in_scope(request))));
        assert!(failed.is_err());
        let queued = heard.recv().expect("it was submitted");
        drop(go);
        assert!(queued.join().expect_err("it never runs").is_cancelled());
        let _ = blocker.join();
    });
}

#[test]
fn an_aborted_tokio_task_cancels_its_scope() {
    common::bounded(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime starts");
        let owner = Scope::new("owner");
        let (pool, go, blocker) = blocked(&owner);
        let request = Scope::new("request");
        let at = request.lineage().clone();
        let (said, heard) = mpsc::channel();
        let theirs = pool.clone();
        let work = async move {
            let _ = said.send(theirs.submit(|| 7).expect("open"));
            std::future::pending::<()>().await;
        };
        let task = runtime.spawn(work.in_scope(request));
        let queued = heard.recv().expect("it was submitted");
        task.abort();
        assert!(runtime.block_on(task).is_err_and(|error| error.is_cancelled()));
        assert!(at.run(|| pool.submit(|| ())).is_err());
        drop(go);
        assert!(queued.join().expect_err("it never runs").is_cancelled());
        let _ = blocker.join();
    });
}

#[test]
fn its_locals_end_while_the_scope_is_still_open() {
    struct Submits(PoolManager, Sender<bool>);
    impl Drop for Submits {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.submit(|| ()).is_ok());
        }
    }
    common::bounded(|| {
        let owner = Scope::new("owner");
        let pool = owner.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (said, heard) = mpsc::channel();
        let local = Submits(pool, said);
        // Moved into the future, and dropped with it: not before its last statement.
        let future = async move {
            let _held = &local;
        };
        futures::executor::block_on(future.in_scope(Scope::new("request")));
        assert_eq!(heard.recv(), Ok(true));
    });
}

#[test]
fn its_locals_find_its_values_however_it_ends() {
    static TENANT: Heirloom<&str> = Heirloom::new("tenant");
    struct Asks(Sender<Option<&'static str>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            let _ = self.0.send(TENANT.get().ok().map(|tenant| *tenant));
        }
    }
    common::bounded(|| {
        let request = || {
            let request = Scope::new("request");
            TENANT.at(&request).bind("acme").expect("open");
            request
        };
        let (asks, asked) = mpsc::channel();
        let local = Asks(asks.clone());
        futures::executor::block_on(async move { drop(local) }.in_scope(request()));
        assert_eq!(asked.recv().unwrap(), Some("acme"), "finished");
        let local = Asks(asks);
        drop(async move { drop(local) }.in_scope(request()));
        assert_eq!(asked.recv().unwrap(), Some("acme"), "dropped early");
    });
}

#[test]
fn its_locals_find_its_values_though_its_queued_tasks_have_ended() {
    static TENANT: Heirloom<&str> = Heirloom::new("tenant of queued tasks");
    struct Asks(Sender<bool>);
    impl Drop for Asks {
        fn drop(&mut self) {
            let _ = self.0.send(TENANT.get().is_ok());
        }
    }
    common::bounded(|| {
        for own in [false, true] {
            let owner = Scope::new("owner");
            let request = Scope::new("request");
            let (pool, go, blocker) = blocked(if own { &request } else { &owner });
            TENANT.at(&request).bind("acme").expect("open");
            let queued = request.run(|| pool.submit(|| ()).expect("open"));
            let (asks, asked) = mpsc::channel();
            let local = Asks(asks);
            drop(async move { drop(local) }.in_scope(request));
            assert!(asked.recv().unwrap());
            assert!(queued.is_finished());
            drop(go);
            let _ = blocker.join();
        }
    });
}

#[test]
fn polling_again_after_the_end_is_harmless() {
    common::bounded(|| {
        let mut future = Box::pin(async { 7 }.in_scope(Scope::new("request")));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_ready());
        assert!(future.as_mut().poll(&mut cx).is_pending());
    });
}

#[test]
fn a_finished_future_that_cancels_at_its_end_leaves_nothing() {
    common::bounded(|| {
        let owner = Scope::new("owner");
        let (pool, go, blocker) = blocked(&owner);
        let connection = Scope::new_in(&owner, "connection");
        let at = connection.lineage().clone();
        static PEER: Heirloom<&str> = Heirloom::new("peer");
        PEER.at(&at).bind("ada").expect("binds");
        struct Looks(Sender<(bool, bool)>);
        impl Drop for Looks {
            fn drop(&mut self) {
                let _ = self.0.send((heirloom::is_cancelled(), PEER.get().is_ok()));
            }
        }
        let theirs = pool.clone();
        let (said, heard) = mpsc::channel();
        let looks = Looks(said);
        let submits = std::future::poll_fn(move |_| {
            let _kept = &looks; // until the future is dropped
            std::task::Poll::Ready(theirs.submit(|| 7).expect("open"))
        });
        let queued = futures::executor::block_on(submits.in_scope(connection).cancel_at_end());
        assert!(queued.is_finished(), "it was queued, and is over");
        assert!(queued.join().expect_err("it never runs").is_cancelled());
        assert_eq!(heard.recv(), Ok((true, true)), "what the future holds ends in the scope, as when it is dropped");
        assert!(at.is_cancelled() && PEER.at(&at).get().is_err());
        drop(go);
        let _ = blocker.join();
        assert_eq!(owner.pending(), 0);
    });
}

#[test]
fn a_future_that_cancels_at_its_end_cancels_when_it_is_dropped_too() {
    common::bounded(|| {
        let connection = Scope::new("connection");
        let at = connection.lineage().clone();
        let mut future = Box::pin(std::future::pending::<()>().in_scope(connection).cancel_at_end());
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(!at.is_cancelled());
        drop(future);
        assert!(at.is_cancelled());
    });
}
