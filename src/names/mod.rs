//! What nodes, pools and tasks are called: ids, labels, namespaces and task types.

pub(crate) mod id;
pub(crate) mod label;
pub(crate) mod namespace;
pub(crate) mod task_type;
