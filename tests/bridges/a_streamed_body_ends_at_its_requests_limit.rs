//! With the feature `tower`, `until_body_end` and a `timeout`: the limit holds for the body too.
//!
//! At the limit the scope is cancelled and the body ends with an error, in gRPC with a status. A body that was delivered
//! whole is never late. The body ends also where its client reads nothing, so that the server does not poll it.

use std::convert::Infallible;
use std::io::Read;
use std::net::TcpStream;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::pools::started;
use crate::common::{BOUND, bounded, eventually};
use crate::grpc;
use crate::web::{Server, all_requests_are_gone};
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures::executor::block_on;
use futures::stream;
use futures::task::noop_waker;
use futures::{Stream, StreamExt};
use heirloom::tower::{RequestTimedOut, ScopeLayer};
use heirloom::{Lineage, PoolConfig, Scope};
use http_body::Body as _;
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

/// A service's stream under a limit, with the nodes of its polls.
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
        // Its length is known, so it is delivered whole before one more poll.
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

/// Streams more than any socket holds, and calls `end` when it is dropped.
fn flood(end: impl FnOnce() + Send + 'static) -> Body {
    let end = AtDrop(Some(Box::new(end)));
    let chunk = Bytes::from(vec![b'x'; 1 << 16]);
    Body::from_stream(stream::repeat_with(move || {
        let _ = &end;
        Ok::<_, Infallible>(chunk.clone())
    }))
}

struct AtDrop(Option<Box<dyn FnOnce() + Send>>);

impl Drop for AtDrop {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// Returns a client that reads the head of its answer, and nothing more.
fn stalled(server: &Server) -> TcpStream {
    let mut client = server.ask("GET", "/");
    let mut head = [0; 32];
    client.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200"));
    client
}

#[test]
fn clients_that_stop_reading_hold_neither_their_bodies_nor_the_layers_limit() {
    bounded(|| {
        let owner = Scope::new("server");
        let shared = started(&owner, "shared", PoolConfig::leased(4));
        let bodies = Arc::new(AtomicUsize::new(0));
        let (counts, works) = (Arc::clone(&bodies), shared.clone());
        let handler = move || {
            drop(works.submit(|| heirloom::sleep(LONG)).unwrap());
            counts.fetch_add(1, SeqCst);
            let counts = Arc::clone(&counts);
            async move {
                flood(move || {
                    counts.fetch_sub(1, SeqCst);
                })
            }
        };
        let layer = ScopeLayer::new().below(&owner).limit(2).timeout(10 * SHORT).until_body_end();
        let usage = layer.usage();
        let server = Server::start(Router::new().route("/", get(handler)).layer(layer));
        let mut clients = [stalled(&server), stalled(&server)];
        assert_eq!((usage.in_use(), bodies.load(SeqCst)), (2, 2));
        eventually("their places are given back", || usage.in_use() == 0);
        assert_eq!(bodies.load(SeqCst), 0);
        eventually("what they asked for has ended", || shared.stats().running + shared.stats().waiting == 0);
        all_requests_are_gone(&owner);
        drop(stalled(&server)); // let in
        for client in &mut clients {
            let mut rest = Vec::new();
            let _ = client.read_to_end(&mut rest);
            assert!(!rest.ends_with(b"0\r\n\r\n"), "the answer has no end");
        }
        all_requests_are_gone(&owner);
    });
}

#[test]
fn a_grpc_client_that_stops_reading_holds_nothing_either() {
    bounded(|| {
        let owner = Scope::new("server");
        let endless = |_: Bytes| -> grpc::Messages {
            let message = Bytes::from(vec![b'x'; 1 << 16]);
            Box::pin(stream::repeat_with(move || Ok(message.clone())))
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let layer = ScopeLayer::new().below(&owner).limit(1).timeout(10 * SHORT).until_body_end();
        let usage = layer.usage();
        let held = runtime.block_on(async {
            let (incoming, port) = grpc::incoming();
            let server = tonic::transport::Server::builder().layer(layer).add_service(grpc::Streams(endless));
            tokio::spawn(server.serve_with_incoming(incoming));
            let channel = grpc::connect(port).await;
            let mut messages = grpc::stream(channel.clone()).await.unwrap();
            assert!(messages.message().await.unwrap().is_some());
            (channel, messages)
        });
        assert_eq!(usage.in_use(), 1);
        eventually("its place is given back", || usage.in_use() == 0);
        let (_channel, mut messages) = held;
        let end = runtime.block_on(async {
            loop {
                match messages.message().await {
                    Ok(Some(_)) => {}
                    end => return end,
                }
            }
        });
        assert_eq!(end.unwrap_err().code(), tonic::Code::DeadlineExceeded);
        all_requests_are_gone(&owner);
    });
}

#[test]
fn a_body_that_nobody_polls_is_dropped_at_the_limit_in_its_scope_and_its_runtime() {
    bounded(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let _in_it = runtime.enter();
        let (says, dropped) = mpsc::channel();
        let (mut body, at) = answered(|| {
            let says = says.clone();
            flood(move || {
                let runtime = tokio::runtime::Handle::try_current().map(|runtime| runtime.id());
                let _ = says.send((heirloom::current(), heirloom::is_cancelled(), runtime.ok()));
            })
        });
        assert!(block_on(body.next()).unwrap().is_ok());
        let seen = dropped.recv_timeout(BOUND / 2).expect("it is dropped, and not polled for that");
        // Without the feature tokio the layer knows of no runtime.
        let known = cfg!(feature = "tokio").then(|| runtime.handle().id());
        assert_eq!(seen, (at, true, known));
        let cut = block_on(body.next()).unwrap().unwrap_err().into_inner();
        assert!(cut.downcast_ref::<RequestTimedOut>().is_some(), "{cut}");
        assert!(block_on(body.next()).is_none(), "nothing comes after it");
    });
}

#[test]
fn a_body_whose_drop_blocks_holds_up_no_other_limit() {
    bounded(|| {
        let (release, released) = mpsc::channel::<()>();
        let mut released = Some(released);
        let (mut blocks, _) = answered_once(|| {
            let released = released.take().unwrap();
            flood(move || {
                let _ = released.recv_timeout(BOUND);
            })
        });
        assert!(block_on(blocks.next()).unwrap().is_ok());
        let (says, dropped) = mpsc::channel();
        let (mut other, _) = answered_once(|| flood(move || says.send(()).unwrap()));
        assert!(block_on(other.next()).unwrap().is_ok());
        dropped.recv_timeout(BOUND / 2).expect("the other one ends at its limit");
        release.send(()).unwrap();
    });
}

/// As [`answered`], for a body that is made once.
fn answered_once(body: impl FnOnce() -> Body) -> (BodyDataStream, Lineage) {
    let body = std::cell::Cell::new(Some(body));
    answered(|| body.take().expect("it is asked for once")())
}

#[test]
fn a_body_whose_drop_panics_gives_its_place_back() {
    bounded(|| {
        let layer = ScopeLayer::new().limit(1).timeout(SHORT).until_body_end();
        let usage = layer.usage();
        let handler = service_fn(|_: Request| async {
            Ok::<_, Infallible>(Response::new(flood(|| resume_unwind(Box::new("it was told to")))))
        });
        let response = block_on(layer.layer(handler).call(Request::new(Body::empty()))).unwrap();
        eventually("its place is given back", || usage.in_use() == 0);
        assert!(!response.body().is_end_stream(), "it has an error to tell");
        let mut body = Body::new(response.into_body()).into_data_stream();
        assert!(block_on(body.next()).unwrap().is_err());
    });
}

/// A stream whose poll is under way when the limit comes.
struct AtTheLimit {
    at: Lineage,
    then: Poll<()>,
    _end: AtDrop,
}

impl Stream for AtTheLimit {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        block_on(self.at.cancelled());
        std::thread::sleep(SHORT); // the timer looks for the body now
        self.then.map(|()| Some(text("late")))
    }
}

#[test]
fn a_poll_that_is_under_way_at_the_limit_ends_first_and_the_body_then() {
    bounded(|| {
        for then in [Poll::Pending, Poll::Ready(())] {
            let (says, dropped) = mpsc::channel();
            let (body, at) = answered_once(|| {
                let _end = AtDrop(Some(Box::new(move || says.send(()).unwrap())));
                Body::from_stream(AtTheLimit { at: heirloom::current(), then, _end })
            });
            let mut body = Box::pin(body);
            let polled = body.as_mut().poll_next(&mut Context::from_waker(&noop_waker()));
            assert!(at.is_cancelled());
            match then {
                // No waker would be woken.
                Poll::Pending => assert!(matches!(polled, Poll::Ready(Some(Err(_)))), "{polled:?}"),
                Poll::Ready(()) => assert!(matches!(polled, Poll::Ready(Some(Ok(_)))), "{polled:?}"),
            }
            dropped.recv_timeout(BOUND / 2).expect("it is not polled again, and ends");
        }
    });
}

#[test]
fn a_poller_that_waits_at_the_limit_ends_the_body_on_its_own_thread() {
    bounded(|| {
        let ends_here = || {
            let (says, dropped) = mpsc::channel();
            let (mut body, _) = answered_once(|| {
                let end = AtDrop(Some(Box::new(move || says.send(std::thread::current().id()).unwrap())));
                Body::from_stream(stream::pending::<Result<Bytes, Infallible>>().map(move |item| {
                    let _ = &end;
                    item
                }))
            });
            assert!(block_on(body.next()).unwrap().is_err());
            dropped.recv().unwrap() == std::thread::current().id()
        };
        // On a busy machine the woken poller may come late, and has lost its body then.
        assert!((0..20).any(|_| ends_here()));
    });
}

#[test]
fn a_poller_that_was_woken_at_the_limit_and_does_not_come_loses_its_body() {
    bounded(|| {
        let (says, dropped) = mpsc::channel();
        let (body, _) = answered_once(|| {
            let end = AtDrop(Some(Box::new(move || says.send(()).unwrap())));
            Body::from_stream(stream::pending::<Result<Bytes, Infallible>>().map(move |item| {
                let _ = &end;
                item
            }))
        });
        let mut body = Box::pin(body);
        assert!(body.as_mut().poll_next(&mut Context::from_waker(&noop_waker())).is_pending());
        dropped.recv_timeout(BOUND / 2).expect("it ends all the same");
        assert!(block_on(body.next()).unwrap().is_err());
    });
}

#[test]
fn a_client_that_stops_reading_holds_nothing_when_a_scope_above_is_cancelled() {
    bounded(|| {
        let owner = Scope::new("server");
        let layer = ScopeLayer::new().below(&owner).limit(1).timeout(LONG).until_body_end();
        let usage = layer.usage();
        let server = Server::start(Router::new().route("/", get(|| async { flood(|| ()) })).layer(layer));
        let mut client = stalled(&server);
        assert_eq!(usage.in_use(), 1);
        owner.cancel();
        eventually("its place is given back", || usage.in_use() == 0);
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert!(!rest.ends_with(b"0\r\n\r\n"), "the answer has no end");
    });
}

#[test]
fn a_body_in_a_cancelled_scope_goes_on_while_it_is_polled() {
    bounded(|| {
        let owner = Scope::new("server");
        let layer = ScopeLayer::new().below(&owner).timeout(LONG).until_body_end();
        let handler = service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(flood(|| ()))) });
        let response = block_on(layer.layer(handler).call(Request::new(Body::empty()))).unwrap();
        let mut body = Body::new(response.into_body()).into_data_stream();
        assert!(block_on(body.next()).unwrap().is_ok());
        owner.cancel();
        for _ in 0..60 {
            std::thread::sleep(2 * SHORT);
            assert!(block_on(body.next()).unwrap().is_ok());
        }
        std::thread::sleep(Duration::from_secs(3)); // no longer polled
        let cut = block_on(body.next()).unwrap().unwrap_err().into_inner();
        assert!(cut.downcast_ref::<heirloom::Cancelled>().is_some(), "{cut}");
    });
}
