//! [`ScopeLayer`]: what a user says about the scopes of a service's requests.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::lineage::handle::Lineage;
use crate::sync::os::Arc;

use super::body::{UntilBodyEnd, UntilResponse};
use super::end::{ByHook, ByStatus, OnlyOnDrop};
use super::hooks::{NoHook, OpenHook, PlainName, RequestName};
use super::limit::{Answer, Limited, ScopeUsage, Slots, Unavailable, Unlimited};
use super::place::{Below, CallAnyway, Choice, NoChoice};
use super::time::{GatewayTimeout, NoTimeLimit, TimeLimit};

/// Gives each request a [`Scope`](crate::Scope) of its own, in which its handler stands on every poll, on any runtime.
///
/// - The handler finishes: the scope [closes](crate::Scope::close), and what it was asked for goes on to its end.
/// - The client goes away, which drops the response future: the scope is [cancelled](crate::Scope::cancel), and with it
///   everything asked for below it, in any pool.
/// - The request has reached its [`timeout`](Self::timeout): the scope is cancelled, and the layer answers.
/// - The response says that it gives the request up (408, 503, 504; [`cancel_if`](Self::cancel_if)), or the service
///   fails instead of making one: the scope is cancelled, and the response or the error passes through.
///
/// None of these blocks the runtime. The scope opens below the place where the layer was made
/// ([`below`](Self::below) names another one, [`below_with`](Self::below_with) one for each request); where the calling
/// code stands in a scope below that (an outer layer's), it opens there. What is streamed after the response has begun
/// belongs to the scope with [`until_body_end`](Self::until_body_end).
///
/// A connection that is upgraded (a WebSocket) outlives the response, and so does a job that is answered with a 202: the
/// guide's chapter on [work after the response](crate::guide::after_the_response) has both.
///
/// Which layers go inside and which outside, and what ends with what, is in the table of the
/// [module](crate::tower#where-to-put-the-layer).
///
/// Cloning shares the limit: a router that clones the layer for each of its routes has one limit for all.
///
/// # Cost
/// A request that is answered in one poll costs about 0.3 µs more than without the layer: an allocation, the place in
/// the tree, and entering it for the call, for each poll and for the drop. A limit, or a value that is bound, adds
/// about 0.2 µs, and [`until_body_end`](Self::until_body_end) 0.1 µs. On the same machine a `tracing` span in a
/// registry costs 0.15 µs, and a cancellation flag in a task-local 0.08 µs: `cargo bench --all-features --bench
/// lifecycle` measures it.
///
/// Giving a request up ends its queued tasks there and then, in any pool, at less than a microsecond for each, beside what
/// the tasks' own drops take: on the thread that drops the response future.
///
/// ```
/// use axum::{Router, extract::Request, routing::get};
/// use heirloom::tower::ScopeLayer;
/// use heirloom::{Heirloom, PoolConfig};
///
/// static PATH: Heirloom<String> = Heirloom::new("path");
///
/// async fn page() -> String {
///     let render = heirloom::create("render"); // the request's own
///     render.start(PoolConfig::leased(2)).expect("it is new");
///     let html = render.submit(|| format!("<p>{}</p>", PATH.get().expect("bound by the layer")));
///     html.expect("it runs").await.expect("it does not panic")
/// }
///
/// let scopes = ScopeLayer::new()
///     .name(|request: &Request| format!("{} {}", request.method(), request.uri().path()))
///     .on_open(|request: &Request, at| drop(PATH.bind_at(at, request.uri().path().to_string())))
///     .limit(1000)
///     .until_body_end();
/// let app: Router = Router::new().route("/", get(page)).layer(scopes);
/// # use tower_service::Service;
/// # let request = Request::new(axum::body::Body::empty());
/// # let response = futures::executor::block_on(app.clone().call(request)).unwrap();
/// # let body = futures::executor::block_on(axum::body::to_bytes(response.into_body(), 100)).unwrap();
/// # assert_eq!(body, "<p>/</p>");
/// ```
pub struct ScopeLayer<
    N = PlainName,
    O = NoHook,
    L = Unlimited,
    U = UntilResponse,
    B = Below<NoChoice, CallAnyway>,
    T = NoTimeLimit,
    C = ByStatus,
> {
    pub(super) name: Arc<N>,
    pub(super) on_open: Arc<O>,
    pub(super) limit: Arc<L>,
    pub(super) until: PhantomData<fn() -> U>,
    pub(super) below: B,
    pub(super) time: T,
    pub(super) gives_up: C,
}

impl ScopeLayer {
    /// One whose scopes are named `request` and open below the current place. No limit.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: Arc::new(PlainName),
            on_open: Arc::new(NoHook),
            limit: Arc::new(Unlimited),
            until: PhantomData,
            below: Below::here(),
            time: NoTimeLimit,
            gives_up: ByStatus,
        }
    }
}

impl Default for ScopeLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<N, O, L, U, B, T, C> ScopeLayer<N, O, L, U, B, T, C> {
    /// Names each scope after its request, for the tree and for messages. Runs outside of the scope.
    #[must_use]
    pub fn name<Req, F, M>(self, name: F) -> ScopeLayer<RequestName<F>, O, L, U, B, T, C>
    where
        F: Fn(&Req) -> M,
        M: Into<Cow<'static, str>>,
    {
        let Self { on_open, limit, until, below, time, gives_up, .. } = self;
        ScopeLayer { name: Arc::new(RequestName(name)), on_open, limit, until, below, time, gives_up }
    }

    /// Runs for each request, standing in its scope, before the service is called: to bind values there, or to make
    /// pools. Runs on the runtime's thread, so it must not block.
    #[must_use]
    pub fn on_open<Req, F>(self, on_open: F) -> ScopeLayer<N, OpenHook<F>, L, U, B, T, C>
    where
        F: Fn(&Req, &Lineage),
    {
        let Self { name, limit, until, below, time, gives_up, .. } = self;
        ScopeLayer { name, on_open: Arc::new(OpenHook(on_open)), limit, until, below, time, gives_up }
    }

    /// At most `n` requests at once, over all clones of this layer: the next is answered at once, and the service is
    /// not called for it.
    ///
    /// A request counts until its scope has ended *and* no task that it asked for is left, so work that a client left
    /// behind counts too. With [`until_body_end`](Self::until_body_end) it counts until its body has ended, also one whose
    /// client reads nothing; a [`timeout`](Self::timeout) bounds that. The answer is an HTTP 503 with `Retry-After: 1` and an empty body;
    /// [`on_limit`](ScopeLayer::on_limit) makes another one, and is needed where the response is not HTTP's.
    #[must_use]
    pub fn limit(self, n: usize) -> ScopeLayer<N, O, Limited<Unavailable>, U, B, T, C> {
        let Self { name, on_open, until, below, time, gives_up, .. } = self;
        let limit = Arc::new(Limited { slots: Arc::new(Slots::new(n)), answer: Unavailable });
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }

    /// The scope stays open until the body of an HTTP response has ended, and is entered whenever the body is polled. A
    /// body that is dropped before that, because the client is gone, cancels it.
    ///
    /// A client that stays and reads nothing holds its body, and with it the scope and a place of the
    /// [`limit`](Self::limit), for as long as the server keeps the connection. So set a [`timeout`](Self::timeout), which
    /// ends the body without being polled. With one, a body whose scope is cancelled (it, or a scope above) and that is not
    /// polled for a second or two is ended too, with the error [`Cancelled`](crate::Cancelled); one that is polled goes on.
    ///
    /// A body has ended when it says so, or, for whoever drops it without asking again, when its trailers or all of its
    /// `Content-Length` were taken. The body of an answer to `HEAD`, or of one that has none (204, 304, a change of
    /// protocols, a `CONNECT` that was granted), may be dropped at any time. After an error in the body the scope
    /// is cancelled when the body is dropped.
    #[must_use]
    pub fn until_body_end(self) -> ScopeLayer<N, O, L, UntilBodyEnd, B, T, C> {
        let Self { name, on_open, limit, below, time, gives_up, .. } = self;
        ScopeLayer { name, on_open, limit, until: PhantomData, below, time, gives_up }
    }

    /// Bounds the time of each request: at the limit its scope is cancelled and the client has its answer.
    ///
    /// The time runs from the call of the service to the response, and with [`until_body_end`](Self::until_body_end)
    /// to the end of the body. At the limit the scope is cancelled at once, also where the handler blocks its thread:
    /// what it waits for in heirloom ends, and [`checkpoint`](crate::checkpoint) tells it. The response's future is
    /// then dropped, standing in the scope, whatever the handler waits for, and the answer is made. Work that does not
    /// look whether it was asked to stop goes on without its request. A response that is ready just at the limit counts
    /// as late once the scope was cancelled.
    ///
    /// The answer is an HTTP 504 with an empty body, or for a gRPC request `DEADLINE_EXCEEDED`;
    /// [`on_timeout`](ScopeLayer::on_timeout) makes another one, and is needed where the response is not HTTP's. A body
    /// that has begun ends with the error [`RequestTimedOut`](super::RequestTimedOut), and the server then cuts the
    /// connection or resets the stream; a gRPC body ends with `DEADLINE_EXCEEDED` in its trailers. With a limit a body's
    /// errors are boxed.
    ///
    /// A server does not poll a body whose client reads nothing. The body inside is dropped at the limit all the same,
    /// standing in its scope: by its poller, if that waits for a frame, and otherwise by a thread of heirloom's cache,
    /// where a drop may block (with the feature `tokio` in the context of the runtime that made the response). So a body
    /// with a limit is `Send + 'static`. A poller that waits and does not come back within a second loses its body too. The
    /// client's connection stays open, and gets the error, when it reads on. The server bounds how long that may take: the
    /// connection holds nothing any more that the request asked for, and no place of the [`limit`](Self::limit).
    ///
    /// No runtime's timer is needed: heirloom has a timer thread for all limits of the process, which ends when there
    /// are none. On an idle machine an answer comes a few milliseconds late at most; 2 ms in the median, 28 ms at most, where 10 000
    /// limits end on two busy cores. A limit costs each request about half of what its
    /// scope costs, also beside 100 000 others, and with [`until_body_end`](Self::until_body_end) about 0.1 µs more for
    /// each frame, and 1 µs for a body of several. Where the system refuses the thread, and in a fork's child, a limit is
    /// noticed only when the response is polled.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum::{Router, extract::Request, routing::get};
    /// use heirloom::tower::ScopeLayer;
    ///
    /// async fn never() -> &'static str {
    ///     std::future::pending().await
    /// }
    ///
    /// let scopes = ScopeLayer::new().timeout(Duration::from_millis(5));
    /// let app: Router = Router::new().route("/", get(never)).layer(scopes);
    /// # use tower_service::Service;
    /// # let request = Request::new(axum::body::Body::empty());
    /// # let response = futures::executor::block_on(app.clone().call(request)).unwrap();
    /// # assert_eq!(response.status(), 504);
    /// ```
    #[must_use]
    pub fn timeout(self, limit: Duration) -> ScopeLayer<N, O, L, U, B, TimeLimit<GatewayTimeout>, C> {
        let Self { name, on_open, limit: requests, until, below, gives_up, .. } = self;
        let time = TimeLimit { limit, answer: Arc::new(GatewayTimeout) };
        ScopeLayer { name, on_open, limit: requests, until, below, time, gives_up }
    }

    /// Says which responses cancel their scope instead of closing it, in the place of the default.
    ///
    /// By default those are 408, 503 and 504, and what says the same in gRPC: `CANCELLED`, `DEADLINE_EXCEEDED` and
    /// `UNAVAILABLE`, with [`until_body_end`](Self::until_body_end) in the trailers too. So a time limit *inside* this
    /// layer, which drops its handler and answers, ends what the request asked for. The layer's own answers (its
    /// [`limit`](Self::limit)'s, say) are not looked at: no scope was opened for them.
    ///
    /// The scope is cancelled when there is the response. With [`until_body_end`](Self::until_body_end) its body still
    /// stands in the scope, where nothing more is accepted. A service that fails, instead of making a response, cancels
    /// too: `tower`'s own `TimeoutLayer` fails.
    ///
    /// ```
    /// use axum::response::Response;
    /// use heirloom::tower::ScopeLayer;
    ///
    /// let scopes = ScopeLayer::new().cancel_if(|response: &Response| !response.status().is_success());
    /// # let _: axum::Router = axum::Router::new().layer(scopes);
    /// ```
    #[must_use]
    pub fn cancel_if<Res, F>(self, gives_up: F) -> ScopeLayer<N, O, L, U, B, T, ByHook<F>>
    where
        F: Fn(&Res) -> bool,
    {
        let Self { name, on_open, limit, until, below, time, .. } = self;
        ScopeLayer { name, on_open, limit, until, below, time, gives_up: ByHook(Arc::new(gives_up)) }
    }

    /// No response, and no error of the service, cancels a scope: only a client that goes away and a
    /// [`timeout`](Self::timeout) of this layer do.
    ///
    /// See [`cancel_if`](Self::cancel_if). For a service whose responses are not HTTP's one of the two is needed.
    #[must_use]
    pub fn cancel_only_on_drop(self) -> ScopeLayer<N, O, L, U, B, T, OnlyOnDrop> {
        let Self { name, on_open, limit, until, below, time, .. } = self;
        ScopeLayer { name, on_open, limit, until, below, time, gives_up: OnlyOnDrop }
    }
}

impl<N, O, L, U, F, A, T, C> ScopeLayer<N, O, L, U, Below<F, A>, T, C> {
    /// Opens the scopes below that place: a component, all requests of a server. Keep the scope itself in `main`, see
    /// [`below_with`](Self::below_with).
    ///
    /// When that place has ended, because it was closed or cancelled, a request's scope is cancelled from the start: its
    /// service is called, and what it submits is refused. With [`on_ended`](Self::on_ended) such a request is answered
    /// instead.
    #[must_use]
    pub fn below(mut self, at: &Lineage) -> Self {
        self.below.at = at.clone();
        self
    }

    /// Opens each request's scope below a place that the closure chooses, a tenant's say. `None` is the place of
    /// [`below`](Self::below).
    ///
    /// The closure runs for each request on the runtime's thread, outside of any scope of the request, so it must not
    /// block. Where the calling code stands in a scope below the chosen place, the scope opens there.
    ///
    /// A request whose place has ended is answered with an HTTP 503, as one too many is, and its service is not called;
    /// [`on_ended`](Self::on_ended) makes another answer, and is needed where the response is not HTTP's.
    ///
    /// A middleware inside the layer that has the handler stand elsewhere (`in_lineage` of the tenant) takes it out of
    /// its request: what it asks for there does not end with the client.
    ///
    /// Keep the scopes in `main`, and give the closure their lineages: axum drops the router, with all that its state and
    /// layers own, when `serve` ends, and a dropped scope cancels. What requests had asked for below it would be lost to
    /// the shutdown that comes after.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use axum::{Router, extract::Request, routing::get};
    /// use heirloom::{Scope, tower::ScopeLayer};
    ///
    /// let tenants = ["acme", "example"].map(Scope::new); // stay in `main`, until after the shutdown
    /// let places: HashMap<_, _> =
    ///     tenants.iter().filter_map(|tenant| Some((tenant.name()?.to_string(), tenant.lineage().clone()))).collect();
    /// let scopes = ScopeLayer::new().below_with(move |request: &Request| {
    ///     let name = request.headers().get("x-tenant")?.to_str().ok()?;
    ///     places.get(name).cloned()
    /// });
    /// let parent = || async { heirloom::current().parent().and_then(|at| at.name().map(String::from)).unwrap_or_default() };
    /// let app: Router = Router::new().route("/", get(parent)).layer(scopes);
    /// # use tower_service::Service;
    /// # let request = Request::builder().header("x-tenant", "acme").body(axum::body::Body::empty()).unwrap();
    /// # let response = futures::executor::block_on(app.clone().call(request)).unwrap();
    /// # let body = futures::executor::block_on(axum::body::to_bytes(response.into_body(), 100)).unwrap();
    /// # assert_eq!(body, "acme");
    /// drop(app); // as `serve` does at its end
    /// assert!(tenants.iter().all(|tenant| !tenant.is_closed()));
    /// ```
    #[must_use]
    pub fn below_with<Req, G>(self, choose: G) -> ScopeLayer<N, O, L, U, Below<Choice<G>, Unavailable>, T, C>
    where
        G: Fn(&Req) -> Option<Lineage>,
    {
        let Self { name, on_open, limit, until, below, time, gives_up } = self;
        let below = Below { at: below.at, choose: Arc::new(Choice(choose)), ended: Arc::new(Unavailable) };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }

    /// What to answer when the place of a request's scope has ended: it, or one above it, was closed or cancelled. The
    /// service is not called then.
    #[must_use]
    pub fn on_ended<Req, Res, G>(self, answer: G) -> ScopeLayer<N, O, L, U, Below<F, Answer<G>>, T, C>
    where
        G: Fn(&Req) -> Res,
    {
        let Self { name, on_open, limit, until, below, time, gives_up } = self;
        let below = Below { at: below.at, choose: below.choose, ended: Arc::new(Answer(answer)) };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }
}

impl<N, O, A, U, B, T, C> ScopeLayer<N, O, Limited<A>, U, B, T, C> {
    /// What to answer when the [`limit`](Self::limit) is reached.
    ///
    /// ```
    /// use axum::{Router, extract::Request, http::StatusCode, response::{IntoResponse, Response}, routing::get};
    /// use heirloom::tower::ScopeLayer;
    ///
    /// let busy = |_: &Request| -> Response { (StatusCode::TOO_MANY_REQUESTS, "later, please").into_response() };
    /// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(ScopeLayer::new().limit(0).on_limit(busy));
    /// # use tower_service::Service;
    /// # let request = Request::new(axum::body::Body::empty());
    /// # let response = futures::executor::block_on(app.clone().call(request)).unwrap();
    /// # assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    /// ```
    #[must_use]
    pub fn on_limit<Req, Res, F>(self, answer: F) -> ScopeLayer<N, O, Limited<Answer<F>>, U, B, T, C>
    where
        F: Fn(&Req) -> Res,
    {
        let Self { name, on_open, limit, until, below, time, gives_up } = self;
        let limit = Arc::new(Limited { slots: Arc::clone(&limit.slots), answer: Answer(answer) });
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }

    /// How much of the limit is in use, to be asked at any time; shared with the layer and its clones.
    #[must_use]
    pub fn usage(&self) -> ScopeUsage {
        ScopeUsage(Arc::clone(&self.limit.slots))
    }
}

impl<N, O, L, U, B, A, C> ScopeLayer<N, O, L, U, B, TimeLimit<A>, C> {
    /// What to answer when a request has reached its [`timeout`](Self::timeout).
    ///
    /// The service has the request by then. The closure gets the request's place instead, and stands there: it finds the
    /// scope's name and the values bound in it. The scope is cancelled, so what is submitted there is refused.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum::{Router, extract::Request, http::StatusCode, response::{IntoResponse, Response}, routing::get};
    /// use heirloom::{Lineage, tower::ScopeLayer};
    ///
    /// let late = |at: &Lineage| -> Response {
    ///     (StatusCode::GATEWAY_TIMEOUT, format!("{} took too long", at.name().unwrap_or("it"))).into_response()
    /// };
    /// let scopes = ScopeLayer::new()
    ///     .name(|request: &Request| request.uri().path().to_string())
    ///     .timeout(Duration::from_millis(5))
    ///     .on_timeout(late);
    /// let app: Router = Router::new().route("/page", get(std::future::pending::<()>)).layer(scopes);
    /// # use tower_service::Service;
    /// # let request = Request::get("/page").body(axum::body::Body::empty()).unwrap();
    /// # let response = futures::executor::block_on(app.clone().call(request)).unwrap();
    /// # let body = futures::executor::block_on(axum::body::to_bytes(response.into_body(), 100)).unwrap();
    /// # assert_eq!(body, "/page took too long");
    /// ```
    #[must_use]
    pub fn on_timeout<Res, F>(self, answer: F) -> ScopeLayer<N, O, L, U, B, TimeLimit<Answer<F>>, C>
    where
        F: Fn(&Lineage) -> Res,
    {
        let Self { name, on_open, limit, until, below, time, gives_up } = self;
        let time = TimeLimit { limit: time.limit, answer: Arc::new(Answer(answer)) };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }
}

impl<N, O, L, U, B: Clone, T: Clone, C: Clone> Clone for ScopeLayer<N, O, L, U, B, T, C> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            on_open: Arc::clone(&self.on_open),
            limit: Arc::clone(&self.limit),
            until: PhantomData,
            below: self.below.clone(),
            time: self.time.clone(),
            gives_up: self.gives_up.clone(),
        }
    }
}

impl<N, O, L, U, B: fmt::Debug, T, C> fmt::Debug for ScopeLayer<N, O, L, U, B, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeLayer").field("below", &self.below).finish_non_exhaustive()
    }
}
