//! [`Path`]: a node with those above it in words, as errors name them.

use std::fmt;

use crate::lineage::node::Node;
use crate::names::label::Printed;

/// So many nodes of a path are printed.
const STEPS: usize = 8;

/// A node with the nodes above it, the nearest first, without the root.
pub(crate) struct Path<'a>(pub(super) &'a Node);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        for (step, node) in self.0.path().skip(1).take_while(|node| node.parent().is_some()).enumerate() {
            if step + 1 == STEPS {
                return f.write_str(" < …");
            }
            write!(f, " < {node}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, node) in self.0.path().enumerate() {
            if depth == STEPS {
                return f.write_str(" < …");
            }
            let arrow = if depth == 0 { "" } else { " < " };
            write!(f, "{arrow}{} {}", node.kind().as_str(), Printed(node.name().unwrap_or("")))?;
        }
        Ok(())
    }
}
