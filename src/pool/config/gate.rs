//! [`Gated`]: the setting that runs a pool's tasks under a gate.
//!
//! Gates are a layer above the engine. The engine knows only [`Admission`], which runs a body when the gate is entered.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;

use crate::error::{Busy, NotBound};

/// Whether code runs under a [`Gate`](crate::Gate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GateMode {
    /// Under the nearest gate bound at or above the code's node, if there is one.
    IfPresent,
    /// Never: for code that may run beside the gate's holder, such as reading a status. If the code enters the gate itself
    /// while another holder is in, it gets [`Busy`] like any caller.
    Skip,
    /// Under the nearest gate; an error where none is bound.
    Require,
}

/// A key that runs a body under its gate, or refuses it.
pub(crate) trait Admission: Sync {
    /// The key's name, for messages.
    fn name(&self) -> &'static str;

    /// Runs the body, at most once, at the calling code's node. May block while the gate is held.
    ///
    /// # Errors
    /// The reason why the body was not run.
    fn let_in(&self, mode: GateMode, body: &mut dyn FnMut()) -> Result<(), Denied>;
}

/// The reason why a body was not run.
#[derive(Debug)]
pub(crate) enum Denied {
    Busy(Busy),
    /// No gate is bound at or above the task's node, which the error names.
    Missing(NotBound),
}

/// The gate setting of a pool. Two are equal when their keys and modes are.
#[derive(Clone, Copy)]
pub(crate) struct Gated {
    pub(crate) key: &'static dyn Admission,
    pub(crate) mode: GateMode,
}

impl PartialEq for Gated {
    fn eq(&self, other: &Self) -> bool {
        ptr::addr_eq(self.key, other.key) && self.mode == other.mode
    }
}

impl Eq for Gated {}

// A setting never changes, so a panic leaves nothing half changed.
impl UnwindSafe for Gated {}
impl RefUnwindSafe for Gated {}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gated").field(&self.key.name()).field(&self.mode).finish()
    }
}
