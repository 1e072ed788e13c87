//! [`ScopeLayer`]: the settings for the scopes of a service's requests.

mod limits;
mod parent;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::lineage::handle::Lineage;

use super::below::Below;
use super::gives_up::{ByStatus, OnlyOnDrop};
use super::hook::{Hook, Unset};
use super::until::{UntilBodyEnd, UntilResponse};

/// Gives each request a [`Scope`](crate::Scope) of its own, in which its handler stands on every poll, on any runtime.
///
/// - The handler finishes: the scope [closes](crate::Scope::close), and its tasks run to their ends.
/// - The client disconnects, which drops the response future: the scope is [cancelled](crate::Scope::cancel), and with it
///   every task submitted below it, in any pool.
/// - The request reaches its [`timeout`](Self::timeout): the scope is cancelled, and the layer answers.
/// - The response gives the request up (408, 503, 504; [`cancel_if`](Self::cancel_if)), or the service returns an error:
///   the scope is cancelled, and the response or the error passes through.
///
/// None of these blocks the runtime. The scope opens below the node that was current where the layer was made.
/// [`below`](Self::below) sets another node, [`below_with`](Self::below_with) a node for each request. Code that calls the
/// service in a scope below that node (an outer layer's) has the scope open in its own. The body that is streamed after
/// the response has begun belongs to the scope with [`until_body_end`](Self::until_body_end).
///
/// An upgraded connection (a WebSocket) outlives the response, and so does a job that is answered with a 202: the
/// guide's chapter on [work after the response](crate::guide::after_the_response) has both.
///
/// The table of the [module](crate::tower#where-to-put-the-layer) says which layers go inside and which outside.
///
/// Cloning shares the limit: a router that clones the layer for each of its routes has one limit for all.
///
/// # Cost
/// A request that is answered in one poll costs about 0.3 µs more than without the layer: an allocation, the node, and
/// entering the node for the call, for each poll and for the drop. A limit, or a bound value, adds about 0.2 µs, and
/// [`until_body_end`](Self::until_body_end) 0.1 µs. On the same machine a `tracing` span in a registry costs 0.15 µs, and
/// a cancellation flag in a task-local 0.08 µs: `cargo bench --all-features --bench lifecycle` measures them.
///
/// A cancel ends the request's queued tasks at once, in any pool, on the thread that drops the response future. It takes
/// less than a microsecond for each task, beside the drop of the task's closure.
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
///     .on_open(|request: &Request, at| drop(PATH.at(at).bind(request.uri().path().to_string())))
///     .limit(1000)
///     .until_body_end();
/// let app: Router = Router::new().route("/", get(page)).layer(scopes);
/// # use tower_service::Service;
/// # let request = Request::new(axum::body::Body::empty());
/// # let response = futures::executor::block_on(app.clone().call(request)).unwrap();
/// # let body = futures::executor::block_on(axum::body::to_bytes(response.into_body(), 100)).unwrap();
/// # assert_eq!(body, "<p>/</p>");
/// ```
#[derive(Clone)]
pub struct ScopeLayer<
    N = Unset,
    O = Unset,
    L = Unset,
    U = UntilResponse,
    B = Below<Unset, Unset>,
    T = Unset,
    C = ByStatus,
> {
    pub(super) name: N,
    pub(super) on_open: O,
    pub(super) limit: L,
    pub(super) until: PhantomData<fn() -> U>,
    pub(super) below: B,
    pub(super) time: T,
    pub(super) gives_up: C,
}

impl ScopeLayer {
    /// Returns a layer without a limit, whose scopes are named `request` and open below the current node.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: Unset,
            on_open: Unset,
            limit: Unset,
            until: PhantomData,
            below: Below::here(),
            time: Unset,
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
    /// Names each scope after its request, for the tree and for messages. The closure runs outside of the scope.
    #[must_use]
    pub fn name<Req, F, M>(self, name: F) -> ScopeLayer<Hook<F>, O, L, U, B, T, C>
    where
        F: Fn(&Req) -> M,
        M: Into<Cow<'static, str>>,
    {
        let Self { on_open, limit, until, below, time, gives_up, .. } = self;
        ScopeLayer { name: Hook::new(name), on_open, limit, until, below, time, gives_up }
    }

    /// Runs a closure in each request's scope before the service is called: to bind values there, or to make pools.
    ///
    /// The closure runs on the runtime's thread, so it must not block.
    #[must_use]
    pub fn on_open<Req, F>(self, on_open: F) -> ScopeLayer<N, Hook<F>, L, U, B, T, C>
    where
        F: Fn(&Req, &Lineage),
    {
        let Self { name, limit, until, below, time, gives_up, .. } = self;
        ScopeLayer { name, on_open: Hook::new(on_open), limit, until, below, time, gives_up }
    }

    /// Keeps the scope open until the body of an HTTP response has ended, and enters it whenever the body is polled.
    ///
    /// A body that is dropped before its end, because the client has disconnected, cancels the scope.
    ///
    /// A connected client that reads nothing holds its body, and with it the scope and a slot of the
    /// [`limit`](Self::limit), for as long as the server keeps the connection. So set a [`timeout`](Self::timeout), which
    /// ends the body also where it is not polled. With a timeout, a cancel of the scope, or of a scope above, ends a body
    /// that is not polled for a second or two, with the error [`Cancelled`](crate::Cancelled). A polled body goes on.
    ///
    /// A body has ended when its `poll_frame` returns `None` or its `is_end_stream` is true. A server that drops the body
    /// without polling again ends it when the trailers or all of the `Content-Length` were taken. The body of an answer to
    /// `HEAD`, and that of a response without one (204, 304, a change of protocols, a granted `CONNECT`), may be dropped at
    /// any time. After an error in the body the scope is cancelled when the body is dropped.
    #[must_use]
    pub fn until_body_end(self) -> ScopeLayer<N, O, L, UntilBodyEnd, B, T, C> {
        let Self { name, on_open, limit, below, time, gives_up, .. } = self;
        ScopeLayer { name, on_open, limit, until: PhantomData, below, time, gives_up }
    }

    /// Chooses the responses that cancel their scope instead of closing it.
    ///
    /// The default is 408, 503 and 504, and the same in gRPC: `CANCELLED`, `DEADLINE_EXCEEDED` and `UNAVAILABLE`, with
    /// [`until_body_end`](Self::until_body_end) in the trailers too. So a time limit *inside* this layer, which drops its
    /// handler and answers, cancels the request's tasks. The layer's own answers (that of its [`limit`](Self::limit), for
    /// example) are not looked at: no scope was opened for them.
    ///
    /// The scope is cancelled as soon as the service returns the response. With [`until_body_end`](Self::until_body_end)
    /// the body still stands in the scope, which refuses new tasks. An error of the service cancels too: `tower`'s own
    /// `TimeoutLayer` returns one.
    ///
    /// ```
    /// use axum::response::Response;
    /// use heirloom::tower::ScopeLayer;
    ///
    /// let scopes = ScopeLayer::new().cancel_if(|response: &Response| !response.status().is_success());
    /// # let _: axum::Router = axum::Router::new().layer(scopes);
    /// ```
    #[must_use]
    pub fn cancel_if<Res, F>(self, gives_up: F) -> ScopeLayer<N, O, L, U, B, T, Hook<F>>
    where
        F: Fn(&Res) -> bool,
    {
        let Self { name, on_open, limit, until, below, time, .. } = self;
        ScopeLayer { name, on_open, limit, until, below, time, gives_up: Hook::new(gives_up) }
    }

    /// Cancels a scope only when its client disconnects and at the [`timeout`](Self::timeout) of this layer.
    ///
    /// No response and no error of the service cancels. A service whose responses are not HTTP's needs this or
    /// [`cancel_if`](Self::cancel_if).
    #[must_use]
    pub fn cancel_only_on_drop(self) -> ScopeLayer<N, O, L, U, B, T, OnlyOnDrop> {
        let Self { name, on_open, limit, until, below, time, .. } = self;
        ScopeLayer { name, on_open, limit, until, below, time, gives_up: OnlyOnDrop }
    }
}

impl<N, O, L, U, F, A, T, C> fmt::Debug for ScopeLayer<N, O, L, U, Below<F, A>, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeLayer").field("below", &self.below.at).finish_non_exhaustive()
    }
}
