//! With the feature `tokio`: a task of a pool runs a future on the server's runtime, at the task's node.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Heirloom, PoolConfig, Portal, PortalError, Scope, TaskStatus, portal};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::common::pools::started;
use crate::common::{bounded, eventually};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime starts")
}

/// A server with a portal and a pool with that limit.
fn server(runtime: &Runtime, places: usize) -> Scope {
    let server = Scope::new("server");
    Portal::new(runtime.handle()).bind_at(&server).expect("open");
    started(&server, "work", PoolConfig::leased(places));
    server
}

#[test]
fn the_future_runs_on_the_runtime_and_stands_where_the_task_does() {
    static TENANT: Heirloom<&str> = Heirloom::new("tenant");
    bounded(|| {
        let runtime = runtime();
        let server = server(&runtime, 1);
        let request = Scope::new_in(&server, "request");
        TENANT.at(&request).bind("acme").expect("open");
        let task = move || {
            let at = heirloom::current();
            let future = async move {
                tokio::time::sleep(Duration::from_millis(1)).await; // only the runtime can
                (*TENANT.get().expect("found"), heirloom::current() == at)
            };
            portal().expect("bound").block_on(future).expect("it ends")
        };
        let task = request.run(|| heirloom::get("work").unwrap().submit(task)).expect("accepted");
        assert_eq!(task.join().expect("it runs"), ("acme", true));
        assert!(
            matches!(portal(), Err(ref it) if matches!(it.as_portal(), Some(PortalError::NotRunning { .. }))),
            "out here there is none"
        );
    });
}

#[test]
fn a_spawned_one_goes_on_by_itself_and_is_joined_or_awaited() {
    bounded(|| {
        let runtime = runtime();
        let portal = Portal::new(runtime.handle());
        let (sends, sent) = oneshot::channel();
        let future = portal.spawn(sent);
        assert!(!future.is_finished());
        sends.send(7).unwrap();
        assert_eq!(future.join().expect("it ends"), Ok(7));
        assert_eq!(futures::executor::block_on(portal.spawn(async { 8 })).expect("it ends"), 8);
        let (says, said) = mpsc::channel();
        drop(portal.spawn(async move { says.send(9) })); // detached
        assert_eq!(said.recv().unwrap(), 9);
    });
}

#[test]
fn a_task_that_waits_gives_its_place_away() {
    bounded(|| {
        let runtime = runtime();
        let server = server(&runtime, 1);
        let _at = server.enter();
        let work = heirloom::get("work").expect("found");
        let (sends, sent) = oneshot::channel();
        let waits = work.submit(|| portal().unwrap().block_on(sent).unwrap().unwrap()).expect("accepted");
        let (asks, asked) = oneshot::channel();
        let joins = work.submit(|| portal().unwrap().spawn(asked).join().unwrap().unwrap()).expect("accepted");
        let pays = work.submit(move || (sends.send(7), asks.send(8))).expect("accepted");
        assert_eq!((waits.join().unwrap(), joins.join().unwrap()), (7, 8));
        pays.join().expect("it ran in the only place").0.unwrap();
    });
}

#[test]
fn a_panic_is_told_and_harms_nobody_else() {
    bounded(|| {
        let runtime = runtime();
        let portal = Portal::new(runtime.handle());
        let fails = async {
            if heirloom::current().id() == heirloom::Lineage::process().id() { 7 } else { panic!("no such page") }
        };
        match portal.block_on(fails) {
            Err(error) if error.is_panic() => assert_eq!(error.panic_message(), Some("no such page")),
            other => unreachable!("{other:?}"),
        }
        assert_eq!(portal.block_on(async { 7 }).unwrap(), 7);
    });
}

#[test]
fn a_request_to_stop_ends_the_wait_and_drops_the_future_where_it_stands() {
    struct Tells(mpsc::Sender<Option<String>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let place = heirloom::current().scope();
            let _ = self.0.send(place.and_then(|scope| scope.name().map(String::from)));
        }
    }
    bounded(|| {
        let runtime = runtime();
        let server = server(&runtime, 2);
        let work = server.get("work").expect("found");
        for asks_the_task in [true, false] {
            let request = Scope::new_in(&server, "request");
            let (tells, told) = mpsc::channel();
            let (says, said) = mpsc::channel();
            let task = move || {
                let tells = Tells(tells);
                let forever = async move {
                    says.send(()).unwrap();
                    std::future::pending::<()>().await;
                    drop(tells);
                };
                portal().expect("bound").block_on(forever)
            };
            let task = request.run(|| work.submit(task)).expect("accepted");
            said.recv().unwrap(); // it is under way
            if asks_the_task {
                task.cancel();
            } else {
                request.cancel();
            }
            assert!(matches!(task.join().expect("it ran"), Err(ref it) if it.kind() == heirloom::ErrorKind::Cancelled));
            assert_eq!(told.recv().unwrap().as_deref(), Some("request"));
        }
    });
}

#[test]
fn a_request_to_stop_ends_the_wait_also_while_nobody_drives_the_runtime() {
    bounded(|| {
        let runtime = Builder::new_current_thread().build().expect("a runtime starts");
        let server = server(&runtime, 1);
        let work = server.get("work").expect("found");
        let task = server.run(|| work.submit(|| portal().expect("bound").block_on(async {}))).expect("accepted");
        eventually("it waits", || work.stats().waiting == 1);
        task.cancel();
        assert!(matches!(task.join().expect("it ran"), Err(ref it) if it.kind() == heirloom::ErrorKind::Cancelled));
    });
}

#[test]
fn a_task_whose_wait_a_request_ended_is_interrupted() {
    bounded(|| {
        let runtime = runtime();
        let server = server(&runtime, 1);
        let pool = server.get("work").expect("created above");
        for joins in [false, true] {
            let before = pool.stats().interrupted;
            let (begins, begun) = mpsc::channel();
            let task = move || {
                let _ = heirloom::current();
                let future = async move {
                    begins.send(()).expect("the test listens");
                    std::future::pending::<()>().await;
                };
                let portal = portal().expect("bound");
                if joins { portal.spawn(future).join() } else { portal.block_on(future) }
            };
            let task = server.run(|| pool.submit(task)).expect("accepted");
            begun.recv().expect("it runs");
            task.cancel();
            assert!(
                matches!(task.join().expect("no panic"), Err(ref it) if it.kind() == heirloom::ErrorKind::Cancelled)
            );
            assert_eq!((pool.stats().interrupted, pool.stats().completed), (before + 1, 0), "joins: {joins}");
        }
    });
}

#[test]
fn a_spawned_one_ends_with_its_request_or_by_its_handle() {
    bounded(|| {
        let runtime = runtime();
        let server = server(&runtime, 1);
        let forever = || portal().expect("bound").spawn(std::future::pending::<()>());
        let request = Scope::new_in(&server, "request");
        let future = request.run(forever);
        drop(request);
        assert!(matches!(future.join(), Err(ref it) if it.kind() == heirloom::ErrorKind::Cancelled));

        let future = server.run(forever);
        future.cancel();
        assert!(matches!(future.join(), Err(ref it) if it.kind() == heirloom::ErrorKind::Cancelled));

        let gone = Scope::new_in(&server, "gone");
        gone.cancel();
        let late = gone.run(|| Portal::new(runtime.handle()).spawn(async { unreachable!("it never begins") }));
        assert!(matches!(late.join(), Err(ref it) if it.kind() == heirloom::ErrorKind::Cancelled));
        let late = gone.run(|| Portal::new(runtime.handle()).block_on(async {}));
        assert!(matches!(late, Err(ref it) if it.kind() == heirloom::ErrorKind::Cancelled));
    });
}

#[test]
fn the_nearest_portal_is_found_and_can_be_replaced_and_taken_away() {
    bounded(|| {
        let (one, two) = (runtime(), runtime());
        let outer = server(&one, 1);
        let inner = Scope::new_in(&outer, "inner");
        let found = || portal().map(|portal| portal.runtime_id());
        assert_eq!(inner.run(found).unwrap(), one.handle().id());
        two.block_on(async { Portal::current() }).expect("it runs in one").bind_at(&inner).expect("open");
        assert_eq!(inner.run(found).unwrap(), two.handle().id());
        assert!(Portal::unbind_at(&inner) && !Portal::unbind_at(&inner));
        assert_eq!(inner.run(found).unwrap(), one.handle().id());
        assert!(
            matches!(Portal::current(), Err(ref it) if matches!(it.as_portal(), Some(PortalError::NotRunning { .. })))
        );
        outer.run(|| Portal::new(two.handle()).bind()).expect("open");
        assert_eq!(inner.run(found).unwrap(), two.handle().id());
        let queued = outer.get("work").unwrap().submit(|| ()).unwrap();
        assert!(queued.status() != TaskStatus::Queued || queued.join().is_ok());
    });
}
