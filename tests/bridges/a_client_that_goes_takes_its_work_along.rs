//! With the feature `tower`: a client that disconnects in the middle of its request cancels the request's tasks.
//!
//! Sleeping and queued tasks end, in the request's pools and in shared ones, and no task of another request.

use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use heirloom::tower::ScopeLayer;
use heirloom::{PoolConfig, Scope, TaskHandle};

use crate::common::pools::{Busy, started};
use crate::common::{self, bounded};
use crate::web::{Server, all_requests_are_gone};
use crate::{grpc, web};

const LONG: Duration = Duration::from_secs(3600);

/// The tasks of a handler.
struct Asked {
    sleeps_in_its_own: TaskHandle<Result<(), heirloom::Error>>,
    sleeps_in_shared: TaskHandle<Result<(), heirloom::Error>>,
    queued: TaskHandle<()>,
}

fn ask_for_work() -> Asked {
    let own = heirloom::create("own");
    own.start(PoolConfig::leased(1)).expect("starts");
    let (starts, started) = mpsc::channel();
    let sleep = || {
        let starts = starts.clone();
        move || {
            starts.send(()).expect("the handler listens");
            heirloom::sleep(LONG)
        }
    };
    let asked = Asked {
        sleeps_in_its_own: own.submit(sleep()).expect("accepted"),
        sleeps_in_shared: heirloom::get("shared").expect("found").submit(sleep()).expect("accepted"),
        queued: heirloom::get("serial").expect("found").submit(|| unreachable!("it was cancelled")).expect("accepted"),
    };
    started.recv().and_then(|()| started.recv()).expect("both start");
    asked
}

/// Checks that all tasks end. A task behind `busy` leaves the queue when the server has noticed the disconnect.
fn all_end<const N: usize>(asked: [Asked; N], busy: Busy) {
    let queued = asked.map(|asked| {
        assert!(asked.sleeps_in_its_own.join().expect("it ran").is_err());
        assert!(asked.sleeps_in_shared.join().expect("it ran").is_err());
        asked.queued
    });
    busy.end();
    for queued in queued {
        assert!(queued.join().is_err_and(|error| error.is_cancelled()));
    }
}

#[test]
fn a_client_of_an_axum_service_ends_its_work_when_it_goes() {
    bounded(|| {
        let owner = Scope::new("server");
        let shared = started(&owner, "shared", PoolConfig::leased(4));
        let serial = started(&owner, "serial", PoolConfig::leased(1));
        let busy = Busy::on(&serial);
        let (says, said) = mpsc::channel();
        let slow = move || {
            says.send(ask_for_work()).expect("the test listens");
            std::future::pending::<&'static str>()
        };
        let layer = ScopeLayer::new().below(&owner).name(|request: &Request| request.uri().path().to_string());
        let app = Router::new().route("/slow", get(slow)).route("/quick", get(|| async { "quick" })).layer(layer);
        let server = Server::start(app);

        let (goes, stays) = (server.ask("GET", "/slow"), server.ask("GET", "/slow"));
        let mut asked = [said.recv().unwrap(), said.recv().unwrap()];
        assert_eq!(web::scopes_below(&owner), 2);
        assert!(server.get("/quick").ends_with("quick"));
        drop(goes);
        common::eventually("one of them is cancelled", || {
            asked.iter().any(|asked| asked.sleeps_in_shared.is_finished())
        });
        // The test cannot tell which of the two handlers served which client.
        asked.sort_by_key(|asked| !asked.sleeps_in_shared.is_finished());
        let [gone, there] = asked;
        assert!(!there.sleeps_in_shared.is_finished() && !there.sleeps_in_its_own.is_finished());
        drop(stays);
        all_end([gone, there], busy);
        all_requests_are_gone(&owner);
        assert!(shared.run(|| true).expect("the shared pool goes on"));
    });
}

#[test]
fn a_client_of_a_tonic_service_ends_its_work_when_it_goes() {
    bounded(|| {
        let owner = Scope::new("server");
        started(&owner, "shared", PoolConfig::leased(4));
        let serial = started(&owner, "serial", PoolConfig::leased(1));
        let busy = Busy::on(&serial);
        let (says, said) = mpsc::channel();
        let handler = move |message: bytes::Bytes| -> grpc::Answer {
            let says = says.clone();
            Box::pin(async move {
                if message == "slow" {
                    says.send(ask_for_work()).expect("the test listens");
                    std::future::pending::<()>().await;
                }
                // A gRPC answer ends with its trailers, so it is streamed.
                Ok(tonic::Response::new(heirloom::current().name().unwrap_or_default().to_string().into()))
            })
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let port = runtime.block_on(async {
            let (incoming, port) = grpc::incoming();
            let name = |request: &http::Request<tonic::body::Body>| request.uri().path().to_string();
            let layer = ScopeLayer::new().below(&owner).name(name).limit(2).until_body_end();
            let server = tonic::transport::Server::builder().layer(layer).add_service(grpc::Echo(handler));
            tokio::spawn(server.serve_with_incoming(incoming));
            port
        });
        let gone = runtime.block_on(async {
            let channel = grpc::connect(port).await;
            let answer = grpc::call(channel.clone(), "quick").await.expect("answered");
            assert_eq!(answer, "/test.Echo/Say", "the handler stands in its scope");
            let slow = tokio::spawn(grpc::call(channel.clone(), "slow"));
            let other = tokio::spawn(grpc::call(channel.clone(), "slow"));
            let asked = tokio::task::spawn_blocking(move || [said.recv().unwrap(), said.recv().unwrap()]);
            let asked = asked.await.expect("they are there");
            let refused = grpc::call(channel, "quick").await.expect_err("there are two already");
            assert_eq!(refused.code(), tonic::Code::Unavailable);
            // The streams are reset; the connection stays.
            slow.abort();
            other.abort();
            asked
        });
        all_end(gone, busy);
        all_requests_are_gone(&owner);
    });
}
