//! With the feature `tower`, `until_body_end` and a `timeout`: the limit holds for the body too. At the limit the scope
//! is cancelled and the body ends with an error, in gRPC with a status; one of which all was taken is never late.

use std::convert::Infallible;
use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use crate::common::bounded;
use crate::common::pools::started;
use crate::grpc;
use crate::web::{Server, all_requests_are_gone};
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt;
use futures::executor::block_on;
use futures::stream;
use heirloom::tower::{RequestTimedOut, ScopeLayer};
use heirloom::{Lineage, PoolConfig, Scope};
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

/// What a service streams under a limit, and where it stands.
fn answered(body: impl Fn() -> Body) -> (BodyDataStream, Lineage) {
    let (says, said) = mpsc::channel();
    let handler = service_fn(|_: Request| {
        says.send(heirloom::current()).unwrap();
        let body = body();
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let mut service = ScopeLayer::new().timeout(SHORT).until_body_end().layer(handler);
    let response = block_on(service.call(Request::new(Body::empty()))).unwrap();
    (Body::new(response.into_body()).into_data_stream(), said.recv().unwrap())
}

fn text(text: &'static str) -> Result<Bytes, Infallible> {
    Ok(Bytes::from_static(text.as_bytes()))
}

#[test]
fn a_body_that_has_begun_is_cut_with_an_error_that_names_the_limit() {
    bounded(|| {
        let endless = || Body::from_stream(stream::iter([text("a")]).chain(stream::pending()));
        let (mut body, at) = answered(endless);
        assert_eq!(block_on(body.next()).unwrap().unwrap(), "a");
        assert!(!at.is_cancelled());
        let cut = block_on(body.next()).unwrap().unwrap_err();
        let cut = cut.into_inner();
        assert_eq!(cut.downcast_ref::<RequestTimedOut>().map(|cut| cut.limit), Some(SHORT));
        assert!(cut.to_string().contains("20ms"), "{cut}");
        assert!(at.is_cancelled());
        assert!(block_on(body.next()).is_none(), "nothing comes after it");
    });
}

#[test]
fn a_body_that_nobody_polls_is_cancelled_at_the_limit_too() {
    bounded(|| {
        let (mut body, at) = answered(|| Body::from_stream(stream::repeat_with(|| text("a"))));
        assert_eq!(block_on(body.next()).unwrap().unwrap(), "a");
        block_on(at.cancelled());
        assert!(block_on(body.next()).unwrap().is_err(), "and is not gone on with");
    });
}

#[test]
fn a_body_of_which_all_was_taken_is_not_late() {
    bounded(|| {
        let (mut body, at) = answered(|| Body::from_stream(stream::iter([text("a")])));
        assert_eq!(block_on(body.next()).unwrap().unwrap(), "a");
        assert!(block_on(body.next()).is_none());
        std::thread::sleep(2 * SHORT);
        assert!(!at.is_cancelled());
        // Its length is known, so it is whole before it is asked once more.
        let (mut body, at) = answered(|| Body::from("whole"));
        assert_eq!(block_on(body.next()).unwrap().unwrap(), "whole");
        std::thread::sleep(2 * SHORT);
        assert!(block_on(body.next()).is_none());
        assert!(!at.is_cancelled());
    });
}

#[test]
fn a_client_sees_that_its_answer_was_cut() {
    bounded(|| {
        let owner = Scope::new("server");
        let shared = started(&owner, "shared", PoolConfig::leased(2));
        let (says, said) = mpsc::channel();
        let handler = move || {
            says.send(shared.submit(|| heirloom::sleep(LONG)).unwrap()).unwrap();
            async { Body::from_stream(stream::iter([text("begun")]).chain(stream::pending())) }
        };
        let layer = ScopeLayer::new().below(&owner).timeout(SHORT).until_body_end();
        let server = Server::start(Router::new().route("/", get(handler)).layer(layer));
        let mut client = server.ask("GET", "/");
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("begun"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "it has no end: {answer}");
        assert!(said.recv().unwrap().join().map_or(true, |slept| slept.is_err()));
        all_requests_are_gone(&owner);
    });
}

#[test]
fn a_grpc_client_gets_a_status_before_the_answer_and_within_a_stream() {
    bounded(|| {
        let owner = Scope::new("server");
        let never = |_: Bytes| -> grpc::Answer { Box::pin(std::future::pending()) };
        let endless = |_: Bytes| -> grpc::Messages {
            Box::pin(stream::iter([Ok(Bytes::from_static(b"begun"))]).chain(stream::pending()))
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let (incoming, port) = grpc::incoming();
            let layer = ScopeLayer::new().below(&owner).timeout(SHORT).until_body_end();
            let mut server = tonic::transport::Server::builder().layer(layer);
            let server = server.add_service(grpc::Echo(never)).add_service(grpc::Streams(endless));
            tokio::spawn(server.serve_with_incoming(incoming));
            let channel = grpc::connect(port).await;
            let late = grpc::call(channel.clone(), "slow").await.unwrap_err();
            assert_eq!(late.code(), tonic::Code::DeadlineExceeded, "{late}");
            let mut messages = grpc::stream(channel).await.unwrap();
            assert_eq!(messages.message().await.unwrap().unwrap(), "begun");
            let late = messages.message().await.unwrap_err();
            assert_eq!(late.code(), tonic::Code::DeadlineExceeded, "{late}");
        });
        all_requests_are_gone(&owner);
    });
}
