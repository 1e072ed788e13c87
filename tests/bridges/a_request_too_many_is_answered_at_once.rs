//! With the feature `tower`: above its limit a `ScopeLayer` answers at once, and does not call the service.
//!
//! A request counts until none of its tasks is left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::executor::block_on;
use heirloom::tower::ScopeLayer;
use heirloom::{Lineage, PoolConfig, PoolManager, Scope};
use tokio::sync::oneshot;
use tower_layer::Layer;
use tower_service::Service;

use crate::common::pools::{Busy, Crowd, started};
use crate::common::{bounded, eventually};
use crate::web;
use crate::web::Server;

#[test]
fn the_limit_is_exact_and_shared_by_all_routes() {
    bounded(|| {
        let (says, said) = mpsc::channel();
        let wait = move || {
            let says = says.clone();
            async move {
                let (go, gone) = oneshot::channel::<()>();
                says.send(go).expect("the test listens");
                let _ = gone.await;
                "done"
            }
        };
        let layer = ScopeLayer::new().limit(2);
        let app = Router::new().route("/a", get(wait.clone())).route("/b", get(wait)).layer(layer.clone());
        let server = Server::start(app);
        let (a, b) = (server.ask("GET", "/a"), server.ask("GET", "/b"));
        let inside = [said.recv().unwrap(), said.recv().unwrap()];
        assert_eq!(layer.usage().in_use(), 2);
        for _ in 0..3 {
            let refused = server.get("/a");
            assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1\r\n"), "{refused}");
        }
        for go in inside {
            go.send(()).expect("the handler waits");
        }
        for mut client in [a, b] {
            assert!(web::read_until(&mut client, "done").starts_with("HTTP/1.1 200"));
        }
        eventually("both are given back", || layer.usage().in_use() == 0);
        assert_eq!((layer.usage().limit(), layer.usage().refused()), (2, 3));
        let last = server.ask("GET", "/b");
        drop(said.recv().unwrap());
        drop(last);
    });
}

#[test]
fn the_answer_can_be_the_users() {
    bounded(|| {
        let busy = |request: &Request| -> Response {
            (StatusCode::TOO_MANY_REQUESTS, format!("{} later", request.uri().path())).into_response()
        };
        let layer = ScopeLayer::new().limit(0).on_limit(busy).until_body_end();
        let handler = || async { unreachable!("the service is not called") as &'static str };
        let server = Server::start(Router::new().route("/a", get(handler)).layer(layer));
        let answer = server.get("/a");
        assert!(answer.starts_with("HTTP/1.1 429") && answer.ends_with("/a later"), "{answer}");
    });
}

#[test]
fn a_client_that_left_counts_until_its_work_has_ended() {
    bounded(|| {
        let owner = Scope::new("server");
        let work = started(&owner, "work", PoolConfig::leased(2));
        let (says, said) = mpsc::channel();
        let handler = move || {
            says.send(Busy::on(&work)).expect("the test listens");
            std::future::pending::<&'static str>()
        };
        let layer = ScopeLayer::new().below(&owner).limit(1);
        let server = Server::start(Router::new().route("/", get(handler)).layer(layer.clone()));
        let client = server.ask("GET", "/");
        let deaf = said.recv().unwrap();
        drop(client);
        eventually("the server noticed", || is_asked(&owner));
        assert!(server.get("/").starts_with("HTTP/1.1 503"), "what it left behind still runs");
        assert_eq!(layer.usage().in_use(), 1);
        deaf.end();
        eventually("it counts no more", || layer.usage().in_use() == 0);
    });
}

#[test]
fn clients_that_left_hold_no_place_for_what_is_queued_in_a_busy_pool() {
    bounded(|| {
        let owner = Scope::new("server");
        let shared = started(&owner, "shared", PoolConfig::leased(1));
        let busy = Busy::on(&shared);
        let (says, said) = mpsc::channel();
        let handler = move || {
            let task = shared.submit(|| "never runs").expect("accepted");
            says.send(()).expect("the test listens");
            async { task.await.unwrap_or("cancelled") }
        };
        const LIMIT: usize = 10;
        let layer = ScopeLayer::new().below(&owner).limit(LIMIT);
        let server = Server::start(Router::new().route("/", get(handler)).layer(layer.clone()));
        let clients: Vec<_> = (0..LIMIT).map(|_| server.ask("GET", "/")).collect();
        (0..LIMIT).for_each(|_| said.recv().unwrap());
        assert_eq!(layer.usage().in_use(), LIMIT);
        drop(clients);
        // While the pool is busy.
        eventually("no client counts any more", || layer.usage().in_use() == 0);
        busy.end();
    });
}

/// A service that fails in the way that the request names.
#[derive(Clone)]
struct Fails(PoolManager, Arc<Crowd>);

/// Panics without a report: the panic hook is for faults.
fn fails(how: &str, part: &str) {
    if how == part {
        resume_unwind(Box::new("it was told to"));
    }
}

struct Inside(Arc<Crowd>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Service<&'static str> for Fails {
    type Response = ();
    type Error = ();
    type Future = Pin<Box<dyn Future<Output = Result<(), ()>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, how: &'static str) -> Self::Future {
        self.1.enter();
        let inside = Inside(Arc::clone(&self.1));
        // Long enough for other requests to be in beside it.
        (0..10).for_each(|_| std::thread::yield_now());
        fails(how, "call");
        let task = self.0.submit(std::thread::yield_now);
        Box::pin(async move {
            let _inside = inside;
            fails(how, "poll");
            match how {
                "error" => return Err(()),
                "waits" => std::future::pending().await,
                _ => {}
            }
            task.map_err(drop)?.await.map_err(drop)
        })
    }
}

#[test]
fn no_panic_and_no_drop_costs_a_place_and_there_are_never_more_at_once() {
    const HOW: [&str; 9] = ["name", "open", "call", "poll", "error", "waits", "unpolled", "well", "well"];
    bounded(|| {
        let owner = Scope::new("server");
        let (work, crowd) = (started(&owner, "work", PoolConfig::leased(2)), Arc::new(Crowd::default()));
        let opens = |how: &&'static str, _: &Lineage| fails(how, "open");
        let layer = ScopeLayer::new().cancel_only_on_drop().below(&owner).limit(3).on_limit(|_: &&'static str| ());
        let layer = layer.on_open(opens).name(|how: &&'static str| {
            fails(how, "name");
            "request"
        });
        let client = |first: usize| {
            let mut service = layer.layer(Fails(work.clone(), Arc::clone(&crowd)));
            move || {
                for how in HOW.iter().cycle().skip(first).take(50 * HOW.len()) {
                    let ask = AssertUnwindSafe(|| {
                        let response = service.call(how);
                        match *how {
                            "unpolled" => {}
                            "waits" => drop(pin!(response).poll(&mut Context::from_waker(Waker::noop()))),
                            _ => drop(block_on(response)),
                        }
                    });
                    drop(catch_unwind(ask));
                }
            }
        };
        let clients: Vec<_> = (0..8).map(|at| std::thread::spawn(client(at))).collect();
        clients.into_iter().for_each(|client| client.join().expect("every panic is caught"));
        eventually("all are given back", || layer.usage().in_use() == 0);
        assert!((1..=3).contains(&crowd.most()), "{} at once", crowd.most());
    });
}

/// A request below was cancelled.
fn is_asked(owner: &Scope) -> bool {
    let nodes = heirloom::Registry::global().snapshot().nodes;
    nodes.iter().any(|node| node.parent == Some(owner.id()) && node.cancelled)
}
