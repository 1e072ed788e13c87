//! [`Words`]: the plain cells of one thread, for the rooms below the tree.
//!
//! They have no destructor. So reading one is one load. It works while the thread's other locals are being destroyed, and
//! after them at the process's exit.

use std::cell::Cell;
use std::ptr;

thread_local! {
    pub(crate) static WORDS: Words = const { Words::new() };
}

pub(crate) struct Words {
    /// The ids that the thread has taken from the counter of nodes and not used: the next one, and the end.
    pub(crate) node_ids: Cell<(u64, u64)>,
    /// The same, of tasks.
    pub(crate) task_ids: Cell<(u64, u64)>,
    /// The thread's shard of each list; `None` until its first use.
    pub(super) shard: Cell<Option<usize>>,
    /// The number of joins on the thread's stack that lend the thread to their tasks. Code before and after such a join has
    /// other numbers, because it is the code of different tasks.
    pub(crate) lent: Cell<u32>,
    /// The innermost obligation on the thread's stack, of `wait/graph`.
    pub(crate) obliged: Pointer,
    /// The cache that the thread belongs to, to compare: code that ends with the thread's locals, or after them at the
    /// process's exit, must not wait for its own thread.
    pub(crate) cache: Pointer,
    /// The stack that the thread is on. See `threads/segment`.
    #[allow(dead_code, reason = "stacks grow on some targets only")]
    pub(crate) stack: Cell<Bounds>,
}

/// The bounds of a stack.
#[allow(dead_code, reason = "stacks grow on some targets only")]
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// The lowest address that code may use; 0 until the thread has asked for it.
    pub(crate) floor: usize,
    /// The end of the stack, above its first frame.
    pub(crate) ceiling: usize,
    /// All segments of the thread, in bytes.
    pub(crate) grown: usize,
}

impl Words {
    const fn new() -> Self {
        Self {
            node_ids: Cell::new((0, 0)),
            task_ids: Cell::new((0, 0)),
            shard: Cell::new(None),
            lent: Cell::new(0),
            obliged: Pointer::null(),
            cache: Pointer::null(),
            stack: Cell::new(Bounds { floor: 0, ceiling: 0, grown: 0 }),
        }
    }
}

/// Runs a task that the calling code joins on its own thread.
pub(crate) fn while_lent<R>(f: impl FnOnce() -> R) -> R {
    struct Ends;

    impl Drop for Ends {
        fn drop(&mut self) {
            WORDS.with(|words| words.lent.update(|lent| lent - 1));
        }
    }

    WORDS.with(|words| words.lent.update(|lent| lent + 1));
    let _ends = Ends;
    f()
}

/// A cell for a pointer whose type lies above the cell's file. One file alone writes and reads it, with one type.
pub(crate) struct Pointer(Cell<*const ()>);

impl Pointer {
    pub(crate) const fn null() -> Self {
        Self(Cell::new(ptr::null()))
    }

    #[inline]
    pub(crate) fn get<T>(&self) -> *const T {
        self.0.get().cast()
    }

    #[inline]
    pub(crate) fn set<T>(&self, to: *const T) {
        self.0.set(to.cast());
    }
}
