//! [`Answer`]: the layer answers a request in the place of its service.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::hook::{Hook, Unset};

/// Answers a request that the layer does not pass on.
pub trait Answer<Req, Res> {
    /// False where [`answer`](Self::answer) always returns `None`.
    const ANSWERS: bool = true;

    /// Returns `None` where the service is called all the same.
    fn answer(&self, request: &Req) -> Option<Res>;
}

/// Calls the service.
impl<Req, Res> Answer<Req, Res> for Unset {
    const ANSWERS: bool = false;

    fn answer(&self, _: &Req) -> Option<Res> {
        None
    }
}

/// 503, to be tried again in a second.
#[derive(Clone)]
pub struct Unavailable;

impl<Req, B: Default> Answer<Req, http::Response<B>> for Unavailable {
    fn answer(&self, _: &Req) -> Option<http::Response<B>> {
        let mut response = http::Response::new(B::default());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        Some(response)
    }
}

impl<Req, Res, F: Fn(&Req) -> Res> Answer<Req, Res> for Hook<F> {
    fn answer(&self, request: &Req) -> Option<Res> {
        Some((self.0)(request))
    }
}
