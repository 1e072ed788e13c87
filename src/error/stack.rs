//! [`NoRoom`]: a thread has no stack left for one more task inside others.

/// Why a thread has no more stack for a task that is to run inside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The segments of the thread have reached this limit, in bytes.
    #[cfg_attr(not(feature = "stacker"), allow(dead_code, reason = "no stack grows"))]
    Limit(usize),
    /// The system refused the memory.
    #[cfg_attr(not(feature = "stacker"), allow(dead_code, reason = "no stack grows"))]
    NoMemory,
    /// This build cannot give a thread more stack.
    CannotGrow,
}
