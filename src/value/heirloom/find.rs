//! The look-up of a [`Heirloom`]: which node's value a key's policy selects.

use std::convert::Infallible;

use crate::error::value::{InitError, NotBound};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::lookup::{self, InVain};
use crate::lineage::node::NodeRef;
use crate::lineage::slots::Shown;
use crate::sync::os::Arc;
use crate::value::Values;
use crate::value::binding::BoundValue;
#[cfg(feature = "remote")]
use crate::value::bindings::Bindings;
use crate::value::heirloom::{Core, Heirloom, Policy};
use crate::value::init_call::InitCall;
use crate::value::site::Site;
#[cfg(feature = "remote")]
use crate::value::travel;

/// Returns the binding that was found under the number of a `Heirloom<T>`.
#[inline]
fn binding<T: Send + Sync + 'static>(shown: Shown<'_>) -> &BoundValue<(), T> {
    // SAFETY: the value is a `BoundValue<(), T>`. It was found among a node's values under the number of a
    // `Heirloom<T>`, which is that of its `Bindings<(), T>`: `Bindings::new` takes each number once from `next_number`.
    // Only `BindingSlot::put` adds to a node's values, under the number of the slot's bindings. Bindings that are not
    // `mapped`, as these, get `BoundValue<(), T>`s there: `BindingSlot::store` puts them, and `fail`, the other caller
    // that adds, refuses such bindings. `Heirloom<T>` is invariant in `T`, so the reader's `T` is the binder's. The
    // reference lives no longer than the loan.
    unsafe { &*shown.as_ptr::<BoundValue<(), T>>() }
}

fn counted<T: Send + Sync + 'static>(shown: Shown<'_>) -> Arc<T> {
    Arc::clone(binding(shown).value())
}

impl<T: Send + Sync + 'static> Heirloom<T> {
    /// Lends the value that the policy selects to `f`.
    #[inline]
    pub(super) fn find<R>(&self, site: Site<'_>, f: impl FnOnce(&Arc<T>) -> R) -> Result<R, NotBound> {
        match self.policy {
            Policy::Fresh(make) => self.find_fresh(Site::of(site.at), make).map(|value| f(&value)),
            _ => self.find_binding(site, |binding| f(binding.value())),
        }
    }

    /// Lends the nearest binding to `f`; of an isolated key only the binding of the very node.
    #[inline]
    fn find_binding<R>(&self, site: Site<'_>, f: impl FnOnce(&BoundValue<(), T>) -> R) -> Result<R, NotBound> {
        let lend = |shown: Shown<'_>| f(binding(shown));
        // A site of its own for each error: the one of the caller stays in registers then.
        let at = site.at;
        let Some(core) = self.core.get() else { return Err(Site::of(at).not_bound(self.name, None)) };
        if matches!(self.policy, Policy::Isolated) {
            let Some(node) = Site::of(at).exactly() else { return Err(self.no_node()) };
            let found = lookup::lend_own::<Values, R>(node.node(), &core.number, lend);
            return found.ok_or_else(|| Site::at(&Lineage(node)).not_bound(self.name, None).isolated());
        }
        let sought = core.number.sought();
        let found = match at {
            None => lookup::lend_here::<Values, R>(sought, InVain::Fails, lend),
            Some(at) => lookup::lend::<Values, R>(at.0.node(), sought, InVain::Fails, lend),
        };
        found.ok_or_else(|| Site::of(at).not_bound(self.name, None))
    }

    /// The error of an isolated key's look-up where the code is no node yet, or has none of its own.
    #[cold]
    fn no_node(&self) -> NotBound {
        // A task that is no node yet becomes one, so that the error can name the node that has no value.
        let here = current::own_here();
        let cause = here.is_none().then_some(InitError::NoPlace { key: self.name });
        Site::at(&Lineage(here.unwrap_or(NodeRef::PROCESS))).not_bound(self.name, cause).isolated()
    }

    pub(super) fn find_place(&self, site: Site<'_>) -> Result<Lineage, NotBound> {
        let node = self.find_binding(site, |binding| binding.at.upgrade())?;
        // It lives: the node that is asked keeps every node above it.
        node.map(Lineage).ok_or_else(|| site.not_bound(self.name, None))
    }

    pub(crate) fn find_here(&self) -> Result<Arc<T>, NotBound> {
        self.find(Site::HERE, Arc::clone)
    }

    /// As [`get`](Self::get), without the cost of an error where no value is bound.
    pub(crate) fn get_if_bound(&self) -> Result<Option<Arc<T>>, NotBound> {
        let Some(core) = self.core.get() else { return Ok(None) };
        if matches!(self.policy, Policy::Inherited) {
            return Ok(lookup::lend_here::<Values, _>(core.number.sought(), InVain::Adds, counted));
        }
        match self.find_here() {
            Err(missing) if missing.init_error().is_none() => Ok(None),
            found => found.map(Some),
        }
    }

    /// Lists a key whose values travel.
    #[cfg(feature = "remote")]
    pub(super) fn list_travelling(&self, bindings: &Arc<Bindings<(), T>>) {
        let (Some(encode), Policy::Inherited | Policy::Fresh(_)) = (self.travels, &self.policy) else { return };
        let number = bindings.number.clone();
        let find = move |at: &Lineage| {
            let found = lookup::lend::<Values, _>(at.0.node(), number.sought(), InVain::Adds, counted::<T>);
            found.map(|value| encode(&value))
        };
        let key: Arc<dyn std::any::Any + Send + Sync> = Arc::clone(bindings) as _;
        travel::list(self.name, Arc::downgrade(&key), find);
    }

    fn find_fresh(&self, site: Site<'_>, make: fn(&T) -> T) -> Result<Arc<T>, NotBound> {
        let Some(core) = self.core.get() else { return Err(site.not_bound(self.name, None)) };
        let Some(node) = site.own() else {
            let is_bound = lookup::lend_here::<Values, _>(core.number.sought(), InVain::Fails, |_| ()).is_some();
            return Err(site.not_bound(self.name, is_bound.then_some(InitError::NoPlace { key: self.name })));
        };
        self.fresh_at(core, &node, make).map_err(|cause| Site::at(&Lineage(node)).not_bound(self.name, cause))
    }

    /// Returns the node's own value, made of the nearest above if it has none. `Err(None)`: none is bound above.
    fn fresh_at(&self, core: &Core<T>, node: &NodeRef, make: fn(&T) -> T) -> Result<Arc<T>, Option<InitError>> {
        loop {
            if let Some(own) = lookup::lend_own::<Values, _>(node.node(), &core.number, counted::<T>) {
                return Ok(own);
            }
            let above = lookup::lend::<Values, _>(node.node(), core.number.sought(), InVain::Adds, counted::<T>);
            let above = above.ok_or(None)?;
            let call = InitCall { slot: self.slot(node.clone()), deadline: None, sticky: false, derived: true };
            match call.value(|| Ok::<_, Infallible>(make(&above))) {
                // Another thread's call panicked; here its own panic goes on.
                Err(InitError::Panicked { .. }) => {}
                made => return made.map_err(Some),
            }
        }
    }
}
