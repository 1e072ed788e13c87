//! [`GateGuard`]: the right of a gate's holder, until it is dropped.

use std::fmt;
use std::marker::PhantomData;

use crate::gate::Gate;
use crate::sync::os::Arc;

/// The holder's guard of a [`Gate`]. Dropping it leaves the gate.
///
/// Guards nest: when the last guard of this entry and of those made within it is dropped, in whatever order, the next
/// waiter enters. A guard that is leaked (`mem::forget`) keeps the gate held for good.
///
/// It is not `Send`: it belongs to the code of one task or thread. With the feature `tokio` each future that tokio's
/// `spawn_local` runs is code of its own. If such a future holds a gate across an `.await`, the other futures of its
/// thread are refused at once and not after a wait, because a wait would hold up the holder's thread. Futures that take
/// turns within one of these (the branches of `join!`), or that another runtime polls, are the same code and enter
/// again: do not keep a guard across an `.await` there.
#[must_use = "the gate is left as soon as this is dropped"]
#[clippy::has_significant_drop]
pub struct GateGuard<'a> {
    gate: GateRef<'a>,
    here: PhantomData<*const ()>,
}

enum GateRef<'a> {
    Borrowed(&'a Gate),
    Shared(Arc<Gate>),
}

impl<'a> GateGuard<'a> {
    pub(super) fn borrowed(gate: &'a Gate) -> Self {
        Self { gate: GateRef::Borrowed(gate), here: PhantomData }
    }

    pub(super) fn shared(gate: Arc<Gate>) -> Self {
        Self { gate: GateRef::Shared(gate), here: PhantomData }
    }

    /// Returns the gate.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        match &self.gate {
            GateRef::Borrowed(gate) => gate,
            GateRef::Shared(gate) => gate,
        }
    }
}

impl Drop for GateGuard<'_> {
    fn drop(&mut self) {
        self.gate().leave();
    }
}

impl fmt::Debug for GateGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateGuard").field("gate", &self.gate().name()).finish_non_exhaustive()
    }
}
