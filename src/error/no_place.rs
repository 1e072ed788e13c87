//! [`NO_PLACE`]: the words for code that has no node of its own.

/// Why the code can own nothing, and the calls of this build that give it a node.
#[cfg(feature = "tokio")]
pub(crate) const NO_PLACE: &str = "the code shares its thread with other code and has no node of its own; give it one \
    (a `Scope` that it stands in, `in_scope`, `in_lineage`, `heirloom::spawn` instead of the runtime's `spawn`)";
#[cfg(not(feature = "tokio"))]
pub(crate) const NO_PLACE: &str = "the code shares its thread with other code and has no node of its own; give it one \
    (a `Scope` that it stands in, `in_scope`, `in_lineage`, `heirloom::wrap`)";
