//! What a user adds to the opening of a scope.

use std::borrow::Cow;

use crate::lineage::handle::Lineage;

/// Names a request's scope.
pub trait NameScope<Req> {
    fn name(&self, request: &Req) -> Cow<'static, str>;
}

/// The same name for all.
pub struct PlainName;

impl<Req> NameScope<Req> for PlainName {
    fn name(&self, _: &Req) -> Cow<'static, str> {
        Cow::Borrowed("request")
    }
}

/// After the request.
pub struct RequestName<F>(pub(super) F);

impl<Req, F, T> NameScope<Req> for RequestName<F>
where
    F: Fn(&Req) -> T,
    T: Into<Cow<'static, str>>,
{
    fn name(&self, request: &Req) -> Cow<'static, str> {
        (self.0)(request).into()
    }
}

/// Is told of each scope that opened.
pub trait OnOpen<Req> {
    fn opened(&self, request: &Req, at: &Lineage);
}

/// Nobody is.
pub struct NoHook;

impl<Req> OnOpen<Req> for NoHook {
    fn opened(&self, _: &Req, _: &Lineage) {}
}

/// A closure is.
pub struct OpenHook<F>(pub(super) F);

impl<Req, F: Fn(&Req, &Lineage)> OnOpen<Req> for OpenHook<F> {
    fn opened(&self, request: &Req, at: &Lineage) {
        at.run(|| (self.0)(request, at));
    }
}
