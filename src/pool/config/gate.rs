//! [`Gated`]: what must let a pool's tasks in before their bodies run, and how it is asked.
//!
//! The engine does not know what a gate is (it is a layer below): it knows [`Admission`], which runs a body when it
//! may.

use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;

use crate::error::busy::Busy;

/// Whether code runs under a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GateMode {
    /// Under the nearest one that is bound at the place where the code stands or above it; without any where none is.
    IfPresent,
    /// Never: for what may be done while another is in, such as reading a status. If it goes in by itself while another
    /// is in, that is [`Busy`] like anybody else's.
    Skip,
    /// Under the nearest one; where none is bound, that is an error.
    Require,
}

/// Lets a body run, or not.
pub(crate) trait Admission: Sync {
    /// For messages.
    fn name(&self) -> &'static str;

    /// Runs the body, at most once, where the calling code stands.
    fn let_in(&self, mode: GateMode, body: &mut dyn FnMut()) -> Result<(), Denied>;
}

/// Why a body was not run.
#[derive(Debug)]
pub(crate) enum Denied {
    Busy(Busy),
    /// None is bound where the task stands, which the error says.
    Missing(Box<dyn Error + Send + Sync>),
}

/// The setting of a pool. Two are the same when key and mode are.
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

// A setting: nothing in it changes.
impl UnwindSafe for Gated {}
impl RefUnwindSafe for Gated {}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gated").field(&self.key.name()).field(&self.mode).finish()
    }
}
