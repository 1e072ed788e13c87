//! [`polling`]: the known wake sources of a future that was polled.
//!
//! The wake sources of a future are unknown in general: a timer, a socket, another task. But a pending poll leaves the
//! waker with each of its sources, and the sources of this crate report themselves here. The waker's reference count
//! tells whether another source has it. If not, the future goes on when one of the reported sources has ended, and no
//! sooner.

use std::cell::RefCell;
use std::ptr;
use std::task::Waker;

use crate::names::id::TaskId;
use crate::pool::context::thread::{self, Polled};
use crate::sync::os::Arc;
use crate::wait::graph::{IsQueued, Several, Target};

/// Runs `poll`. Returns its output with the targets of this crate that it left the waker with.
pub(crate) fn polling<R>(waker: &Waker, poll: impl FnOnce() -> R) -> (R, Vec<Target>) {
    let polled = Polled { waker, on: RefCell::new(Vec::new()) };
    let out = thread::while_polled(&polled, poll);
    (out, polled.on.into_inner())
}

/// Reports that the waker was left with a target. Costs one load where no poll collects reports.
#[inline]
pub(crate) fn left_with(waker: &Waker, on: impl FnOnce() -> Target) {
    thread::with_polled(|polled| {
        let Some(polled) = polled.filter(|polled| polled.waker.will_wake(waker)) else { return };
        let on = on();
        let mut all = polled.on.borrow_mut();
        if !all.iter().any(|other| is_same(other, &on)) {
            all.push(on);
        }
    });
}

/// Whether two reports are of the same target.
fn is_same(one: &Target, two: &Target) -> bool {
    match (one, two) {
        (Target::Task(one), Target::Task(two)) => one.id == two.id,
        (Target::FirstOf(one), Target::FirstOf(two)) => ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(two)),
        _ => false,
    }
}

/// The target that ends with the first of all of them.
pub(crate) fn first_of(mut all: Vec<Target>) -> Option<Target> {
    if all.len() > 1 { Some(Target::FirstOf(Arc::new(All(all)))) } else { all.pop() }
}

struct All(Vec<Target>);

impl Several for All {
    fn show(&self, more: &mut dyn FnMut(TaskId, usize, &dyn IsQueued) -> bool) {
        for target in &self.0 {
            let mut goes_on = true;
            match target {
                Target::Task(task) => goes_on = more(task.id, task.pool, task),
                Target::FirstOf(several) => several.show(&mut |id, pool, queued| {
                    goes_on = more(id, pool, queued);
                    goes_on
                }),
                _ => {}
            }
            if !goes_on {
                return;
            }
        }
    }
}
