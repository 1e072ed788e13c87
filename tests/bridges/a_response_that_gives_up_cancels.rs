//! With the feature `tower`: a response that gives its request up cancels the request's scope instead of closing it.
//!
//! Those are 408, 503, 504 and the same statuses of gRPC, unless the user chooses others. So a time limit inside the
//! layer cancels the request's tasks.

use std::convert::Infallible;
use std::sync::mpsc;
use std::time::Duration;

use crate::common::bounded;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use futures::executor::block_on;
use heirloom::Lineage;
use heirloom::tower::ScopeLayer;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use tower::service_fn;
use tower_http::timeout::TimeoutLayer;
use tower_layer::Layer;
use tower_service::Service;

fn request() -> Request {
    Request::new(Body::empty())
}

#[derive(Debug, PartialEq)]
enum End {
    Closed,
    Cancelled,
}

fn end(at: &Lineage) -> End {
    if at.is_cancelled() { End::Cancelled } else { End::Closed }
}

/// Tells how the scope of a response ended. A macro, because each layer is a type of its own.
macro_rules! end_of {
    ($layer:expr, $response:expr) => {{
        let (says, said) = mpsc::channel();
        let handler = service_fn(|_: Request| {
            says.send(heirloom::current()).unwrap();
            async { Ok::<Response, Infallible>($response) }
        });
        drop(block_on($layer.layer(handler).call(request())).unwrap());
        end(&said.recv().unwrap())
    }};
}

fn with_status(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn with_grpc_status(status: &'static str) -> Response {
    let mut response = with_status(200);
    response.headers_mut().insert("grpc-status", status.parse().unwrap());
    response
}

#[test]
fn a_response_of_408_503_or_504_cancels_and_others_close() {
    bounded(|| {
        for status in [408, 503, 504] {
            assert_eq!(end_of!(ScopeLayer::new(), with_status(status)), End::Cancelled, "{status}");
            assert_eq!(end_of!(ScopeLayer::new().until_body_end(), with_status(status)), End::Cancelled, "{status}");
        }
        for status in [200, 204, 301, 400, 404, 429, 500, 502] {
            assert_eq!(end_of!(ScopeLayer::new(), with_status(status)), End::Closed, "{status}");
        }
        for status in ["1", "4", "14"] {
            assert_eq!(end_of!(ScopeLayer::new(), with_grpc_status(status)), End::Cancelled, "{status}");
        }
        for status in ["0", "2", "5", "13"] {
            assert_eq!(end_of!(ScopeLayer::new(), with_grpc_status(status)), End::Closed, "{status}");
        }
    });
}

#[test]
fn the_user_says_which_responses_cancel() {
    bounded(|| {
        let layer = ScopeLayer::new().cancel_if(|response: &Response| response.status().is_server_error());
        assert_eq!(end_of!(layer, with_status(500)), End::Cancelled);
        assert_eq!(end_of!(layer, with_status(408)), End::Closed, "in the place of the default");
        assert_eq!(end_of!(layer, with_grpc_status("4")), End::Closed);
        let layer = ScopeLayer::new().cancel_only_on_drop();
        assert_eq!(end_of!(layer, with_status(504)), End::Closed);
    });
}

/// A body of nothing but trailers.
struct Trailers(Option<HeaderMap>);

impl http_body::Body for Trailers {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<bytes::Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

/// Tells how the scope of a body with such trailers ended.
fn end_of_trailers(status: &'static str, whole: bool) -> End {
    let (says, said) = mpsc::channel();
    let handler = service_fn(|_: Request| {
        says.send(heirloom::current()).unwrap();
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
        async { Ok::<_, Infallible>(http::Response::new(Trailers(Some(trailers)))) }
    });
    let response = block_on(ScopeLayer::new().until_body_end().layer(handler).call(request())).unwrap();
    let mut body = Box::pin(response.into_body());
    let mut frame = || block_on(std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)));
    assert!(frame().unwrap().unwrap().is_trailers());
    let at = said.recv().unwrap();
    assert!(!at.is_cancelled());
    if whole {
        assert!(frame().is_none());
    }
    drop(body);
    end(&at)
}

#[test]
fn a_grpc_status_in_the_trailers_cancels() {
    bounded(|| {
        for whole in [true, false] {
            assert_eq!(end_of_trailers("4", whole), End::Cancelled);
            assert_eq!(end_of_trailers("0", whole), End::Closed);
        }
    });
}

#[test]
fn a_time_limit_inside_the_layer_ends_what_the_request_asked_for() {
    bounded(|| {
        let (says, said) = mpsc::channel();
        let handler = service_fn(|_: Request| {
            says.send(heirloom::current()).unwrap();
            std::future::pending::<Result<Response, Infallible>>()
        });
        let limit = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_millis(5));
        let mut service = ScopeLayer::new().layer(limit.layer(handler));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let response = runtime.block_on(async { service.call(request()).await }).unwrap();
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        assert!(said.recv().unwrap().is_cancelled());
    });
}

#[test]
fn the_body_of_an_answer_that_gave_up_stands_in_its_scope_until_its_end() {
    bounded(|| {
        let (says, said) = mpsc::channel();
        let handler = service_fn(|_: Request| {
            says.send(heirloom::current()).unwrap();
            let places = futures::stream::repeat_with(|| {
                let at = heirloom::current();
                Ok::<_, Infallible>(format!("{:?} {}", at.name(), at.is_cancelled()))
            });
            async {
                let mut response = Response::new(Body::from_stream(places));
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                Ok::<Response, Infallible>(response)
            }
        });
        let response = block_on(ScopeLayer::new().until_body_end().layer(handler).call(request())).unwrap();
        let at = said.recv().unwrap();
        assert!(at.is_cancelled(), "with the response");
        let mut body = Body::new(response.into_body()).into_data_stream();
        let place = block_on(futures::StreamExt::next(&mut body)).unwrap().unwrap();
        assert_eq!(place, "Some(\"request\") true");
    });
}
