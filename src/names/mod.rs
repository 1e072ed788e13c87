//! The names of nodes, pools and tasks: ids, labels, namespaces, task types and the labels of metrics.

pub(crate) mod id;
pub(crate) mod label;
pub(crate) mod metric_labels;
pub(crate) mod namespace;
pub(crate) mod task_type;
