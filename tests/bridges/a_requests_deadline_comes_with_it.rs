//! `ScopeLayer::deadline_from` takes a request's deadline from the request; the earlier of it and the layer's limit holds.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use crate::common::bounded;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use futures::executor::block_on;
use heirloom::Scope;
use heirloom::tower::{ScopeLayer, grpc_timeout, set_grpc_timeout, timeout_millis, timeout_seconds};
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

const LONG: Duration = Duration::from_secs(3600);

fn with(name: &'static str, value: &str) -> Request {
    Request::builder().header(name, value).body(Body::empty()).expect("it is a request")
}

/// What is left for the handler of a request.
fn left<L>(layer: L, request: Request) -> Option<Duration>
where
    L: Layer<tower::util::BoxCloneSyncService<Request, Response, Infallible>>,
    L::Service: Service<Request, Response = Response, Error = Infallible>,
{
    let (says, said) = std::sync::mpsc::channel();
    let handler = service_fn(move |_: Request| {
        let says = says.clone();
        async move {
            says.send(heirloom::remaining()).expect("the test listens");
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let mut service = layer.layer(tower::util::BoxCloneSyncService::new(handler));
    block_on(service.call(request)).expect("it answers");
    said.recv().expect("it ran")
}

fn is_near(left: Option<Duration>, whole: Duration) -> bool {
    left.is_some_and(|left| left <= whole && left + Duration::from_secs(30) > whole)
}

#[test]
fn a_grpc_clients_time_is_the_requests() {
    let layer = || ScopeLayer::new().deadline_from(grpc_timeout);
    for (value, whole) in [("2H", 7200), ("90M", 5400), ("00000100S", 100), ("99999999m", 100_000)] {
        assert!(is_near(left(layer(), with("grpc-timeout", value)), Duration::from_secs(whole)), "{value}");
    }
    for broken in ["", "5", "S", "123456789S", "-1S", "1 S", "1s", "1.5S", "+1S"] {
        assert_eq!(left(layer(), with("grpc-timeout", broken)), None, "{broken:?}");
    }
    assert_eq!(left(layer(), Request::new(Body::empty())), None);
}

#[test]
fn a_header_has_milliseconds_or_seconds_or_a_closure_says() {
    let name = HeaderName::from_static("x-timeout");
    let millis = ScopeLayer::new().deadline_from(timeout_millis(name.clone()));
    assert!(is_near(left(millis, with("x-timeout", "100000")), Duration::from_secs(100)));
    let seconds = || ScopeLayer::new().deadline_from(timeout_seconds(name.clone()));
    assert!(is_near(left(seconds(), with("x-timeout", "100")), Duration::from_secs(100)));
    assert_eq!(left(seconds(), with("x-timeout", "soon")), None);
    let at = Instant::now() + LONG;
    assert!(is_near(
        left(ScopeLayer::new().deadline_from(move |_: &Request| Some(at)), Request::new(Body::empty())),
        LONG
    ));
}

#[test]
fn the_earlier_of_both_holds() {
    let layer = || ScopeLayer::new().timeout(Duration::from_secs(100)).deadline_from(grpc_timeout);
    assert!(is_near(left(layer(), with("grpc-timeout", "1H")), Duration::from_secs(100)));
    assert!(is_near(left(layer(), with("grpc-timeout", "60S")), Duration::from_secs(60)));
    assert!(is_near(left(layer(), Request::new(Body::empty())), Duration::from_secs(100)));
    assert!(is_near(left(ScopeLayer::new().timeout(LONG), Request::new(Body::empty())), LONG));
}

#[test]
fn a_request_ends_at_its_own_deadline() {
    bounded(|| {
        let never = service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>());
        let mut service = ScopeLayer::new().timeout(LONG).deadline_from(grpc_timeout).layer(never);
        let response = block_on(service.call(with("grpc-timeout", "20m"))).expect("it answers");
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    });
}

#[test]
fn a_call_that_goes_out_has_what_is_left() {
    let sent = |own: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        if let Some(own) = own {
            headers.insert("grpc-timeout", own.parse().expect("it is a value"));
        }
        set_grpc_timeout(&mut headers);
        headers.get("grpc-timeout").map(|value| value.to_str().expect("it is a text").to_owned())
    };
    assert_eq!(sent(None), None);
    Scope::run_timeout("request", LONG, |_| {
        let left = sent(None).expect("it is set");
        assert!(left.ends_with('m') && left.len() == 8, "{left}");
        assert_eq!(sent(Some("5S")).as_deref(), Some("5S"), "its own timeout is shorter");
        assert_eq!(sent(Some("9H")).map(|left| left.len()), Some(8));
    });
    Scope::run_timeout("request", Duration::ZERO, |_| assert_eq!(sent(None).as_deref(), Some("0n")));
}
