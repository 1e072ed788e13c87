//! [`ScopeService`]: opens the scopes.

use std::fmt;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::registry::scope::Scope;
use crate::sync::os::Arc;

use super::ScopeLayer;
use super::body::{Reads, Until};
use super::future::{Open, ScopeFuture};
use super::hooks::{NameScope, OnOpen};
use super::limit::Admit;

/// A service whose requests have scopes of their own; made by [`ScopeLayer`]. Cloning it clones the service inside.
pub struct ScopeService<S, N, O, L, U> {
    pub(super) inner: S,
    pub(super) layer: Arc<ScopeLayer<N, O, L, U>>,
}

impl<S, N, O, L, U> ScopeService<S, N, O, L, U> {
    /// The service inside.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn parent(&self) -> Lineage {
        let (here, at) = (current::nearest(), &self.layer.at);
        // A runtime's thread may have become a node; a request belongs to the server all the same.
        match here.innermost_scope() {
            Some(scope) if scope.node().is_at_or_below(at.0.node()) => Lineage(here),
            _ => at.clone(),
        }
    }
}

impl<S, Req, N, O, L, U> Service<Req> for ScopeService<S, N, O, L, U>
where
    S: Service<Req>,
    N: NameScope<Req>,
    O: OnOpen<Req>,
    L: Admit<Req, S::Response>,
    U: Until<S::Response> + Reads<Req>,
{
    type Response = U::Response;
    type Error = S::Error;
    type Future = ScopeFuture<S::Future, S::Response, U>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let slot = match self.layer.limit.admit(&request) {
            Ok(slot) => slot,
            // The inner service stays ready: it keeps what it has reserved for its next call.
            Err(answer) => return ScopeFuture::answered(answer),
        };
        let scope = Scope::new_in(&self.parent(), self.layer.name.name(&request));
        if let Some(slot) = &slot {
            slot.keep(&scope);
        }
        self.layer.on_open.opened(&request, &scope);
        let wants = U::wants(&request);
        // Many services do a part of their work here. A panic drops the scope, which cancels it.
        let future = scope.lineage().run(|| self.inner.call(request));
        ScopeFuture::new(future, Open { scope, slot }, wants)
    }
}

impl<S: Clone, N, O, L, U> Clone for ScopeService<S, N, O, L, U> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: Arc::clone(&self.layer) }
    }
}

impl<S: fmt::Debug, N, O, L, U> fmt::Debug for ScopeService<S, N, O, L, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeService").field("inner", &self.inner).field("layer", &self.layer).finish()
    }
}
