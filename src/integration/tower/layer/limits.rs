//! Settings of [`ScopeLayer`] that bound its requests: their number and their time.

use std::time::Duration;

use crate::lineage::handle::Lineage;
use crate::sync::os::Arc;

use super::ScopeLayer;
use crate::integration::tower::answer::Unavailable;
use crate::integration::tower::deadline::Moment;
use crate::integration::tower::hook::{Hook, Unset};
use crate::integration::tower::limit::{Limited, ScopeUsage, Slots};
use crate::integration::tower::time::TimeLimit;

impl<N, O, L, U, B, T, C> ScopeLayer<N, O, L, U, B, T, C> {
    /// Allows at most `n` requests at once, over all clones of this layer. The layer answers the next one at once.
    ///
    /// A request counts until its scope has ended *and* no task that it submitted is left, so the tasks of a client that
    /// has disconnected count too. With [`until_body_end`](Self::until_body_end) it counts until its body has ended, also
    /// where the client reads nothing; a [`timeout`](Self::timeout) bounds that. The answer is an HTTP 503 with
    /// `Retry-After: 1` and an empty body. [`on_limit`](ScopeLayer::on_limit) makes another answer, and is needed where the
    /// response is not HTTP's.
    #[must_use]
    pub fn limit(self, n: usize) -> ScopeLayer<N, O, Limited<Unavailable>, U, B, T, C> {
        let Self { name, on_open, until, below, time, gives_up, .. } = self;
        let limit = Limited { slots: Arc::new(Slots::new(n)), answer: Unavailable };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }
}

impl<N, O, A, U, B, T, C> ScopeLayer<N, O, Limited<A>, U, B, T, C> {
    /// Answers a request above the [`limit`](Self::limit).
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
    pub fn on_limit<Req, Res, F>(self, answer: F) -> ScopeLayer<N, O, Limited<Hook<F>>, U, B, T, C>
    where
        F: Fn(&Req) -> Res,
    {
        let Self { name, on_open, limit, until, below, time, gives_up } = self;
        let limit = Limited { slots: limit.slots, answer: Hook::new(answer) };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }

    /// Returns the use of the limit, to be read at any time. The layer and its clones share it.
    #[must_use]
    pub fn usage(&self) -> ScopeUsage {
        ScopeUsage(Arc::clone(&self.limit.slots))
    }
}

impl<N, O, L, U, B, C> ScopeLayer<N, O, L, U, B, Unset, C> {
    /// Bounds the time of each request: at the limit the layer cancels the scope and answers.
    ///
    /// The time runs from the call of the service to the response, and with [`until_body_end`](Self::until_body_end)
    /// to the end of the body. At the limit the scope is cancelled at once, also where the handler blocks its thread: the
    /// cancel interrupts the handler's waits in heirloom, and its [`checkpoint`](crate::checkpoint) returns an error. The
    /// response's future is then dropped, standing in the scope, and the layer makes the answer. Running tasks that reach
    /// no checkpoint go on without their request. A response that is ready just at the limit counts as late once the scope
    /// was cancelled.
    ///
    /// The answer is an HTTP 504 with an empty body, or for a gRPC request `DEADLINE_EXCEEDED`.
    /// [`on_timeout`](ScopeLayer::on_timeout) makes another answer, and is needed where the response is not HTTP's. A body
    /// that has begun ends with the error [`RequestTimedOut`](crate::tower::RequestTimedOut), and the server then cuts the
    /// connection or resets the stream; a gRPC body ends with `DEADLINE_EXCEEDED` in its trailers. With a limit a body's
    /// errors are boxed.
    ///
    /// A server does not poll a body whose client reads nothing. The body inside is dropped at the limit all the same,
    /// standing in its scope. A poller that waits for a frame drops it. Otherwise a thread of heirloom's cache does, where a
    /// drop may block (with the feature `tokio` in the context of the runtime that made the response). So a body with a
    /// limit is `Send + 'static`. A poller that waits and does not come back within a second loses its body too. The
    /// client's connection stays open, and gets the error when the client reads on. The server bounds that time: the
    /// connection no longer holds a value of the request, or a slot of the [`limit`](Self::limit).
    ///
    /// No runtime's timer is needed: heirloom has a timer thread for all limits of the process, which ends when there
    /// are none. On an idle machine an answer comes a few milliseconds late at most; where 10 000 limits end on two busy
    /// cores it is 2 ms late in the median and 28 ms at most. A limit costs each request about half as much as its scope,
    /// also beside 100 000 others, and with [`until_body_end`](Self::until_body_end) about 0.1 µs more for each frame, and
    /// 1 µs for a body of several frames. Where the system refuses the thread, and in a fork's child, a limit is noticed
    /// only when the response is polled.
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
    pub fn timeout(self, limit: Duration) -> ScopeLayer<N, O, L, U, B, TimeLimit<Unset>, C> {
        let Self { name, on_open, limit: requests, until, below, gives_up, .. } = self;
        let time = TimeLimit { limit: Some(limit), from: Unset, answer: Unset };
        ScopeLayer { name, on_open, limit: requests, until, below, time, gives_up }
    }

    /// Takes each request's deadline from the request, such as from a header; see [`timeout`](Self::timeout).
    ///
    /// The closure returns the moment, or the time that is left as a `Duration`; `None` is no deadline. Ready-made ones are
    /// [`grpc_timeout`](crate::tower::grpc_timeout), [`timeout_millis`](crate::tower::timeout_millis) and
    /// [`timeout_seconds`](crate::tower::timeout_seconds). Where the layer has a [`timeout`](Self::timeout) too, the earlier of
    /// both holds, so that a client cannot ask for more. The request's code finds what is left in
    /// [`heirloom::remaining`](crate::remaining), and [`set_grpc_timeout`](crate::tower::set_grpc_timeout) passes it on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum::{Router, extract::Request, routing::get};
    /// use heirloom::tower::{ScopeLayer, grpc_timeout};
    ///
    /// let scopes = ScopeLayer::new().timeout(Duration::from_secs(60)).deadline_from(grpc_timeout);
    /// let app: Router = Router::new().route("/", get(std::future::pending::<()>)).layer(scopes);
    /// # use tower_service::Service;
    /// let request = Request::get("/").header("grpc-timeout", "5m").body(axum::body::Body::empty())?; // 5 ms
    /// # let response = futures::executor::block_on(app.clone().call(request))?;
    /// # assert_eq!(response.status(), 504);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deadline_from<Req, F, M>(self, from: F) -> ScopeLayer<N, O, L, U, B, TimeLimit<Unset, Hook<F>>, C>
    where
        F: Fn(&Req) -> Option<M>,
        M: Moment,
    {
        let Self { name, on_open, limit, until, below, gives_up, .. } = self;
        let time = TimeLimit { limit: None, from: Hook::new(from), answer: Unset };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }
}

impl<N, O, L, U, B, A, D, C> ScopeLayer<N, O, L, U, B, TimeLimit<A, D>, C> {
    /// Bounds the time of each request too; the earlier of it and the deadline of
    /// [`deadline_from`](Self::deadline_from) holds.
    ///
    /// See the method of the same name of a layer without a deadline. A later call replaces the limit.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.time.limit = Some(limit);
        self
    }

    /// Takes each request's deadline from the request too; the earlier of it and the [`timeout`](Self::timeout) holds.
    ///
    /// See the method of the same name of a layer without a timeout.
    #[must_use]
    pub fn deadline_from<Req, F, M>(self, from: F) -> ScopeLayer<N, O, L, U, B, TimeLimit<A, Hook<F>>, C>
    where
        F: Fn(&Req) -> Option<M>,
        M: Moment,
    {
        let Self { name, on_open, limit, until, below, time, gives_up } = self;
        let time = TimeLimit { limit: time.limit, from: Hook::new(from), answer: time.answer };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }

    /// Answers a request that has reached its [`timeout`](Self::timeout).
    ///
    /// The service has the request by then. The closure gets the request's node instead, and stands there: it finds the
    /// scope's name and the values bound in it. The scope is cancelled, so it refuses new tasks.
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
    pub fn on_timeout<Res, F>(self, answer: F) -> ScopeLayer<N, O, L, U, B, TimeLimit<Hook<F>, D>, C>
    where
        F: Fn(&Lineage) -> Res,
    {
        let Self { name, on_open, limit, until, below, time, gives_up } = self;
        let time = TimeLimit { limit: time.limit, from: time.from, answer: Hook::new(answer) };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }
}
