//! [`Clock`]: how long a request may take.
//!
//! # The race to fear
//! The limit comes just when the request ends. One word decides: the timer turns it from running to over, and only then
//! asks the scope to stop; the request's end turns it from running to stopped, and a request that finds it over is
//! answered as late. So a request that was in time is never cancelled by its limit.
//!
//! For a body that has begun see [`Keep`].

use std::error::Error;
use std::mem;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::error::Cancelled;
use crate::lineage::future::InLineage;
use crate::lineage::handle::Lineage;
use crate::lineage::node::Node;
use crate::lineage::watch::Watch;
use crate::registry::scope::Scope;
use crate::sync::os::{Arc, AtomicUsize, Mutex, Ordering};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::timer::{Deadline, timer};
use crate::wait::park;

use super::keep::{EndsUnpolled, Keep, Why};
use super::limit::Answer;
use super::open::Held;

const RUNNING: usize = 0;
const STOPPED: usize = 1;
const OVER: usize = 2;

/// How long a poller that was woken at the limit has time to end its body itself, and one whose scope is cancelled to come
/// for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Starts a clock for each request.
pub trait Limits<Req>: Clone {
    type Clock: Clock;

    fn start(&self, request: &Req, scope: &Scope) -> Self::Clock;
}

/// One request's time.
pub trait Clock {
    /// It may be over some time.
    const RUNS: bool;

    /// The time is up.
    fn is_over(&self) -> bool;

    /// The request ends. False when its time was up before.
    fn stop(&self) -> bool;

    /// Leaves a waker to be woken when the time is up. False when it is.
    fn listen(&self, waker: &Waker) -> bool;

    /// The body has not ended with its first poll: it is ended too when its scope is cancelled and it is not polled.
    fn body_goes_on(&self);
}

/// Answers a request whose time is up.
#[diagnostic::on_unimplemented(
    message = "the answer to a request whose time is up is an HTTP response with a body that has a `Default`, and `{Res}` is none",
    note = "say `.on_timeout(…)` with a closure that makes one"
)]
pub trait Late<Res> {
    /// `None` where the time is never up.
    fn answer(&self, at: &Lineage) -> Option<Res>;
}

/// What a body does whose time is up.
pub trait CutsBody<E> {
    type Error;

    fn pass(error: E) -> Self::Error;

    /// `None` where the time is never up.
    fn late(&self) -> Option<Self::Error>;

    /// The same in a gRPC answer's trailers.
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

/// As long as it takes.
#[derive(Clone)]
pub struct NoTimeLimit;

/// Never over.
pub struct NoClock;

impl<Req> Limits<Req> for NoTimeLimit {
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

/// At most so long.
pub struct TimeLimit<A> {
    pub(super) limit: Duration,
    pub(super) answer: Arc<A>,
}

impl<A> Clone for TimeLimit<A> {
    fn clone(&self) -> Self {
        Self { limit: self.limit, answer: Arc::clone(&self.answer) }
    }
}

/// 504, or in gRPC `DEADLINE_EXCEEDED`.
pub struct GatewayTimeout;

/// Makes a late answer, when the request is the service's.
pub trait MakesAnswer<Res> {
    fn make(&self, at: &Lineage) -> Res;
}

/// The content type of the request, if that is gRPC's.
pub struct InItsProtocol(Option<HeaderValue>);

impl<B: Default> MakesAnswer<http::Response<B>> for InItsProtocol {
    fn make(&self, _: &Lineage) -> http::Response<B> {
        let mut response = http::Response::new(B::default());
        match &self.0 {
            // A client would take 504 for `UNAVAILABLE`, and may ask again.
            Some(content_type) => {
                *response.headers_mut() = grpc_late();
                response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
            }
            None => *response.status_mut() = StatusCode::GATEWAY_TIMEOUT,
        }
        response
    }
}

/// The user's closure.
pub struct ByUser<F>(Arc<Answer<F>>);

impl<Res, F: Fn(&Lineage) -> Res> MakesAnswer<Res> for ByUser<F> {
    fn make(&self, at: &Lineage) -> Res {
        at.run(|| (self.0.0)(at))
    }
}

impl<B> Limits<http::Request<B>> for TimeLimit<GatewayTimeout> {
    type Clock = Running<InItsProtocol>;

    fn start(&self, request: &http::Request<B>, scope: &Scope) -> Self::Clock {
        let content_type = request.headers().get(CONTENT_TYPE).filter(|value| is_any_grpc(value));
        Running::start(self.limit, scope, InItsProtocol(content_type.cloned()))
    }
}

impl<Req, F> Limits<Req> for TimeLimit<Answer<F>> {
    type Clock = Running<ByUser<F>>;

    fn start(&self, _: &Req, scope: &Scope) -> Self::Clock {
        Running::start(self.limit, scope, ByUser(Arc::clone(&self.answer)))
    }
}

/// gRPC's, or gRPC-web's.
fn is_any_grpc(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"application/grpc")
}

/// The answer's status is in its trailers.
pub(super) fn has_grpc_trailers(headers: &HeaderMap) -> bool {
    let rest =
        |value: &HeaderValue| value.as_bytes().strip_prefix(b"application/grpc").map(|rest| rest.first().copied());
    headers.get(CONTENT_TYPE).and_then(rest).is_some_and(|next| matches!(next, None | Some(b'+' | b';')))
}

/// The status of a gRPC answer that is late.
fn grpc_late() -> HeaderMap {
    grpc("4", "the request's time limit has passed")
}

/// The status of a gRPC answer whose request was cancelled.
fn grpc_cancelled() -> HeaderMap {
    grpc("1", "the request was cancelled")
}

fn grpc(status: &'static str, message: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers.insert("grpc-message", HeaderValue::from_static(message));
    trailers
}

/// A clock that runs. Dropping it stops it, and removes its deadline.
pub struct Running<M> {
    shared: Arc<Shared>,
    limit: Duration,
    /// When the time is up, if the timer has no thread to tell it.
    looked_for: Option<Instant>,
    _deadline: Option<Deadline>,
    makes: M,
}

/// What the timer wakes.
struct Shared {
    word: AtomicUsize,
    /// When the time is up; `None` for never.
    due: Option<Instant>,
    /// Until the time is up: a body that is not polled keeps its clock, and that keeps no scope then.
    scope: Mutex<Option<Lineage>>,
    /// Of the response's future.
    waker: Mutex<Option<Waker>>,
    body: Mutex<Begun>,
}

/// The body, while it is under way.
#[derive(Default)]
struct Begun {
    body: Option<Arc<dyn EndsUnpolled>>,
    /// Notifies of a cancel, until the time is up.
    watch: Option<Watch>,
    /// When it is looked after once more.
    again: Option<Again>,
}

struct Again {
    why: Why,
    at: Instant,
    _deadline: Deadline,
}

impl Shared {
    fn is_over(&self) -> bool {
        // Acquire: pairs with the swap that made it so.
        self.word.load(Ordering::Acquire) == OVER
    }

    fn turn(&self, to: usize) -> Result<usize, usize> {
        self.word.compare_exchange(RUNNING, to, Ordering::AcqRel, Ordering::Acquire)
    }

    fn end(&self) {
        if self.turn(OVER).is_err() {
            return;
        }
        // Also where the request is not polled: its thread may be busy, with its handler's own work say.
        let scope = self.scope.lock().take();
        if let Some(scope) = scope {
            scope.request_stop();
        }
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            swallow(|| waker.wake());
        }
    }

    /// Ends the body where its poller does not, if the time is up or the scope is cancelled.
    fn look_after_body(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let (body, why, _watch) = {
            let mut begun = self.body.lock();
            let Some(body) = begun.body.clone() else { return };
            let (why, watch) = match self.is_over() {
                true => (Why::Late, begun.watch.take()),
                false => match begun.watch.as_mut().is_some_and(|watch| watch.poll(&waker, Node::is_cancelled)) {
                    true => (Why::Cancelled, None),
                    false => return,
                },
            };
            // One cancel wakes more than once, and the limit is one: its poller has the time that it was given.
            if begun.again.as_ref().is_some_and(|again| again.why == why && Instant::now() < again.at) {
                return;
            }
            (body, why, watch)
        };
        if !body.end_unpolled(why) {
            return;
        }
        let _before = {
            let mut begun = self.body.lock();
            // It may have ended meanwhile.
            if begun.body.is_none() {
                return;
            }
            let again = park::after(PATIENCE).and_then(|at| Some(Again { why, at, _deadline: timer().at(at, waker)? }));
            mem::replace(&mut begun.again, again)
        };
    }
}

/// For the timer, and for cancels of the scope.
impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.due.is_some_and(|due| Instant::now() >= due) {
            self.end();
        }
        self.look_after_body();
    }
}

impl<M> Running<M> {
    fn start(limit: Duration, scope: &Scope, makes: M) -> Self {
        let scope = Mutex::new(Some(scope.lineage().clone()));
        let (waker, body) = (Mutex::new(None), Mutex::new(Begun::default()));
        let at = park::after(limit);
        let shared = Arc::new(Shared { word: AtomicUsize::new(RUNNING), due: at, scope, waker, body });
        let deadline = at.and_then(|at| timer().at(at, Waker::from(Arc::clone(&shared))));
        let looked_for = at.filter(|_| deadline.is_none());
        Self { shared, limit, looked_for, _deadline: deadline, makes }
    }
}

impl<B: Send + 'static, M> KeepsBody<B> for Running<M> {
    fn keep(&self, body: InLineage<B>, held: Held) -> Keep<B> {
        let (keep, kept) = Keep::shared(body, held);
        self.shared.body.lock().body = Some(kept);
        // Left before the look, so that a limit that came meanwhile is noticed.
        if self.is_over() {
            self.shared.look_after_body();
        }
        keep
    }
}

impl<M> Drop for Running<M> {
    fn drop(&mut self) {
        let _ = self.shared.turn(STOPPED);
        let begun = mem::take(&mut *self.shared.body.lock());
        drop(begun);
    }
}

impl<M> Clock for Running<M> {
    const RUNS: bool = true;

    fn is_over(&self) -> bool {
        if self.looked_for.is_some_and(|at| Instant::now() >= at) {
            self.shared.end();
        }
        self.shared.is_over()
    }

    fn stop(&self) -> bool {
        !self.is_over() && self.shared.turn(STOPPED) != Err(OVER)
    }

    fn listen(&self, waker: &Waker) -> bool {
        let stays = |before: &Option<Waker>| before.as_ref().is_some_and(|before| before.will_wake(waker));
        if !stays(&self.shared.waker.lock()) {
            // A waker's clone and drop are user code, so neither is under the lock.
            let new = waker.clone();
            let before = self.shared.waker.lock().replace(new);
            swallow_drop(before);
        }
        // Left before the look, so that a limit that comes meanwhile is noticed.
        !self.is_over()
    }

    fn body_goes_on(&self) {
        let Some(scope) = self.shared.scope.lock().clone() else { return };
        let watch = Watch::new(&scope.0);
        let before = self.shared.body.lock().watch.replace(watch);
        drop(before);
        self.shared.look_after_body();
    }
}

impl<M: MakesAnswer<Res>, Res> Late<Res> for Running<M> {
    fn answer(&self, at: &Lineage) -> Option<Res> {
        Some(self.makes.make(at))
    }
}

impl<M, E: Into<BoxError>> CutsBody<E> for Running<M> {
    type Error = BoxError;

    fn pass(error: E) -> BoxError {
        error.into()
    }

    fn late(&self) -> Option<BoxError> {
        Some(match self.shared.is_over() {
            true => Box::new(RequestTimedOut { limit: self.limit }),
            false => Box::new(Cancelled::new()),
        })
    }

    fn late_in_trailers(&self) -> Option<HeaderMap> {
        Some(if self.shared.is_over() { grpc_late() } else { grpc_cancelled() })
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

/// The error of a response's body whose request has reached its [`timeout`](super::ScopeLayer::timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response was cut: its request has reached its time limit of {limit:?}; see `ScopeLayer::timeout`")]
#[non_exhaustive]
pub struct RequestTimedOut {
    /// The limit.
    pub limit: Duration,
}
