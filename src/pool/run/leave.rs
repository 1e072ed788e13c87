//! Counting a task out of what waits for it.

use crate::lineage::node::{NodeRef, ScopeTrackers};
use crate::pool::context::enter;
use crate::pool::core::pool::{Pool, leave_tracker};
use crate::pool::core::task_meta::Counted;
use crate::sync::os::Arc;

/// Counts a task out of the scopes that wait for it, and lets its places go. Wakers and a node's end are user code: they
/// are run by `foreign`, as a part of what still counts the task, which it is given: a scope's end is not to wait for
/// the scopes above, which wait for it.
pub(crate) fn leave(pool: &Pool, counted: Counted, mut foreign: impl FnMut(Counted, &mut dyn FnMut())) {
    let Counted { place, owner, scoped } = counted;
    if let Some(scoped) = scoped {
        foreign(Counted::default(), &mut || leave_tracker(&scoped));
    }
    // A scope's end drops the values bound there, which is user code too.
    let is_quiet = |scope: &ScopeTrackers| !scope.of(pool.joins()).is_observed() && !scope.is_closed();
    if owner.is_counted() {
        for (node, scope) in owner.node().scopes_beside(place.node()) {
            // Those above are left next, whatever is told here.
            let above = Counted { place: place.clone(), owner: node.parent_place().unwrap_or_default(), scoped: None };
            foreign(above, &mut || pool.leave_scope(node, scope));
        }
        let_go(owner, &mut foreign);
    }
    if place.is_counted() {
        for (node, scope) in place.node().scope_nodes() {
            if is_quiet(scope) {
                pool.leave_scope(node, scope);
            } else {
                let above = Counted { place: node.parent_place().unwrap_or_default(), ..Counted::default() };
                foreign(above, &mut || pool.leave_scope(node, scope));
            }
        }
        let_go(place, &mut foreign);
    }
}

/// Lets go of a place of a task that is counted out of the scopes there.
#[inline]
fn let_go(place: NodeRef, foreign: &mut impl FnMut(Counted, &mut dyn FnMut())) {
    if let Some(node) = place.into_last() {
        let mut node = Some(node);
        foreign(Counted::default(), &mut || drop(node.take()));
    }
}

/// The last steps of a task whose thread does not go on with its pool.
pub(crate) fn after_last(pool: &Arc<Pool>, counted: Counted, ended: u64) {
    leave(pool, counted, |_, foreign| foreign());
    pool.leave_many(ended);
}

/// The last steps of a task that never ran.
pub(crate) fn unrun(pool: &Arc<Pool>, counted: Counted) {
    leave(pool, counted, |left, foreign| enter::teardown_nowhere(pool, left, false, 0, foreign));
    pool.leave();
}
