//! With the feature `tower`: `ScopeLayer::timeout` cancels a request's scope at the limit and answers the client.
//!
//! This holds for every wait of the handler, on any runtime. A request in time is never cancelled by its limit.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::common;
use crate::common::pools::{Busy, started};
use crate::common::{bounded, eventually};
use crate::web;
use crate::web::{Server, all_requests_are_gone};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::executor::block_on;
use heirloom::tower::ScopeLayer;
use heirloom::{Heirloom, Lineage, PoolConfig, Scope};
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

/// More than a test takes.
const LONG: Duration = Duration::from_secs(3600);
/// A limit that ends a test soon.
const SHORT: Duration = Duration::from_millis(20);

fn request() -> Request {
    Request::new(Body::empty())
}

fn ok(text: impl Into<Body>) -> Result<Response, Infallible> {
    Ok(Response::new(text.into()))
}

fn status<E: std::fmt::Debug>(response: impl Future<Output = Result<Response, E>>) -> StatusCode {
    block_on(response).expect("it answers").status()
}

#[test]
fn a_late_requests_work_ends_in_every_pool_and_the_answer_is_504_without_any_runtime() {
    bounded(|| {
        let server = Scope::new("server");
        let (shared, serial) =
            (started(&server, "shared", PoolConfig::leased(2)), started(&server, "serial", PoolConfig::leased(1)));
        let busy = Busy::on(&serial);
        let (says, said) = mpsc::channel();
        let handler = service_fn(|_: Request| {
            let own = heirloom::create("own");
            own.start(PoolConfig::leased(1)).unwrap();
            let sleeps = || heirloom::sleep(LONG).is_err();
            let tasks = [own.submit(sleeps).unwrap(), shared.submit(sleeps).unwrap()];
            says.send((tasks, serial.submit(|| ()).unwrap(), heirloom::current())).unwrap();
            async {
                std::future::pending::<()>().await;
                ok("")
            }
        });
        let began = Instant::now();
        let mut service = ScopeLayer::new().below(&server).timeout(SHORT).layer(handler);
        assert_eq!(status(service.call(request())), StatusCode::GATEWAY_TIMEOUT);
        assert!(began.elapsed() >= SHORT, "not before the limit");
        let (tasks, queued, at) = said.recv().unwrap();
        assert!(at.is_cancelled());
        for task in tasks {
            // A queued task never starts.
            assert!(task.join().unwrap_or(true), "it was cancelled");
        }
        busy.end();
        assert!(queued.join().is_err_and(|error| error.is_cancelled()));
    });
}

#[test]
fn the_answer_does_not_wait_for_work_that_does_not_look() {
    bounded(|| {
        let server = Scope::new("server");
        let work = started(&server, "work", PoolConfig::leased(1));
        let (open, gate) = mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(Some(gate));
        let handler = service_fn(|_: Request| {
            let gate = gate.lock().unwrap().take().unwrap();
            let deaf = work.submit(move || heirloom::blocking(|| gate.recv())).unwrap();
            async {
                let _ = deaf.await;
                ok("")
            }
        });
        let layer = ScopeLayer::new().below(&server).timeout(SHORT).limit(5);
        assert_eq!(status(layer.layer(handler).call(request())), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(layer.usage().in_use(), 1, "its work still runs, and counts");
        open.send(()).unwrap();
        eventually("it counts no more", || layer.usage().in_use() == 0);
    });
}

#[test]
fn a_handler_that_blocks_its_thread_is_asked_to_stop_there() {
    bounded(|| {
        let server = Scope::new("server");
        let work = started(&server, "work", PoolConfig::leased(1));
        // On the very thread that polls the response.
        let joins = service_fn(|_: Request| {
            let task = work.submit(|| heirloom::sleep(LONG)).unwrap();
            let ended = task.join().map_or(true, |slept| slept.is_err()) && heirloom::checkpoint().is_err();
            async move { ok(ended.to_string()) }
        });
        let layer = ScopeLayer::new().below(&server).timeout(SHORT);
        assert_eq!(status(layer.layer(joins).call(request())), StatusCode::GATEWAY_TIMEOUT);
        let sleeps = service_fn(|_: Request| async {
            assert!(heirloom::sleep(LONG).is_err());
            ok("")
        });
        assert_eq!(status(layer.layer(sleeps).call(request())), StatusCode::GATEWAY_TIMEOUT);
    });
}

static TENANT: Heirloom<&str> = Heirloom::new("tenant");

/// Sends in its drop the current node, and whether that is cancelled and the value is found.
struct Tells(mpsc::Sender<(Lineage, bool)>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send((heirloom::current(), heirloom::is_cancelled() && TENANT.get().is_ok()));
    }
}

#[test]
fn the_handlers_locals_and_the_answer_stand_in_the_cancelled_scope_and_find_its_values() {
    bounded(|| {
        let server = Scope::new("server");
        let (tells, told) = mpsc::channel();
        let handler = service_fn(|_: Request| {
            let tells = Tells(tells.clone());
            async {
                std::future::pending::<()>().await;
                drop(tells);
                ok("")
            }
        });
        let work = started(&server, "work", PoolConfig::leased(1));
        let late = |at: &Lineage| {
            assert!(heirloom::current() == *at && at.is_cancelled() && work.submit(|| ()).is_err());
            let text = format!("{} of {} is late", at.name().unwrap_or_default(), TENANT.get().unwrap());
            (StatusCode::REQUEST_TIMEOUT, text).into_response()
        };
        let bind = |_: &Request, at: &Lineage| drop(TENANT.at(at).bind("acme"));
        let layer = ScopeLayer::new().below(&server).on_open(bind).timeout(SHORT).on_timeout(late);
        let response = block_on(layer.layer(handler).call(request())).unwrap();
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        let body = block_on(axum::body::to_bytes(response.into_body(), 100)).unwrap();
        assert_eq!(body, "request of acme is late");
        let (at, found) = told.recv().unwrap();
        assert!(found && at.name() == Some("request"));
    });
}

#[test]
fn a_request_in_time_is_answered_and_what_it_asked_for_goes_on_beyond_the_limit() {
    bounded(|| {
        let server = Scope::new("server");
        let work = started(&server, "work", PoolConfig::leased(1));
        let busy = Busy::on(&work);
        let (says, said) = mpsc::channel();
        let handler = service_fn(|_: Request| {
            says.send(work.submit(heirloom::is_cancelled).unwrap()).unwrap();
            async { ok("") }
        });
        let mut service = ScopeLayer::new().below(&server).timeout(SHORT).layer(handler);
        assert_eq!(status(service.call(request())), StatusCode::OK);
        // Far beyond this request's limit, as a later request's limit shows.
        let never = service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>());
        assert_eq!(
            status(ScopeLayer::new().timeout(3 * SHORT).layer(never).call(request())),
            StatusCode::GATEWAY_TIMEOUT
        );
        busy.end();
        assert!(!said.recv().unwrap().join().unwrap());
    });
}

#[test]
fn a_request_that_ends_just_at_its_limit_is_late_or_is_not_cancelled() {
    bounded(|| {
        let limit = Duration::from_millis(1);
        let (says, said) = mpsc::channel();
        let handler = service_fn(|_: Request| {
            let (began, says) = (Instant::now(), says.clone());
            std::future::poll_fn(move |cx| {
                // Always ready to be polled, so that it ends when the limit comes.
                cx.waker().wake_by_ref();
                if began.elapsed() < limit {
                    return Poll::Pending;
                }
                let _ = says.send(heirloom::current());
                Poll::Ready(ok(""))
            })
        });
        let mut service = ScopeLayer::new().timeout(limit).layer(handler);
        let mut in_time = Vec::new();
        let mut late = 0;
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            match status(service.call(request())) {
                StatusCode::OK => in_time.push(said.recv().unwrap()),
                answer => {
                    assert_eq!(answer, StatusCode::GATEWAY_TIMEOUT);
                    late += 1;
                    said.try_iter().for_each(drop);
                }
            }
        }
        assert!(in_time.iter().all(|at| !at.is_cancelled()), "{} in time, {late} late", in_time.len());
    });
}

#[test]
fn no_limit_is_early_and_all_of_many_are_met() {
    bounded(|| {
        let never = service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>());
        let service = |limit| ScopeLayer::new().timeout(limit).layer(never);
        let mut services: Vec<_> = (1..=50).map(|n| service(n * Duration::from_millis(7))).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let ask = |n: usize| {
            let at = n % 50;
            let (began, response) = (Instant::now(), services[at].call(request()));
            runtime.spawn(async move {
                assert_eq!(response.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
                let (limit, took) = ((at as u32 + 1) * Duration::from_millis(7), began.elapsed());
                assert!(took >= limit, "{took:?} instead of {limit:?}");
                took - limit
            })
        };
        let requests: Vec<_> = (0..10_000).map(ask).collect();
        let mut late: Vec<_> = requests.into_iter().map(|one| block_on(one).expect("not early")).collect();
        late.sort_unstable();
        println!("late: median {:?}, most {:?}", late[late.len() / 2], late[late.len() - 1]);
    });
}

#[test]
fn the_longest_limit_is_none_and_the_shortest_one_leaves_no_time() {
    bounded(|| {
        let at_once = service_fn(|_: Request| async { ok("") });
        assert_eq!(status(ScopeLayer::new().timeout(Duration::MAX).layer(at_once).call(request())), StatusCode::OK);
        let never = service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>());
        let mut service = ScopeLayer::new().timeout(Duration::ZERO).layer(never);
        assert_eq!(status(service.call(request())), StatusCode::GATEWAY_TIMEOUT);
    });
}

#[test]
fn a_response_that_was_given_is_pending_when_it_is_polled_again() {
    bounded(|| {
        let never = service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>());
        let mut late = pin!(ScopeLayer::new().timeout(SHORT).layer(never).call(request()));
        assert_eq!(status(late.as_mut()), StatusCode::GATEWAY_TIMEOUT);
        let at_once = service_fn(|_: Request| async { ok("") });
        let mut in_time = pin!(ScopeLayer::new().timeout(SHORT).layer(at_once).call(request()));
        assert_eq!(status(in_time.as_mut()), StatusCode::OK);
        std::thread::sleep(2 * SHORT);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(late.poll(cx).is_pending() && in_time.poll(cx).is_pending());
    });
}

#[test]
fn a_panic_in_the_handler_or_in_the_answer_goes_on_and_cancels() {
    bounded(|| {
        let (says, said) = mpsc::channel();
        let handler = service_fn(|request: Request| {
            says.send(heirloom::current()).unwrap();
            async move {
                if request.uri() == "/panics" {
                    resume_unwind(Box::new("it was told to"));
                }
                std::future::pending().await
            }
        });
        let late = |_: &Lineage| -> Response { resume_unwind(Box::new("it was told to")) };
        let mut service = ScopeLayer::new().timeout(SHORT).on_timeout(late).layer(handler);
        for path in ["/panics", "/waits"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let ask = AssertUnwindSafe(|| {
                block_on(service.call(request)).map(|_: Response| ()).map_err(|never: Infallible| never)
            });
            assert!(catch_unwind(ask).is_err(), "{path}");
            assert!(said.recv().unwrap().is_cancelled(), "{path}");
        }
    });
}

#[test]
fn a_client_of_a_server_gets_its_answer_and_keeps_its_connection() {
    bounded(|| {
        let owner = Scope::new("server");
        let work = started(&owner, "work", PoolConfig::leased(4));
        let slow = move || async move {
            let slept = heirloom::get("work").unwrap().submit(|| heirloom::sleep(LONG)).unwrap().await;
            format!("{slept:?}")
        };
        let app = Router::new().route("/slow", get(slow)).route("/quick", get(|| async { "quick" }));
        let layer = ScopeLayer::new().below(&owner).limit(1).timeout(SHORT);
        let server = Server::start(app.layer(layer.clone()));
        let mut client = std::net::TcpStream::connect(server.address).unwrap();
        client.set_read_timeout(Some(common::BOUND)).unwrap();
        for _ in 0..3 {
            client.write_all(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
            let head = web::read_until(&mut client, "\r\n\r\n");
            assert!(head.starts_with("HTTP/1.1 504"), "{head}");
            eventually("its work has ended", || layer.usage().in_use() == 0);
        }
        client.write_all(b"GET /quick HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).unwrap();
        assert!(rest.starts_with("HTTP/1.1 200") && rest.ends_with("quick"), "{rest}");
        all_requests_are_gone(&owner);
        assert!(work.is_running());
    });
}

#[test]
fn a_client_that_goes_before_the_limit_cancels_at_once() {
    bounded(|| {
        let owner = Scope::new("server");
        let (says, said) = mpsc::channel();
        let never = move || {
            says.send(heirloom::current()).expect("the test listens");
            std::future::pending::<&'static str>()
        };
        let app = Router::new().route("/", get(never)).layer(ScopeLayer::new().below(&owner).timeout(LONG));
        let server = Server::start(app);
        let client = server.ask("GET", "/");
        let at = said.recv().unwrap();
        assert!(!at.is_cancelled());
        drop(client);
        block_on(at.cancelled());
        drop(at);
        all_requests_are_gone(&owner);
    });
}
