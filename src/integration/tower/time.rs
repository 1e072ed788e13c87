//! [`Running`]: the clock of a request with a time limit.
//!
//! # The race to fear
//! The limit comes just when the request ends. One word decides: the timer changes it from running to over, and only then
//! cancels the scope; the request's end changes it from running to stopped, and a request that finds it over is
//! answered as late. So a request that was in time is never cancelled by its limit.
//!
//! For a body that has begun see [`Keep`].

use std::error::Error;
use std::fmt;
use std::mem;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::error::{CancelReason, Cancelled};
use crate::lineage::future::InLineage;
use crate::lineage::handle::Lineage;
use crate::lineage::node::Node;
use crate::lineage::watch::Watch;
use crate::pool::run::deadline;
use crate::registry::node_end;
use crate::registry::scope::Scope;
use crate::sync::os::{Arc, AtomicUsize, Mutex, Ordering};
use crate::sync::unwind::{swallow, swallow_drop};
use crate::threads::aside;
use crate::timer::deadlines::{Owner, deadlines, earlier};
use crate::timer::{Deadline, timer};
use crate::wait::park;

use super::clock::{Clock, CutsBody, KeepsBody, Late, Limits};
use super::deadline::DeadlineOf;
use super::grpc;
use super::hook::{Hook, Unset};
use super::keep::{EndsUnpolled, Keep, Why};
use super::open::Held;

const RUNNING: usize = 0;
const STOPPED: usize = 1;
const OVER: usize = 2;

/// The time that a poller has to end its body itself: one woken at the limit, and one whose scope was cancelled.
const PATIENCE: Duration = Duration::from_secs(1);

/// A time limit, the request's own deadline, and the answer at the end of the earlier one.
#[derive(Clone)]
pub struct TimeLimit<A, D = Unset> {
    pub(super) limit: Option<Duration>,
    pub(super) from: D,
    pub(super) answer: A,
}

/// The content type of the request, if that is gRPC's. The answer is 504 otherwise, and `DEADLINE_EXCEEDED` with it.
pub struct InItsProtocol(Option<HeaderValue>);

impl<B, D: DeadlineOf<http::Request<B>> + Clone> Limits<http::Request<B>> for TimeLimit<Unset, D> {
    type Clock = Running<InItsProtocol>;

    fn start(&self, request: &http::Request<B>, scope: &Scope) -> Self::Clock {
        Running::start(
            self.limit,
            self.from.deadline(request),
            scope,
            InItsProtocol(grpc::content_type(request.headers()).cloned()),
        )
    }
}

impl<Req, F, D: DeadlineOf<Req> + Clone> Limits<Req> for TimeLimit<Hook<F>, D> {
    type Clock = Running<Hook<F>>;

    fn start(&self, request: &Req, scope: &Scope) -> Self::Clock {
        Running::start(self.limit, self.from.deadline(request), scope, self.answer.clone())
    }
}

impl<B: Default> Late<http::Response<B>> for Running<InItsProtocol> {
    fn answer(&self, _: &Lineage) -> Option<http::Response<B>> {
        let mut response = http::Response::new(B::default());
        match &self.answer.0 {
            // A client would take 504 for `UNAVAILABLE`, and may send the request again.
            Some(content_type) => {
                *response.headers_mut() = grpc::timed_out();
                response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
            }
            None => *response.status_mut() = StatusCode::GATEWAY_TIMEOUT,
        }
        Some(response)
    }
}

impl<Res, F: Fn(&Lineage) -> Res> Late<Res> for Running<Hook<F>> {
    fn answer(&self, at: &Lineage) -> Option<Res> {
        Some(at.run(|| (self.answer.0)(at)))
    }
}

/// A running clock. Dropping it stops it, and removes its deadline.
pub struct Running<A> {
    shared: Arc<Shared>,
    limit: Duration,
    /// The end of the time, to be compared with the clock by each poll, where the timer has no thread.
    looked_for: Option<Instant>,
    _deadline: Option<Deadline>,
    answer: A,
}

/// The part that the timer wakes.
struct Shared {
    word: AtomicUsize,
    /// The end of the time; `None` for never.
    due: Option<Instant>,
    /// The scope in the table of deadlines.
    owner: Option<Owner>,
    /// `None` once the time is up: a body that is not polled keeps its clock, and the clock keeps no scope then.
    scope: Mutex<Option<Lineage>>,
    /// The waker of the response's future.
    waker: Mutex<Option<Waker>>,
    body: Mutex<Begun>,
}

/// The body, while it is under way.
#[derive(Default)]
struct Begun {
    body: Option<Arc<dyn EndsUnpolled>>,
    /// Notifies of a cancel, until the time is up.
    watch: Option<Watch>,
    /// The next look at the body.
    again: Option<Again>,
}

struct Again {
    why: Why,
    at: Instant,
    _deadline: Deadline,
}

impl Shared {
    fn is_over(&self) -> bool {
        // Acquire: pairs with the release half of `turn`.
        self.word.load(Ordering::Acquire) == OVER
    }

    fn turn(&self, to: usize) -> Result<usize, usize> {
        self.word.compare_exchange(RUNNING, to, Ordering::AcqRel, Ordering::Acquire)
    }

    fn end(&self) {
        if self.turn(OVER).is_err() {
            return;
        }
        if let Some(owner) = self.owner {
            deadlines().fire(owner, Instant::now());
        }
        // Cancelled here and not by the poller alone: its thread may be busy with the handler. This may be the timer's
        // thread, so queued tasks, hooks and wakers are left to another one.
        let (scope, waker) = (self.scope.lock().take(), self.waker.lock().take());
        if let Some(scope) = &scope {
            scope.0.node().note_cancel(CancelReason::Deadline);
        }
        aside::run(move || {
            if let Some(scope) = scope {
                node_end::carry(&scope.0);
            }
            if let Some(waker) = waker {
                swallow(|| waker.wake());
            }
        });
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
            // One cancel may wake twice, and the limit wakes too: the poller has its whole time.
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
            // The body may have ended meanwhile.
            if begun.body.is_none() {
                return;
            }
            let again = park::after(PATIENCE).and_then(|at| Some(Again { why, at, _deadline: timer().at(at, waker)? }));
            mem::replace(&mut begun.again, again)
        };
    }
}

/// Woken by the timer, and by a cancel of the scope.
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

impl<A> Running<A> {
    fn start(limit: Option<Duration>, from: Option<Instant>, scope: &Scope, answer: A) -> Self {
        let at = earlier(limit.and_then(park::after), from);
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        let limit = match (limit, from) {
            (Some(limit), Some(from)) => limit.min(left(from)),
            (limit, from) => limit.or(from.map(left)).unwrap_or(Duration::MAX),
        };
        // Code below the scope finds the deadline. This clock fires it.
        let owner = at.and_then(|at| deadline::note(&scope.lineage().0, at));
        let scope = Mutex::new(Some(scope.lineage().clone()));
        let (waker, body) = (Mutex::new(None), Mutex::new(Begun::default()));
        let shared = Arc::new(Shared { word: AtomicUsize::new(RUNNING), due: at, owner, scope, waker, body });
        let deadline = at.and_then(|at| timer().at(at, Waker::from(Arc::clone(&shared))));
        let looked_for = at.filter(|_| deadline.is_none());
        Self { shared, limit, looked_for, _deadline: deadline, answer }
    }
}

impl<B: Send + 'static, A> KeepsBody<B> for Running<A> {
    fn keep(&self, body: InLineage<B>, held: Held) -> Keep<B> {
        let (keep, kept) = Keep::shared(body, held);
        self.shared.body.lock().body = Some(kept);
        // Stored before the look, so that a limit that came meanwhile is noticed.
        if self.is_over() {
            self.shared.look_after_body();
        }
        keep
    }
}

impl<A> Drop for Running<A> {
    fn drop(&mut self) {
        let _ = self.shared.turn(STOPPED);
        // The limit is the request's: its tasks may go on without it.
        if let Some(owner) = self.shared.owner.filter(|_| !self.shared.is_over()) {
            deadlines().forget(owner);
        }
        let begun = mem::take(&mut *self.shared.body.lock());
        drop(begun);
    }
}

impl<A> Clock for Running<A> {
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
        // Registered before the look, so that a limit that comes meanwhile is noticed.
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

impl<A, E: Into<BoxError>> CutsBody<E> for Running<A> {
    type Error = BoxError;

    fn pass(error: E) -> BoxError {
        error.into()
    }

    fn late(&self) -> Option<BoxError> {
        Some(match self.shared.is_over() {
            true => Box::new(RequestTimedOut { limit: self.limit }),
            false => {
                let scope = self.shared.scope.lock().clone();
                let cause = scope.and_then(|scope| scope.0.node().cause());
                Box::new(cause.unwrap_or_else(|| Cancelled::new(CancelReason::OwnerEnd, "the request")))
            }
        })
    }

    fn late_in_trailers(&self) -> Option<HeaderMap> {
        Some(if self.shared.is_over() { grpc::timed_out() } else { grpc::cancelled() })
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

/// The error of a response's body whose request has reached its [`timeout`](super::ScopeLayer::timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestTimedOut {
    /// The request's time limit.
    pub limit: Duration,
}

impl fmt::Display for RequestTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, .. } = self;
        write!(
            f,
            "the response was cut: its request has reached its time limit of {limit:?}; see `ScopeLayer::timeout`"
        )
    }
}

impl Error for RequestTimedOut {}
