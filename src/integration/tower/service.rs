//! [`ScopeService`]: opens a scope for each request.

use std::fmt;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::registry::scope::Scope;
use crate::sync::os::Arc;

use super::below::OpensBelow;
use super::clock::{Late, Limits};
use super::future::ScopeFuture;
use super::gives_up::GivesUp;
use super::hook::{NameScope, OnOpen};
use super::layer::ScopeLayer;
use super::limit::Admit;
use super::open::Open;
use super::until::{Reads, Until};

/// A service whose requests have scopes of their own; made by [`ScopeLayer`]. Cloning it clones the service inside.
pub struct ScopeService<S, N, O, L, U, B, T, C> {
    pub(super) inner: S,
    pub(super) layer: Arc<ScopeLayer<N, O, L, U, B, T, C>>,
}

impl<S, N, O, L, U, B, T, C> Layer<S> for ScopeLayer<N, O, L, U, B, T, C>
where
    Self: Clone,
{
    type Service = ScopeService<S, N, O, L, U, B, T, C>;

    fn layer(&self, inner: S) -> Self::Service {
        ScopeService { inner, layer: Arc::new(self.clone()) }
    }
}

impl<S, N, O, L, U, B, T, C> ScopeService<S, N, O, L, U, B, T, C> {
    /// Returns the service inside.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Req, N, O, L, U, B, T, C> Service<Req> for ScopeService<S, N, O, L, U, B, T, C>
where
    S: Service<Req>,
    N: NameScope<Req>,
    O: OnOpen<Req>,
    L: Admit<Req, S::Response>,
    U: Until<S::Response, T::Clock> + Reads<Req>,
    B: OpensBelow<Req, S::Response>,
    T: Limits<Req>,
    T::Clock: Late<S::Response>,
    C: GivesUp<S::Response>,
{
    type Response = U::Response;
    type Error = S::Error;
    type Future = ScopeFuture<S::Future, S::Response, U, T::Clock, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let layer = &self.layer;
        let gives_up = layer.gives_up.clone();
        let admitted = layer.limit.admit(&request).and_then(|slot| Ok((slot, layer.below.parent(&request)?)));
        let (slot, parent) = match admitted {
            Ok(admitted) => admitted,
            // The inner service stays ready, and its reservation serves the next call.
            Err(answer) => return ScopeFuture::answered(answer, gives_up),
        };
        let scope = Scope::new_in(&parent, layer.name.name(&request));
        let clock = layer.time.start(&request, &scope);
        if let Some(slot) = &slot {
            slot.keep(&scope);
        }
        layer.on_open.opened(&request, &scope);
        let wants = U::wants(&request);
        // Many services do a part of their work in `call`. A panic drops the scope, which cancels it.
        let future = scope.lineage().run(|| self.inner.call(request));
        ScopeFuture::new(future, Open { scope, slot, clock }, wants, gives_up)
    }
}

impl<S: Clone, N, O, L, U, B, T, C> Clone for ScopeService<S, N, O, L, U, B, T, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: Arc::clone(&self.layer) }
    }
}

impl<S: fmt::Debug, N, O, L, U, B, T, C> fmt::Debug for ScopeService<S, N, O, L, U, B, T, C>
where
    ScopeLayer<N, O, L, U, B, T, C>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeService").field("inner", &self.inner).field("layer", &self.layer).finish()
    }
}
