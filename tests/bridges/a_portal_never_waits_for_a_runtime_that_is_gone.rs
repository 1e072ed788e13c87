//! With the feature `tokio`: a portal keeps no runtime running.
//!
//! A call through a portal whose runtime has ended returns `NotRunning`, and so does a wait during which it ends.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, Portal, PortalError, PortalHandle, Scope, portal};
use tokio::runtime::{Builder, Runtime};

use crate::common::bounded;
use crate::common::pools::started;

fn runtimes() -> [Runtime; 2] {
    let many = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let one = Builder::new_current_thread().enable_all().build();
    [many.expect("a runtime starts"), one.expect("a runtime starts")]
}

fn says_so<T>(out: Result<T, heirloom::Error>) {
    match out.map(drop) {
        Err(error) if matches!(error.as_portal(), Some(PortalError::NotRunning { .. })) => {
            assert!(error.to_string().contains("Portal::bind_at"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_after_the_runtimes_end_returns() {
    bounded(|| {
        for runtime in runtimes() {
            let portal = Portal::new(runtime.handle());
            drop(runtime);
            says_so(portal.block_on(async {}));
            says_so(portal.spawn(std::future::pending::<()>()).join());
            says_so(portal.block_on(async { tokio::time::sleep(Duration::from_secs(3600)).await }));
        }
    });
}

#[test]
fn a_wait_ends_with_the_runtime() {
    for shut_down in [Runtime::shutdown_background, drop::<Runtime>] {
        bounded(move || {
            for runtime in runtimes() {
                let server = Scope::new("server");
                let work = started(&server, "work", PoolConfig::leased(2));
                Portal::new(runtime.handle()).bind_at(&server).expect("open");
                let (waits, waiting) = mpsc::channel();
                let forever = || async { std::future::pending::<()>().await };
                let blocks = {
                    let waits = waits.clone();
                    move || {
                        waits.send(()).unwrap();
                        portal().expect("bound").block_on(forever())
                    }
                };
                let joins = move || {
                    let future: PortalHandle<()> = portal().expect("bound").spawn(forever());
                    waits.send(()).unwrap();
                    future.join()
                };
                let (blocks, joins) = server.run(|| (work.submit(blocks), work.submit(joins)));
                waiting.recv().and_then(|()| waiting.recv()).expect("both begin");
                // A `current_thread` runtime runs futures while a thread is in its `block_on`.
                runtime.block_on(tokio::task::yield_now());
                shut_down(runtime);
                says_so(blocks.expect("accepted").join().expect("it runs"));
                says_so(joins.expect("accepted").join().expect("it runs"));
                says_so(server.run(|| portal().expect("still bound").block_on(async {})));
            }
        });
    }
}

#[test]
fn a_portal_does_not_delay_the_shutdown() {
    bounded(|| {
        for runtime in runtimes() {
            let server = Scope::new("server");
            Portal::new(runtime.handle()).bind_at(&server).expect("open");
            let dropped = std::sync::Arc::new(());
            let held = std::sync::Arc::clone(&dropped);
            let future = server.run(|| portal().expect("bound")).spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
            drop(runtime);
            assert_eq!(std::sync::Arc::strong_count(&dropped), 1, "the future went with its runtime");
            says_so(future.join());
        }
    });
}
