//! [`Work`]: a future or a blocking job that a runtime runs for a place.
//!
//! It is no task of a pool and no node: it stands where it was spawned. What a task's frame is to a task, this is to
//! it: the scopes above count it, its handle asks it to stop, and what it waits for knows whose code waits.
//!
//! # What keeps what alive
//! The runtime's task and the handle hold it; it holds its place. It is counted until its code has ended, however long a
//! handle is kept.

use std::cell::Cell;
use std::ptr;

use crate::bell::Bell;
use crate::lineage::current::Spot;
use crate::lineage::flow::Flow;
use crate::lineage::handle::CutOnDrop;
use crate::lineage::node::{Node, Place};
use crate::sync::os::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::tally::{Left, Tally};

/// Its handle asked it to stop, and it has not declined since.
const ASKED: u64 = 1;
/// The rest of the word counts requests, so that one that repeats another is seen too.
const ONE_REQUEST: u64 = 1 << 1;

/// See the module.
pub(crate) struct Work {
    spot: Spot,
    /// The scopes at or above the place count it. Cleared by the one call that counts it out.
    counted: AtomicBool,
    asks: AtomicU64,
    asked: Bell,
}

/// A scope at or above the place was told to end.
#[derive(Debug)]
pub(crate) struct Closed;

impl Work {
    /// Work for where the code stands, that no scope counts.
    pub(crate) fn uncounted() -> Arc<Self> {
        Arc::new(Self::new(Spot::here(), false))
    }

    /// Work for where the code stands, counted in by every scope at or above it and by the family. Nothing is counted
    /// on an error.
    pub(crate) fn counted() -> Result<Arc<Self>, Closed> {
        let spot = Spot::here();
        let node = spot.place().node();
        for (entered, scope) in node.scopes().enumerate() {
            if scope.joining.enter().is_err() {
                leave_scopes(node, entered);
                return Err(Closed);
            }
        }
        if let Some(family) = of_family(node) {
            // A family is never closed.
            let _ = family.enter();
        }
        Ok(Arc::new(Self::new(spot, true)))
    }

    fn new(spot: Spot, counted: bool) -> Self {
        Self { spot, counted: AtomicBool::new(counted), asks: AtomicU64::new(0), asked: Bell::new() }
    }

    pub(crate) fn place(&self) -> &Place {
        self.spot.place()
    }

    /// Counts it out. Runs user code: the end of a scope drops what is bound there, and wakes those who wait.
    pub(crate) fn leave(&self) {
        if self.counted.swap(false, Ordering::AcqRel) {
            let node = self.place().node();
            leave_scopes(node, usize::MAX);
            if let Some(family) = of_family(node) {
                leave_tally(family);
            }
        }
    }

    /// Asks it to stop. True for the first request since it declined one.
    pub(crate) fn ask(&self) -> bool {
        let ask = |word: u64| Some((word | ASKED).wrapping_add(ONE_REQUEST));
        let before = match self.asks.fetch_update(Ordering::SeqCst, Ordering::Relaxed, ask) {
            Ok(before) | Err(before) => before,
        };
        self.asked.ring();
        before & ASKED == 0
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asks.load(Ordering::SeqCst) & ASKED != 0
    }

    /// How often it was asked to stop.
    pub(crate) fn requests(&self) -> u64 {
        self.asks.load(Ordering::SeqCst) / ONE_REQUEST
    }

    /// Declines what its handle asked. True when there was a request.
    pub(crate) fn acknowledge(&self) -> bool {
        self.asks.fetch_and(!ASKED, Ordering::SeqCst) & ASKED != 0
    }

    /// Rings with each request.
    pub(crate) fn bell(&self) -> &Bell {
        &self.asked
    }

    /// It, or its place, was asked to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_asked() || self.place().node().is_cancelled()
    }

    /// Runs a part of it on the calling thread, standing where it stands.
    pub(crate) fn run<R>(self: &Arc<Self>, f: impl FnOnce() -> R) -> R {
        struct Restore(*const Part<'static>);
        impl Drop for Restore {
            fn drop(&mut self) {
                INNERMOST.set(self.0);
            }
        }
        let part = Part { work: self, flow: Flow::now(), outer: INNERMOST.get() };
        let _restore = Restore(part.outer);
        INNERMOST.set(ptr::from_ref(&part).cast());
        let _standing = CutOnDrop(Some(self.spot.stand()));
        f()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // Where the runtime never took it.
        self.leave();
    }
}

/// Counts one out of so many of the scopes at or above a node, the innermost first.
fn leave_scopes(node: &Node, many: usize) {
    for (node, scope) in node.scope_nodes().take(many) {
        if let Left::Last { notify } = scope.joining.leave() {
            // Ended first, so that whoever waits for the count finds the scope's values gone.
            node.end_if_over();
            if notify {
                scope.joining.notify();
            }
        }
    }
}

fn leave_tally(tally: &Tally) {
    if let Left::Last { notify: true } = tally.leave() {
        tally.notify();
    }
}

/// The family's count of work below scopes. What stands outside of any scope nothing ends, so nothing waits for it.
fn of_family(node: &Node) -> Option<&Tally> {
    node.scopes().next().map(|_| &node.home().indices().spawned)
}

/// A part of some work that runs on this thread. The list lives in the stack frames themselves.
struct Part<'a> {
    work: &'a Arc<Work>,
    flow: Flow,
    outer: *const Part<'static>,
}

thread_local! {
    static INNERMOST: Cell<*const Part<'static>> = const { Cell::new(ptr::null()) };
}

/// All work whose code is on the calling thread's stack, innermost first.
fn parts<'a>() -> impl Iterator<Item = &'a Part<'a>> {
    // SAFETY: each is further up this thread's stack, in a call of `run` that has not returned; a caller is above it
    // and keeps the reference no longer than it runs.
    let part = |at: *const Part<'static>| unsafe { at.cast::<Part<'a>>().as_ref() };
    std::iter::successors(part(INNERMOST.get()), move |inner| part(inner.outer))
}

/// The work that the calling code is.
#[inline]
pub(crate) fn own<'a>() -> Option<&'a Arc<Work>> {
    if INNERMOST.get().is_null() {
        return None;
    }
    let flow = Flow::now();
    parts().find(|part| part.flow == flow).map(|part| part.work)
}

/// All work on the calling thread's stack that is counted, innermost first.
pub(crate) fn all<'a>() -> impl Iterator<Item = &'a Arc<Work>> {
    parts().map(|part| part.work).filter(|work| work.counted.load(Ordering::Acquire))
}

/// The tallies that count work on the calling thread's stack, by their addresses.
pub(crate) fn tallies<'a>() -> impl Iterator<Item = usize> + use<'a> {
    all().flat_map(|work: &'a Arc<Work>| {
        let node = work.place().node();
        let scopes = node.scopes().map(|scope| scope.joining.address());
        scopes.chain(of_family(node).map(Tally::address))
    })
}

/// Whether work on the calling thread's stack is counted at the node.
pub(crate) fn is_below(node: &Node) -> bool {
    all().any(|work| work.place().node().is_at_or_below(node))
}
