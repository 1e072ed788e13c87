//! [`GivesUp`]: the responses that cancel their request's scope.

use http::StatusCode;

use super::grpc;
use super::hook::Hook;

/// Tells the responses, and the errors, that cancel the request's scope.
#[diagnostic::on_unimplemented(
    message = "`ScopeLayer` looks at the status of HTTP responses, and `{Res}` is none",
    note = "say `.cancel_only_on_drop()`, or `.cancel_if(…)` with a closure that takes this response"
)]
pub trait GivesUp<Res>: Clone {
    /// An error of the service, which has no response then, cancels its scope.
    const ON_ERROR: bool = true;
    /// A gRPC status is looked at, also in trailers.
    const READS_GRPC: bool = false;

    fn gives_up(&self, response: &Res) -> bool;
}

/// 408, 503 and 504, and the gRPC statuses with the same meaning.
#[derive(Clone)]
pub struct ByStatus;

impl<B> GivesUp<http::Response<B>> for ByStatus {
    const READS_GRPC: bool = true;

    fn gives_up(&self, response: &http::Response<B>) -> bool {
        let given_up = [StatusCode::REQUEST_TIMEOUT, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
        given_up.contains(&response.status()) || grpc::gives_up(response.headers())
    }
}

impl<Res, F: Fn(&Res) -> bool> GivesUp<Res> for Hook<F> {
    fn gives_up(&self, response: &Res) -> bool {
        (self.0)(response)
    }
}

/// No response and no error.
#[derive(Clone)]
pub struct OnlyOnDrop;

impl<Res> GivesUp<Res> for OnlyOnDrop {
    const ON_ERROR: bool = false;

    fn gives_up(&self, _: &Res) -> bool {
        false
    }
}
