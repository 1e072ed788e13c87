//! [`Open`]: a request's scope while the request is under way.

use crate::registry::scope::Scope;
use crate::sync::os::Arc;

use super::limit::Slot;

/// A request's open scope. Dropping it cancels the scope.
pub struct Open<K> {
    pub(super) scope: Scope,
    pub(super) slot: Option<Arc<Slot>>,
    pub(super) clock: K,
}

impl<K> Open<K> {
    /// Closes the scope: its tasks run to their ends.
    pub(super) fn finish(self) {
        let (held, clock) = self.split();
        // First: from here on the limit cancels nothing. The clock also holds the scope's node, and a scope that is its
        // node's last holder ends at less cost.
        drop(clock);
        held.finish();
    }

    pub(super) fn split(self) -> (Held, K) {
        let Self { scope, slot, clock } = self;
        (Held { scope, slot }, clock)
    }
}

/// An open scope without its clock. Dropping it cancels the scope.
pub struct Held {
    pub(super) scope: Scope,
    slot: Option<Arc<Slot>>,
}

impl Held {
    /// Closes the scope: its tasks run to their ends.
    pub(super) fn finish(self) {
        let Self { scope, slot } = self;
        scope.finish();
        drop(slot);
    }
}
