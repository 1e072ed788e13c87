//! [`Clock`]: the time that a request has, or [`NoClock`].

use std::task::Waker;

use http::HeaderMap;

use crate::lineage::future::InLineage;
use crate::lineage::handle::Lineage;
use crate::registry::scope::Scope;

use super::hook::Unset;
use super::keep::Keep;
use super::open::Held;

/// Starts a clock for each request.
pub trait Limits<Req>: Clone {
    type Clock: Clock;

    fn start(&self, request: &Req, scope: &Scope) -> Self::Clock;
}

/// One request's time.
pub trait Clock {
    /// False where the time never ends.
    const RUNS: bool;

    /// Returns whether the time is up.
    fn is_over(&self) -> bool;

    /// Stops the clock, since the request has ended. Returns false when the time was up before.
    fn stop(&self) -> bool;

    /// Registers a waker to be woken at the end of the time. Returns false when the time is up.
    fn listen(&self, waker: &Waker) -> bool;

    /// Notes that the body did not end with its first poll. From then on a cancel of its scope ends it too, where it is
    /// not polled.
    fn body_goes_on(&self);
}

/// Answers a request whose time is up.
#[diagnostic::on_unimplemented(
    message = "the answer to a request whose time is up is an HTTP response with a body that has a `Default`, and `{Res}` is none",
    note = "say `.on_timeout(…)` with a closure that makes one"
)]
pub trait Late<Res> {
    /// Returns `None` where the time never ends.
    fn answer(&self, at: &Lineage) -> Option<Res>;
}

/// Makes the last frame of a body whose time is up.
pub trait CutsBody<E> {
    type Error;

    fn pass(error: E) -> Self::Error;

    /// Returns the body's error; `None` where the time never ends.
    fn late(&self) -> Option<Self::Error>;

    /// Returns the same as a gRPC response's trailers.
    fn late_in_trailers(&self) -> Option<HeaderMap>;
}

/// Keeps a body that has begun.
#[diagnostic::on_unimplemented(
    message = "a response's body with a `timeout` and `until_body_end` is `Send + 'static`, and `{B}` is not",
    note = "at the limit it is dropped on another thread, where its server does not poll it"
)]
pub trait KeepsBody<B>: Clock {
    fn keep(&self, body: InLineage<B>, held: Held) -> Keep<B>;
}

/// A clock without an end.
pub struct NoClock;

impl<Req> Limits<Req> for Unset {
    type Clock = NoClock;

    fn start(&self, _: &Req, _: &Scope) -> NoClock {
        NoClock
    }
}

impl Clock for NoClock {
    const RUNS: bool = false;

    fn is_over(&self) -> bool {
        false
    }

    fn stop(&self) -> bool {
        true
    }

    fn listen(&self, _: &Waker) -> bool {
        true
    }

    fn body_goes_on(&self) {}
}

impl<Res> Late<Res> for NoClock {
    fn answer(&self, _: &Lineage) -> Option<Res> {
        None
    }
}

impl<E> CutsBody<E> for NoClock {
    type Error = E;

    fn pass(error: E) -> E {
        error
    }

    fn late(&self) -> Option<E> {
        None
    }

    fn late_in_trailers(&self) -> Option<HeaderMap> {
        None
    }
}

impl<B> KeepsBody<B> for NoClock {
    fn keep(&self, body: InLineage<B>, held: Held) -> Keep<B> {
        Keep::own(body, Some(held))
    }
}
