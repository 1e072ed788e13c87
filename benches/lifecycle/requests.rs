//! One iteration is one request of a `tower` service that answers when first polled.
//!
//! The question: how much does a scope for each request cost, beside the bare service and two usual ways to give a
//! request a state of its own?
//!
//! - a span: `tracing`'s, in a registry, entered on every poll;
//! - a token: one cancellation flag below the server's, in a task-local of tokio's, set when the response is dropped
//!   early.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::Criterion;
use heirloom::tower::ScopeLayer;
use heirloom::{Heirloom, Lineage};
use slab::Slab;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument;

/// Longer than any request takes.
const LIMIT: Duration = Duration::from_secs(30);

type Request = http::Request<()>;
type Response = http::Response<axum::body::Body>;

#[derive(Clone)]
struct Bare;

impl Service<Request> for Bare {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        black_box(request);
        ready(Ok(Response::default()))
    }
}

/// Answers when it is polled again.
#[derive(Clone)]
struct Later;

impl Service<Request> for Later {
    type Response = Response;
    type Error = Infallible;
    type Future = Again;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Again {
        black_box(request);
        Again(false)
    }
}

struct Again(bool);

impl Future for Again {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(Ok(Response::default())) } else { Poll::Pending }
    }
}

/// Calls the service once, polls it twice, and drops the response.
fn ask_twice<S: Service<Request>>(service: &mut S) {
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(service.poll_ready(cx).is_ready());
    let mut response = pin!(service.call(Request::new(())));
    assert!(response.as_mut().poll(cx).is_pending());
    assert!(response.poll(cx).is_ready());
}

/// Calls the service once, and drops the response.
fn ask<S: Service<Request>>(service: &mut S) {
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(service.poll_ready(cx).is_ready());
    let response = pin!(service.call(Request::new(()))).poll(cx);
    assert!(response.is_ready());
}

/// The server's flag, and those of its requests.
#[derive(Default)]
struct Tokens(Mutex<Slab<Weak<AtomicBool>>>);

tokio::task_local! {
    static TOKEN: Arc<AtomicBool>;
}

/// Sets its flag unless it is disarmed.
struct Guard {
    token: Option<Arc<AtomicBool>>,
    at: usize,
    tokens: Arc<Tokens>,
}

impl Tokens {
    fn open(self: &Arc<Self>) -> (Arc<AtomicBool>, Guard) {
        let token = Arc::new(AtomicBool::new(false));
        let at = self.0.lock().expect("nobody panics").insert(Arc::downgrade(&token));
        (Arc::clone(&token), Guard { token: Some(token), at, tokens: Arc::clone(self) })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.store(true, Ordering::Release);
        }
        self.tokens.0.lock().expect("nobody panics").remove(self.at);
    }
}

async fn with_token(tokens: &Arc<Tokens>, service: &mut Bare) -> Result<Response, Infallible> {
    let (token, mut guard) = tokens.open();
    let response = TOKEN.scope(token, service.call(Request::new(()))).await;
    guard.token = None;
    response
}

pub(crate) fn requests(criterion: &mut Criterion) {
    static TENANT: Heirloom<u64> = Heirloom::new("tenant");
    let mut group = criterion.benchmark_group("lifecycle, a request");
    let cx = &mut Context::from_waker(Waker::noop());
    group.bench_function("bare", |bencher| bencher.iter(|| ask(&mut Bare)));
    group.bench_function("a span", |bencher| {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            bencher.iter(|| {
                let response = Bare.call(Request::new(())).instrument(tracing::info_span!("request"));
                assert!(pin!(response).poll(cx).is_ready());
            });
        });
    });
    group.bench_function("a token", |bencher| {
        let tokens = Arc::new(Tokens::default());
        bencher.iter(|| assert!(pin!(with_token(&tokens, &mut Bare)).poll(cx).is_ready()));
    });
    // As in a server with other threads that have looked values up.
    let (stays, ends) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || (TENANT.get().is_ok(), ends.recv().is_ok()));
    let layer = ScopeLayer::new();
    group.bench_function("a scope", |bencher| {
        let mut service = layer.clone().layer(Bare);
        bencher.iter(|| ask(&mut service));
    });
    group.bench_function("a scope, given up", |bencher| {
        let mut service = layer.clone().layer(Bare);
        bencher.iter(|| drop(service.call(Request::new(()))));
    });
    group.bench_function("a scope with a name of its own", |bencher| {
        let mut service = layer.clone().name(|request: &Request| request.uri().path().to_string()).layer(Bare);
        bencher.iter(|| ask(&mut service));
    });
    group.bench_function("a scope with a value", |bencher| {
        let bind = |_: &Request, at: &Lineage| drop(TENANT.at(at).bind(7_u64));
        let mut service = layer.clone().on_open(bind).layer(Bare);
        bencher.iter(|| ask(&mut service));
    });
    group.bench_function("a scope, limited", |bencher| {
        let mut service = layer.clone().limit(1000).layer(Bare);
        bencher.iter(|| ask(&mut service));
    });
    group.bench_function("a scope with a time limit", |bencher| {
        let mut service = layer.clone().timeout(LIMIT).layer(Bare);
        bencher.iter(|| ask(&mut service));
    });
    group.bench_function("a scope with a time limit, beside 100 000 others", |bencher| {
        let mut service = layer.clone().timeout(LIMIT).layer(Later);
        let _others: Vec<_> = (0..100_000).map(|_| service.call(Request::new(()))).collect();
        bencher.iter(|| ask_twice(&mut service));
    });
    group.bench_function("a scope, two polls", |bencher| {
        let mut service = layer.clone().layer(Later);
        bencher.iter(|| ask_twice(&mut service));
    });
    group.bench_function("a scope with a time limit, two polls", |bencher| {
        let mut service = layer.clone().timeout(LIMIT).layer(Later);
        bencher.iter(|| ask_twice(&mut service));
    });
    group.bench_function("tokio's time limit, two polls", |bencher| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
        let _in = runtime.enter();
        bencher.iter(|| {
            let mut response = pin!(tokio::time::timeout(LIMIT, Later.call(Request::new(()))));
            assert!(response.as_mut().poll(cx).is_pending() && response.poll(cx).is_ready());
        });
    });
    group.bench_function("a scope until the body's end", |bencher| {
        let mut service = layer.clone().until_body_end().layer(Bare);
        bencher.iter(|| ask(&mut service));
    });
    group.finish();
    drop(stays);
    reader.join().expect("it only waits");
}
