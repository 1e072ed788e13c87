//! [`Hook`]: a closure that the user set on a layer; [`Unset`] stands in its place.

use std::borrow::Cow;

use crate::lineage::handle::Lineage;
use crate::sync::os::Arc;

/// A setting that the user left alone.
#[derive(Clone)]
pub struct Unset;

/// The user's closure, shared by the clones of a layer.
pub struct Hook<F>(pub(super) Arc<F>);

impl<F> Hook<F> {
    pub(super) fn new(f: F) -> Self {
        Self(Arc::new(f))
    }
}

impl<F> Clone for Hook<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Names a request's scope. Without a closure each is named `request`.
pub trait NameScope<Req> {
    fn name(&self, request: &Req) -> Cow<'static, str>;
}

impl<Req> NameScope<Req> for Unset {
    fn name(&self, _: &Req) -> Cow<'static, str> {
        Cow::Borrowed("request")
    }
}

impl<Req, F: Fn(&Req) -> T, T: Into<Cow<'static, str>>> NameScope<Req> for Hook<F> {
    fn name(&self, request: &Req) -> Cow<'static, str> {
        (self.0)(request).into()
    }
}

/// Runs in each scope that has opened.
pub trait OnOpen<Req> {
    fn opened(&self, request: &Req, at: &Lineage);
}

impl<Req> OnOpen<Req> for Unset {
    fn opened(&self, _: &Req, _: &Lineage) {}
}

impl<Req, F: Fn(&Req, &Lineage)> OnOpen<Req> for Hook<F> {
    fn opened(&self, request: &Req, at: &Lineage) {
        at.run(|| (self.0)(request, at));
    }
}
