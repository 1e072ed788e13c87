//! The names of nodes, pools and tasks: ids, labels, namespaces and task types.

pub(crate) mod id;
pub(crate) mod label;
pub(crate) mod namespace;
pub(crate) mod task_type;
