//! With the feature `tower`: all time limits of the process have one thread, which ends when there was none for a while,
//! and comes again. A request that ends takes its limit along.

use std::convert::Infallible;
use std::time::Duration;

use crate::common::pools::threads_named;
use crate::common::{alone, eventually};
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use futures::executor::block_on;
use heirloom::tower::ScopeLayer;
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

/// As much of the thread's name as the system keeps.
const NAME: &str = "heirloom-timer";

#[test]
fn all_limits_have_one_thread_which_ends_when_the_last_has_gone() {
    alone(|| {
        let never = service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>());
        let ask = |limit| ScopeLayer::new().timeout(limit).layer(never).call(Request::new(Body::empty()));
        assert_eq!(threads_named(NAME), 0);
        for _ in 0..2 {
            let hour = Duration::from_secs(3600);
            let under_way: Vec<_> = (0..10_000).map(|n| ask(hour + Duration::from_millis(n))).collect();
            eventually("the thread runs under its name", || threads_named(NAME) == 1);
            // It is told of one that comes before all others.
            assert_eq!(block_on(ask(Duration::from_millis(5))).unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
            assert_eq!(threads_named(NAME), 1);
            drop(under_way);
            eventually("the thread has ended", || threads_named(NAME) == 0);
        }
    });
}
