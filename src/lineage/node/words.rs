//! One node in words, as errors name it.

use std::fmt;

use crate::lineage::node::tree_node::Node;
use crate::names::label::Printed;

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        match (self.name(), self.task_id()) {
            (Some(name), _) => write!(f, "{} {} {:?}", self.kind().as_str(), self.id(), Printed(name)),
            (None, Some(task)) => write!(f, "task {task}"),
            (None, None) => write!(f, "{} {}", self.kind().as_str(), self.id()),
        }
    }
}
