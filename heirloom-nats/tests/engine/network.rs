//! A worker's connection is cut, or stalls.

use std::time::{Duration, Instant};

use heirloom::remote::engine::Settlement;

use crate::common::end::{End, LEASE, limits, text};
use crate::common::proxy::Proxy;
use crate::common::server::Server;

#[test]
fn a_job_of_a_worker_without_a_connection_is_delivered_again_after_the_lease() {
    let Some(server) = Server::plain() else { return };
    let proxy = Proxy::to(server.port());
    let (worker, other) = (End::leased(&proxy.url(), LEASE), End::leased(&server.url(), LEASE));
    other.declare("q", limits(4, None)).unwrap();
    worker.declare("q", None).unwrap();
    worker.engine.pull("q", 1);
    let receipt = other.send("q", "job");
    let first = worker.delivery();
    proxy.cut(true);
    worker.wait_connected(false);
    let start = Instant::now();
    other.engine.pull("q", 1);
    let second = other.delivery();
    // The server's own default is half a minute.
    assert!(start.elapsed() < LEASE * 20, "after {:?}", start.elapsed());
    assert_eq!(second.receipt, receipt);
    // The first worker comes back, and its job is not its own any more: what it gives back stays with the other.
    proxy.cut(false);
    worker.wait_connected(true);
    worker.engine.settle(first.id, Settlement::GiveBack);
    worker.engine.pull("q", 1);
    assert!(worker.delivery_within(LEASE * 3).is_none());
    other.done(&second);
    other.wait_depth("q", |depth| depth.running == 0);
}

#[test]
fn a_worker_that_connects_again_within_the_lease_keeps_its_job() {
    let Some(server) = Server::plain() else { return };
    let proxy = Proxy::to(server.port());
    // Long enough to connect again on a busy machine.
    let lease = LEASE * 4;
    let (worker, other) = (End::leased(&proxy.url(), lease), End::leased(&server.url(), lease));
    other.declare("q", limits(4, None)).unwrap();
    worker.declare("q", None).unwrap();
    worker.engine.pull("q", 2);
    other.send("q", "job");
    let first = worker.delivery();
    proxy.cut(true);
    worker.wait_connected(false);
    proxy.cut(false);
    worker.wait_connected(true);
    other.engine.pull("q", 1);
    assert!(other.delivery_within(lease * 2).is_none());
    worker.done(&first);
    other.wait_depth("q", |depth| depth.running == 0);
    // The pull that was open goes on.
    other.engine.stop_pulling("q");
    other.send("q", "next");
    assert_eq!(text(&worker.delivery()), "next");
}

#[test]
fn a_half_open_connection_is_noticed() {
    let Some(server) = Server::plain() else { return };
    let proxy = Proxy::to(server.port());
    let end = End::leased(&proxy.url(), LEASE);
    end.declare("q", limits(4, None)).unwrap();
    proxy.stall(true);
    end.wait_connected(false);
    proxy.stall(false);
    end.wait_connected(true);
    end.send("q", "job");
}

#[test]
fn an_origin_that_was_stopped_keeps_its_connection() {
    let Some(server) = Server::plain() else { return };
    let lease = LEASE * 5;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let origin = End::with_lease(heirloom_nats::connect(server.url()).runtime(runtime.handle().clone()), lease);
    origin.declare("q", limits(4, None)).unwrap();
    let (begin, begun) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let _ = begin.send(());
        std::thread::sleep(lease);
    });
    begun.recv().unwrap();
    origin.send("q", "after the stop");
    assert_eq!(origin.change_within(Duration::ZERO), None, "it takes no jobs that could be another worker's");
    drop(origin);
    runtime.shutdown_background();
}

#[test]
fn a_worker_that_was_stopped_hands_on_no_job_that_is_anothers_by_now() {
    let Some(server) = Server::plain() else { return };
    // The worker's connection has a runtime whose only thread the test stops.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let worker = End::with_lease(heirloom_nats::connect(server.url()).runtime(runtime.handle().clone()), LEASE);
    let other = End::leased(&server.url(), LEASE);
    other.declare("q", limits(4, None)).unwrap();
    worker.declare("q", None).unwrap();
    worker.engine.pull("q", 1);
    other.wait_depth("q", |depth| depth.pulls == 1);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (begin, begun) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let _ = begin.send(());
        let _ = stopped.recv();
    });
    begun.recv().unwrap();
    other.send("q", "job");
    other.wait_depth("q", |depth| depth.running == 1);
    other.engine.pull("q", 1);
    let job = other.delivery();
    drop(stop);
    worker.wait_connected(false);
    worker.wait_connected(true);
    assert!(worker.delivery_within(LEASE).is_none());
    other.done(&job);
    other.send("q", "next");
    assert_eq!(text(&worker.delivery()), "next");
    drop(worker);
    runtime.shutdown_background();
}
