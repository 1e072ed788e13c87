//! [`Remote`]: the settings that remote pools alone have.

use crate::wire::link::Queue;

/// The settings that remote pools alone have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) queue: Queue,
    /// The most begins of a repeatable job.
    pub(crate) attempts: u32,
    /// Begun jobs go on when this process dies.
    pub(crate) outlives_origin: bool,
}
