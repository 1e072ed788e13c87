//! Counting a task out of the trackers that waiters watch.

use crate::lineage::node::{NodeRef, ScopeTrackers};
use crate::pool::context::enter;
use crate::pool::core::pool::{Pool, leave_tracker};
use crate::pool::core::task_meta::Counted;
use crate::sync::os::Arc;

/// Counts a task out of its scopes, and drops its references to nodes. Wakers and a node's end are user code, so
/// `foreign` runs them as a part of the scopes that still count the task, which it gets as an argument. So code at a
/// scope's end never waits for the scopes above, which wait for that scope.
pub(crate) fn leave(pool: &Pool, counted: Counted, foreign: &mut dyn FnMut(Counted, &mut dyn FnMut())) {
    let Counted { place, owner, scoped } = counted;
    if let Some(scoped) = scoped {
        foreign(Counted::default(), &mut || leave_tracker(&scoped));
    }
    // A scope's end drops the values bound there, which is user code too.
    let is_quiet = |scope: &ScopeTrackers| !scope.of(pool.joins()).is_observed() && !scope.is_closed();
    if owner.is_counted() {
        for (node, scope) in owner.node().scopes_beside(place.node()) {
            // The scopes above are left next, after this scope's waiters are notified.
            let above = Counted { place: place.clone(), owner: node.parent_ref().unwrap_or_default(), scoped: None };
            foreign(above, &mut || pool.leave_scope(node, scope));
        }
        let_go(owner, foreign);
    }
    if place.is_counted() {
        for (node, scope) in place.node().scope_nodes() {
            if is_quiet(scope) {
                pool.leave_scope(node, scope);
            } else {
                let above = Counted { place: node.parent_ref().unwrap_or_default(), ..Counted::default() };
                foreign(above, &mut || pool.leave_scope(node, scope));
            }
        }
        let_go(place, foreign);
    }
}

/// Drops a reference to a node whose scopes have counted the task out.
#[inline]
fn let_go(place: NodeRef, foreign: &mut dyn FnMut(Counted, &mut dyn FnMut())) {
    if let Some(node) = place.into_last() {
        let mut node = Some(node);
        foreign(Counted::default(), &mut || drop(node.take()));
    }
}

/// The last steps of a task whose thread does not go on with its pool.
pub(crate) fn after_last(pool: &Arc<Pool>, counted: Counted, ended: u64) {
    leave(pool, counted, &mut |_, foreign| foreign());
    pool.leave_many(ended);
}

/// The last steps of a task that never ran.
pub(crate) fn unrun(pool: &Arc<Pool>, counted: Counted) {
    leave(pool, counted, &mut |left, foreign| enter::teardown_nowhere(pool, left, false, 0, foreign));
    pool.leave();
}
