//! [`Locals`]: the plain cells of one thread, for all files of this folder.
//!
//! They have no destructor. So reading one is one load, and works while the thread's other locals are being destroyed.

use std::cell::Cell;

use crate::lineage::flow::Flow;
use crate::lineage::hazard::thread::Hazards;
use crate::lineage::memo::Memo;
use crate::sync::local::Pointer;

thread_local! {
    pub(super) static LOCALS: Locals = const { Locals::new() };
}

pub(super) struct Locals {
    /// The flow that `top` is of.
    pub(super) flow: Cell<Flow>,
    /// The `Node` of the flow's newest stack entry, where look-ups begin; null for the process.
    pub(super) top: Pointer,
    /// The flow stands at `top`, a real node: that of an entry that is not lazy, or the process on the main thread.
    pub(super) real: Cell<bool>,
    /// Counts the pins that live, from `isize::MIN` on while entries are kept until the last of them is dropped.
    pub(super) pins: Cell<isize>,
    pub(super) next_mark: Cell<u64>,
    /// Whether the thread runs `main`. `None` before the first question.
    pub(super) is_main: Cell<Option<bool>>,
    /// The `ThreadState` of a thread started by this crate, while its code runs.
    pub(super) thread: Pointer,
    /// The innermost `WorkFrame` on this thread's stack.
    pub(super) work: Pointer,
    pub(super) hazards: Hazards,
    pub(super) memo: Memo,
}

impl Locals {
    const fn new() -> Self {
        Self {
            flow: Cell::new(Flow::THREAD),
            top: Pointer::null(),
            real: Cell::new(false),
            pins: Cell::new(0),
            next_mark: Cell::new(1),
            is_main: Cell::new(None),
            thread: Pointer::null(),
            work: Pointer::null(),
            hazards: Hazards::new(),
            memo: Memo::new(),
        }
    }
}
