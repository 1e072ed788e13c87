//! gRPC's statuses, in headers and in trailers.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// The content type of a gRPC or gRPC-web request.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(CONTENT_TYPE).filter(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Whether a response has its status in trailers: gRPC's has, gRPC-web's has not.
pub(super) fn has_trailers(headers: &HeaderMap) -> bool {
    let next = content_type(headers).map(|value| value.as_bytes().get(b"application/grpc".len()));
    matches!(next, Some(None | Some(b'+' | b';')))
}

/// Whether the status gives the request up: `CANCELLED`, `DEADLINE_EXCEEDED`, `UNAVAILABLE`.
pub(super) fn gives_up(headers: &HeaderMap) -> bool {
    headers.get("grpc-status").is_some_and(|status| matches!(status.as_bytes(), b"1" | b"4" | b"14"))
}

/// `DEADLINE_EXCEEDED`.
pub(super) fn timed_out() -> HeaderMap {
    status("4", "the request's time limit has passed")
}

/// `CANCELLED`.
pub(super) fn cancelled() -> HeaderMap {
    status("1", "the request was cancelled")
}

fn status(status: &'static str, message: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from_static(status));
    headers.insert("grpc-message", HeaderValue::from_static(message));
    headers
}
