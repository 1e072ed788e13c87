//! [`ScopeLayer`]: a scope for each request of a `tower` service.
//!
//! # Invariants
//! 1. The service that was polled ready is the one that is called: the call goes to it directly, and a clone made
//!    before has its own.
//! 2. From the call to the end of the response (or of its body) exactly one owner has the scope: the response future,
//!    then the body. An owner that is dropped before that end cancels the scope, and drops what is inside after that.
//! 3. A place of a limit is given back when nothing that its request asked for is left, so clients that come and go
//!    cannot pile up work: it is a value bound at the scope, and a scope drops its values then.

mod body;
mod future;
mod hooks;
mod limit;
mod service;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use tower_layer::Layer;

use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::sync::os::Arc;

pub use self::body::ScopedBody;
use self::body::{UntilBodyEnd, UntilResponse};
pub use self::future::ScopeFuture;
use self::hooks::{NoHook, OpenHook, PlainName, RequestName};
pub use self::limit::ScopeUsage;
use self::limit::{Answer, Limited, Slots, Unavailable, Unlimited};
pub use self::service::ScopeService;

/// Gives each request a [`Scope`](crate::Scope) of its own, in which its handler stands on every poll, on any runtime.
///
/// - The handler finishes: the scope [closes](crate::Scope::close), and what it was asked for goes on to its end. An
///   error of the service is an end too, and passes through.
/// - The client goes away, which drops the response future: the scope is [cancelled](crate::Scope::cancel), and with it
///   everything asked for below it, in any pool.
///
/// Neither blocks the runtime. The scope opens below the place where the layer was made ([`below`](Self::below) names
/// another one); where the calling code stands in a scope below that (an outer layer's), it opens there. What is
/// streamed after the response has begun belongs to the scope with [`until_body_end`](Self::until_body_end).
///
/// A connection that is upgraded (a WebSocket) outlives the response. Give what serves it a scope with
/// [`in_scope`](crate::FutureExt::in_scope).
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
/// Giving a request up ends what is queued in its own pools there and then, at about 0.1 µs for each task, beside what
/// the tasks' own drops take. In other pools such tasks end when their turn comes.
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
pub struct ScopeLayer<N = PlainName, O = NoHook, L = Unlimited, U = UntilResponse> {
    at: Lineage,
    name: Arc<N>,
    on_open: Arc<O>,
    limit: Arc<L>,
    until: PhantomData<fn() -> U>,
}

impl ScopeLayer {
    /// One whose scopes are named `request` and open below the current place. No limit.
    #[must_use]
    pub fn new() -> Self {
        Self {
            at: Lineage(current::here()),
            name: Arc::new(PlainName),
            on_open: Arc::new(NoHook),
            limit: Arc::new(Unlimited),
            until: PhantomData,
        }
    }
}

impl Default for ScopeLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<N, O, L, U> ScopeLayer<N, O, L, U> {
    /// Opens the scopes below that place: a component, a tenant.
    #[must_use]
    pub fn below(mut self, at: &Lineage) -> Self {
        self.at = at.clone();
        self
    }

    /// Names each scope after its request, for the tree and for messages. Runs outside of the scope.
    #[must_use]
    pub fn name<Req, F, T>(self, name: F) -> ScopeLayer<RequestName<F>, O, L, U>
    where
        F: Fn(&Req) -> T,
        T: Into<Cow<'static, str>>,
    {
        let Self { at, on_open, limit, until, .. } = self;
        ScopeLayer { at, name: Arc::new(RequestName(name)), on_open, limit, until }
    }

    /// Runs for each request, standing in its scope, before the service is called: to bind values there, or to make
    /// pools. Runs on the runtime's thread, so it must not block.
    #[must_use]
    pub fn on_open<Req, F>(self, on_open: F) -> ScopeLayer<N, OpenHook<F>, L, U>
    where
        F: Fn(&Req, &Lineage),
    {
        let Self { at, name, limit, until, .. } = self;
        ScopeLayer { at, name, on_open: Arc::new(OpenHook(on_open)), limit, until }
    }

    /// At most `n` requests at once, over all clones of this layer: the next is answered at once, and the service is
    /// not called for it.
    ///
    /// A request counts until its scope has ended *and* no task that it asked for is left, so work that a client left
    /// behind counts too. The answer is an HTTP 503 with `Retry-After: 1` and an empty body;
    /// [`on_limit`](ScopeLayer::on_limit) makes another one, and is needed where the response is not HTTP's.
    #[must_use]
    pub fn limit(self, n: usize) -> ScopeLayer<N, O, Limited<Unavailable>, U> {
        let Self { at, name, on_open, until, .. } = self;
        let limit = Arc::new(Limited { slots: Arc::new(Slots::new(n)), answer: Unavailable });
        ScopeLayer { at, name, on_open, limit, until }
    }

    /// The scope stays open until the body of an HTTP response has ended, and is entered whenever the body is polled. A
    /// body that is dropped before that, because the client is gone, cancels it.
    ///
    /// A body has ended when it says so, or, for whoever drops it without asking again, when its trailers or all of its
    /// `Content-Length` were taken. The body of an answer to `HEAD`, or of one that has none (204, 304, a change of
    /// protocols, a `CONNECT` that was granted), may be dropped at any time. After an error in the body the scope
    /// is cancelled when the body is dropped.
    #[must_use]
    pub fn until_body_end(self) -> ScopeLayer<N, O, L, UntilBodyEnd> {
        let Self { at, name, on_open, limit, .. } = self;
        ScopeLayer { at, name, on_open, limit, until: PhantomData }
    }
}

impl<N, O, A, U> ScopeLayer<N, O, Limited<A>, U> {
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
    pub fn on_limit<Req, Res, F>(self, answer: F) -> ScopeLayer<N, O, Limited<Answer<F>>, U>
    where
        F: Fn(&Req) -> Res,
    {
        let Self { at, name, on_open, limit, until } = self;
        let limit = Arc::new(Limited { slots: Arc::clone(&limit.slots), answer: Answer(answer) });
        ScopeLayer { at, name, on_open, limit, until }
    }

    /// How much of the limit is in use, to be asked at any time; shared with the layer and its clones.
    #[must_use]
    pub fn usage(&self) -> ScopeUsage {
        ScopeUsage(Arc::clone(&self.limit.slots))
    }
}

impl<S, N, O, L, U> Layer<S> for ScopeLayer<N, O, L, U> {
    type Service = ScopeService<S, N, O, L, U>;

    fn layer(&self, inner: S) -> Self::Service {
        ScopeService { inner, layer: Arc::new(self.clone()) }
    }
}

impl<N, O, L, U> Clone for ScopeLayer<N, O, L, U> {
    fn clone(&self) -> Self {
        Self {
            at: self.at.clone(),
            name: Arc::clone(&self.name),
            on_open: Arc::clone(&self.on_open),
            limit: Arc::clone(&self.limit),
            until: PhantomData,
        }
    }
}

impl<N, O, L, U> fmt::Debug for ScopeLayer<N, O, L, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeLayer").field("at", &self.at).finish_non_exhaustive()
    }
}
