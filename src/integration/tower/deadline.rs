//! Deadlines that come in with a request, and go out with a call.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cancel::deadline::remaining;
use crate::wait::park;

use super::hook::{Hook, Unset};

/// The header in which gRPC sends how much time a call has.
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A request's deadline, as a moment or as the time that is left.
pub trait Moment {
    /// Returns the moment; `None` for one that the clock cannot express, which never comes.
    fn at(self) -> Option<Instant>;
}

impl Moment for Instant {
    fn at(self) -> Option<Instant> {
        Some(self)
    }
}

impl Moment for Duration {
    fn at(self) -> Option<Instant> {
        park::after(self)
    }
}

/// Returns the deadline that a request brings along.
pub trait DeadlineOf<Req> {
    fn deadline(&self, request: &Req) -> Option<Instant>;
}

impl<Req> DeadlineOf<Req> for Unset {
    fn deadline(&self, _: &Req) -> Option<Instant> {
        None
    }
}

impl<Req, T: Moment, F: Fn(&Req) -> Option<T>> DeadlineOf<Req> for Hook<F> {
    fn deadline(&self, request: &Req) -> Option<Instant> {
        (self.0)(request).and_then(Moment::at)
    }
}

/// Returns the time that a gRPC client gives its call: the header `grpc-timeout`.
///
/// For [`ScopeLayer::deadline_from`](super::ScopeLayer::deadline_from). `None` without the header, and for a value that is
/// not of gRPC's format: one to eight digits and a unit (`H`, `M`, `S`, `m`, `u`, `n`).
pub fn grpc_timeout<B>(request: &http::Request<B>) -> Option<Duration> {
    parse(request.headers().get(GRPC_TIMEOUT)?.as_bytes())
}

/// Returns a function that reads a header with a number of milliseconds, such as `x-request-timeout-ms: 250`.
///
/// For [`ScopeLayer::deadline_from`](super::ScopeLayer::deadline_from). A value that is not digits alone counts as none.
pub fn timeout_millis<B>(name: HeaderName) -> impl Fn(&http::Request<B>) -> Option<Duration> {
    move |request| number(request.headers().get(&name)?.as_bytes()).map(Duration::from_millis)
}

/// Returns a function that reads a header with a number of seconds, such as `x-request-timeout: 30`.
///
/// As [`timeout_millis`].
pub fn timeout_seconds<B>(name: HeaderName) -> impl Fn(&http::Request<B>) -> Option<Duration> {
    move |request| number(request.headers().get(&name)?.as_bytes()).map(Duration::from_secs)
}

/// Sets the header `grpc-timeout` of a call that goes out: the time that the running code has [left](crate::remaining).
///
/// Does nothing where the code has no deadline, and leaves the header of a call whose own timeout is shorter. For the headers
/// of any HTTP client. A tonic request has a method of its own: `request.set_timeout(left)`, with `left` of
/// [`heirloom::remaining`](crate::remaining).
///
/// ```
/// use std::time::Duration;
/// use heirloom::{Scope, tower};
///
/// let mut headers = http::HeaderMap::new();
/// Scope::run_timeout("request 7", Duration::from_secs(30), |_| tower::set_grpc_timeout(&mut headers));
/// let left = headers["grpc-timeout"].to_str()?; // such as 29999998u
/// assert!(left.ends_with('u'));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn set_grpc_timeout(headers: &mut HeaderMap) {
    let Some(left) = remaining() else { return };
    let shorter = |own: &HeaderValue| parse(own.as_bytes()).is_some_and(|own| own <= left);
    if headers.get(GRPC_TIMEOUT).is_some_and(shorter) {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(format(left)) {
        headers.insert(GRPC_TIMEOUT, value);
    }
}

/// A number of at most 19 digits.
fn number(digits: &[u8]) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| all_digits)?.parse().ok()
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let many = number(digits).filter(|_| digits.len() <= 8)?;
    Some(match unit {
        b'H' => Duration::from_secs(many * 3600),
        b'M' => Duration::from_secs(many * 60),
        b'S' => Duration::from_secs(many),
        b'm' => Duration::from_millis(many),
        b'u' => Duration::from_micros(many),
        b'n' => Duration::from_nanos(many),
        _ => return None,
    })
}

/// The finest unit in which the time has at most eight digits. Rounded down, so that the call ends in time.
fn format(left: Duration) -> String {
    const MOST: u128 = 99_999_999;
    let units = [(1, 'n'), (1_000, 'u'), (1_000_000, 'm'), (1_000_000_000, 'S'), (60_000_000_000, 'M')];
    let nanos = left.as_nanos();
    let fits = units.into_iter().find(|(length, _)| nanos / length <= MOST);
    let (length, unit) = fits.unwrap_or((3_600_000_000_000, 'H'));
    format!("{}{unit}", (nanos / length).min(MOST))
}
