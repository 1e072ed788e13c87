//! [`PathNode`]: the way from the root to a node, as data.

use crate::lineage::handle::Lineage;
use crate::lineage::node::{Node, NodeKind};
use crate::names::id::{NodeId, TaskId};

/// The most nodes of a path.
const MOST: usize = 64;

/// One node of a [`Lineage::path`].
///
/// It keeps nothing alive. With the feature `serde` it serialises, with its fields in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PathNode {
    /// The node's id.
    pub id: NodeId,
    /// The parent's id; `None` for the root.
    pub parent: Option<NodeId>,
    /// Process, thread, task or scope.
    pub kind: NodeKind,
    /// The whole name of the scope or the thread, as it was given.
    pub name: Option<String>,
    /// The task's id, if the node is a task.
    pub task: Option<TaskId>,
}

impl PathNode {
    fn of(node: &Node) -> Self {
        Self {
            id: node.id(),
            parent: node.parent().map(Node::id),
            kind: node.kind(),
            name: node.name().map(String::from),
            task: node.task_id(),
        }
    }
}

impl Lineage {
    /// Returns the nodes from the root down to this node, as plain data to be logged or sent.
    ///
    /// At most 64 nodes: of a longer path the root and the 63 nearest nodes. The entry after such a gap has a
    /// [`parent`](PathNode::parent) that is not the entry before it. Takes no lock and allocates each name.
    ///
    /// ```
    /// use heirloom::{NodeKind, Scope};
    ///
    /// let request = Scope::new("request 7");
    /// let part = Scope::new_in(&request, "part 2");
    /// let path = part.path();
    /// assert_eq!(path[0].kind, NodeKind::Process);
    /// let names: Vec<_> = path.iter().filter_map(|node| node.name.as_deref()).collect();
    /// assert!(names.ends_with(&["request 7", "part 2"]));
    /// ```
    #[must_use]
    pub fn path(&self) -> Vec<PathNode> {
        let mut above = self.0.node().path();
        let mut path: Vec<PathNode> = above.by_ref().take(MOST - 1).map(PathNode::of).collect();
        path.extend(above.last().map(PathNode::of));
        path.reverse();
        path
    }
}
