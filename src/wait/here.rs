//! The memory that this room keeps for each thread: its parker, and its record in the graph of waits.

use std::cell::OnceCell;
use std::task::{Wake, Waker};

use crate::sync::os::{Arc, Parker, Unparker};
use crate::wait::graph::{Record, graph};

struct Here {
    parker: OnceCell<(Parker, Waker)>,
    record: OnceCell<Arc<Record>>,
}

thread_local! {
    static HERE: Here = const { Here { parker: OnceCell::new(), record: OnceCell::new() } };
}

struct Unpark(Unparker);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

fn new_parker() -> (Parker, Waker) {
    let parker = Parker::new();
    let waker = Waker::from(Arc::new(Unpark(parker.unparker().clone())));
    (parker, waker)
}

/// Runs `f`, once, with the calling thread's parker and the waker that unparks it. They are new ones when the thread
/// has destroyed its locals.
pub(super) fn with_parker<R>(mut f: impl FnMut(&Parker, &Waker) -> R) -> R {
    let mut with = |(parker, waker): &(Parker, Waker)| f(parker, waker);
    match HERE.try_with(|here| with(here.parker.get_or_init(new_parker))) {
        Ok(out) => out,
        Err(_) => with(&new_parker()),
    }
}

/// The calling thread's record.
pub(crate) fn me() -> Arc<Record> {
    let new = || graph().record(&std::thread::current());
    let mine = HERE.try_with(|here| Arc::clone(here.record.get_or_init(new)));
    // The thread has destroyed its locals, and with them its reference to the record. An obligation still has one.
    mine.unwrap_or_else(|_| graph().known(std::thread::current().id()).unwrap_or_else(new))
}
