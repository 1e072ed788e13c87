//! Settings of [`ScopeLayer`] for the node below which its scopes open.

use crate::lineage::handle::Lineage;

use super::ScopeLayer;
use crate::integration::tower::answer::Unavailable;
use crate::integration::tower::below::Below;
use crate::integration::tower::hook::Hook;

impl<N, O, L, U, F, A, T, C> ScopeLayer<N, O, L, U, Below<F, A>, T, C> {
    /// Opens the scopes below that node: a component, or all requests of a server.
    ///
    /// Keep the node's scope in `main`, see [`below_with`](Self::below_with). Once the node has ended, because it was closed
    /// or cancelled, a request's scope is cancelled from the start: its service is called, and its submits are refused.
    /// With [`on_ended`](Self::on_ended) the layer answers such a request instead.
    #[must_use]
    pub fn below(mut self, at: &Lineage) -> Self {
        self.below.at = at.clone();
        self
    }

    /// Opens each request's scope below a node that the closure chooses, for example a tenant's.
    ///
    /// `None` is the node of [`below`](Self::below). The closure runs for each request on the runtime's thread, outside of
    /// any scope of the request, so it must not block. Code that calls the service in a scope below the chosen node has the
    /// scope open in its own.
    ///
    /// Where the chosen node has ended, the layer answers with an HTTP 503, as above the limit, and the service is not
    /// called. [`on_ended`](Self::on_ended) makes another answer, and is needed where the response is not HTTP's.
    ///
    /// A middleware inside the layer that has the handler stand elsewhere (`in_lineage` of the tenant) takes the handler out
    /// of its request: the handler's tasks are not cancelled when the client disconnects.
    ///
    /// Keep the scopes in `main`, and give the closure their lineages: axum drops the router, with its state and its layers,
    /// when `serve` ends, and a dropped scope cancels. The shutdown that follows could not wait for the requests' tasks any
    /// more.
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
    pub fn below_with<Req, G>(self, choose: G) -> ScopeLayer<N, O, L, U, Below<Hook<G>, Unavailable>, T, C>
    where
        G: Fn(&Req) -> Option<Lineage>,
    {
        let Self { name, on_open, limit, until, below, time, gives_up } = self;
        let below = Below { at: below.at, choose: Hook::new(choose), ended: Unavailable };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }

    /// Answers a request whose chosen node has ended: it, or a scope above it, was closed or cancelled.
    ///
    /// The service is not called then.
    #[must_use]
    pub fn on_ended<Req, Res, G>(self, answer: G) -> ScopeLayer<N, O, L, U, Below<F, Hook<G>>, T, C>
    where
        G: Fn(&Req) -> Res,
    {
        let Self { name, on_open, limit, until, below, time, gives_up } = self;
        let below = Below { at: below.at, choose: below.choose, ended: Hook::new(answer) };
        ScopeLayer { name, on_open, limit, until, below, time, gives_up }
    }
}
