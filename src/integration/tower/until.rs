//! [`Until`]: the scope ends with the response, or with the response's body.

use http::{Method, StatusCode};

use super::clock::Clock;
use super::open::Open;

/// Hands a response over, and with it the scope or its end.
pub trait Until<Res, K> {
    type Response;

    fn answer(response: Res, ended: Ended<K>, wants: Wants) -> Self::Response;

    /// Returns whether the response comes in time. Stops the clock where the response is the end.
    fn is_in_time(clock: &K) -> bool;
}

/// How the response left its scope.
pub enum Ended<K> {
    /// The service made the response.
    Well {
        open: Open<K>,
        /// A gRPC status in the trailers may still give the request up.
        reads_grpc: bool,
    },
    /// The response gave the request up: the scope is cancelled, and dropped at the end.
    GivenUp(Open<K>),
    /// The layer made the response, so no scope is open.
    Unopened,
}

/// Looks at a request before the service has it.
pub trait Reads<Req> {
    fn wants(request: &Req) -> Wants;
}

/// The response that a request's method asks for.
#[derive(Clone, Copy)]
pub enum Wants {
    Body,
    /// `HEAD`.
    Nothing,
    /// `CONNECT`.
    Tunnel,
}

impl Wants {
    /// Returns whether the server sends nothing of the body, and so does not poll it.
    pub(super) fn is_silent(self, status: StatusCode) -> bool {
        let has_none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational();
        has_none
            || match self {
                Self::Body => false,
                Self::Nothing => true,
                Self::Tunnel => status.is_success(),
            }
    }
}

/// The scope ends with the response.
#[derive(Clone)]
pub enum UntilResponse {}

impl<Res, K: Clock> Until<Res, K> for UntilResponse {
    type Response = Res;

    fn answer(response: Res, ended: Ended<K>, _: Wants) -> Res {
        if let Ended::Well { open, .. } = ended {
            open.finish();
        }
        response
    }

    fn is_in_time(clock: &K) -> bool {
        clock.stop()
    }
}

impl<Req> Reads<Req> for UntilResponse {
    fn wants(_: &Req) -> Wants {
        Wants::Body
    }
}

/// The scope ends with the response's body.
#[derive(Clone)]
pub enum UntilBodyEnd {}

impl<B> Reads<http::Request<B>> for UntilBodyEnd {
    fn wants(request: &http::Request<B>) -> Wants {
        match *request.method() {
            Method::HEAD => Wants::Nothing,
            Method::CONNECT => Wants::Tunnel,
            _ => Wants::Body,
        }
    }
}
