//! The last steps of a task: its end, and counting it out of the trackers that waiters watch.

use std::mem;

use crate::lineage::node::{NodeRef, ScopeTrackers};
use crate::pool::context::enter;
use crate::pool::context::frame::Frame;
use crate::pool::core::pool::{Pool, leave_tracker};
use crate::pool::core::task_meta::Counted;
use crate::sync::os::{Arc, Ordering};

/// Ends the frame's task, unless it has ended before, and counts it out of its scopes. User code runs as a part of the task;
/// `before` is called before it.
#[inline]
pub(super) fn end(pool: &Arc<Pool>, frame: &mut Frame<'_>, mut before: impl FnMut()) {
    if let Some(claimed) = frame.claimed.take() {
        let unwoken = claimed.end(pool, |unclaimed| {
            before();
            // The outcome is counted already.
            pool.counters.dropping.fetch_add(1, Ordering::SeqCst);
            enter::teardown(frame, &frame.counted.place, || unclaimed.drop_stage());
            pool.counters.dropping.fetch_sub(1, Ordering::SeqCst);
        });
        if let Some(unwoken) = unwoken {
            before();
            enter::teardown(frame, &frame.counted.place, || unwoken.wake());
        }
    }
    leave(pool, mem::take(&mut frame.counted), &mut |left, user_code| {
        before();
        frame.counted = left;
        enter::teardown(frame, &NodeRef::PROCESS, user_code);
        frame.counted = Counted::default();
    });
}

/// Counts a task out of its scopes, and drops its references to nodes. Wakers and a node's end are user code, so
/// `foreign` runs them as a part of the scopes that still count the task, which it gets as an argument. So code at a
/// scope's end never waits for the scopes above, which wait for that scope.
fn leave(pool: &Pool, counted: Counted, foreign: &mut dyn FnMut(Counted, &mut dyn FnMut())) {
    let Counted { place, owner, scoped } = counted;
    if let Some(scoped) = scoped {
        foreign(Counted::default(), &mut || leave_tracker(&scoped, 1));
    }
    // A scope's end drops the values bound there, which is user code too.
    let is_quiet = |scope: &ScopeTrackers| !scope.of(pool.joins()).is_observed() && !scope.is_closed();
    if owner.is_counted() {
        for (node, scope) in owner.node().scopes_beside(place.node()) {
            // The scopes above are left next, after this scope's waiters are notified.
            let above = Counted { place: place.clone(), owner: node.parent_ref().unwrap_or_default(), scoped: None };
            foreign(above, &mut || pool.leave_scope(node, scope, 1));
        }
        let_go(owner, foreign);
    }
    if place.is_counted() {
        for (node, scope) in place.node().scope_nodes() {
            if is_quiet(scope) {
                pool.leave_scope(node, scope, 1);
            } else {
                let above = Counted { place: node.parent_ref().unwrap_or_default(), ..Counted::default() };
                foreign(above, &mut || pool.leave_scope(node, scope, 1));
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
