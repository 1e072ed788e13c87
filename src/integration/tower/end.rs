//! [`GivesUp`]: which responses end what their requests asked for.

use http::{HeaderMap, StatusCode};

use crate::sync::os::Arc;

/// Tells the responses, and the errors, after which nobody wants what the request asked for.
#[diagnostic::on_unimplemented(
    message = "`ScopeLayer` looks at the status of HTTP responses, and `{Res}` is none",
    note = "say `.cancel_only_on_drop()`, or `.cancel_if(…)` with a closure that takes this response"
)]
pub trait GivesUp<Res>: Clone {
    /// A service that fails has no response: its scope is cancelled.
    const ON_ERROR: bool;
    /// The status of a gRPC answer is looked at, also in trailers.
    const READS_GRPC: bool;

    fn gives_up(&self, response: &Res) -> bool;
}

/// 408, 503 and 504, and the gRPC statuses that mean the same.
#[derive(Clone)]
pub struct ByStatus;

impl<B> GivesUp<http::Response<B>> for ByStatus {
    const ON_ERROR: bool = true;
    const READS_GRPC: bool = true;

    fn gives_up(&self, response: &http::Response<B>) -> bool {
        let given_up = [StatusCode::REQUEST_TIMEOUT, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
        given_up.contains(&response.status()) || grpc_gives_up(response.headers())
    }
}

/// `CANCELLED`, `DEADLINE_EXCEEDED`, `UNAVAILABLE`.
pub(super) fn grpc_gives_up(headers: &HeaderMap) -> bool {
    headers.get("grpc-status").is_some_and(|status| matches!(status.as_bytes(), b"1" | b"4" | b"14"))
}

/// Those that the user names.
pub struct ByHook<F>(pub(super) Arc<F>);

impl<F> Clone for ByHook<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Res, F: Fn(&Res) -> bool> GivesUp<Res> for ByHook<F> {
    const ON_ERROR: bool = true;
    const READS_GRPC: bool = false;

    fn gives_up(&self, response: &Res) -> bool {
        (self.0)(response)
    }
}

/// None.
#[derive(Clone)]
pub struct OnlyOnDrop;

impl<Res> GivesUp<Res> for OnlyOnDrop {
    const ON_ERROR: bool = false;
    const READS_GRPC: bool = false;

    fn gives_up(&self, _: &Res) -> bool {
        false
    }
}
