//! [`UnknownTaskType`]: a manager does not take tasks of the kind asked for.

use std::fmt;

use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;

/// A manager does not take tasks of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("\"{namespace}\" {}; start it with `.task_type(TaskType::of::<{wanted}>())`", Allowed(.allowed))]
pub struct UnknownTaskType {
    /// The manager's name.
    pub namespace: Namespace,
    /// The task type asked for.
    pub wanted: TaskType,
    /// The task type that the pool takes; `None` when no pool runs, or it takes any.
    pub allowed: Option<TaskType>,
}

struct Allowed<'a>(&'a Option<TaskType>);

impl fmt::Display for Allowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(allowed) => write!(f, "takes only tasks of type \"{allowed}\""),
            None => f.write_str("does not run, or takes tasks of any type"),
        }
    }
}
