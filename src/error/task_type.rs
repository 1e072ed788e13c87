//! [`UnknownTaskType`]: a manager does not take tasks of the kind asked for.

use std::fmt;

use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;

/// A manager does not take tasks of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownTaskType {
    /// The manager's name.
    pub namespace: Namespace,
    /// The task type asked for.
    pub wanted: TaskType,
    /// The task type that the pool takes; `None` when no pool runs, or it takes any.
    pub allowed: Option<TaskType>,
}

impl fmt::Display for UnknownTaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, wanted, allowed, .. } = self;
        write!(f, "\"{namespace}\" {}; start it with `.task_type(TaskType::of::<{wanted}>())`", Allowed(allowed))
    }
}

impl std::error::Error for UnknownTaskType {}

struct Allowed<'a>(&'a Option<TaskType>);

impl fmt::Display for Allowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(allowed) => write!(f, "takes only tasks of type \"{allowed}\""),
            None => f.write_str("does not run, or takes tasks of any type"),
        }
    }
}
