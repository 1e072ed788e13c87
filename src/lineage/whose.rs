//! [`whose`]: the scopes of some nodes, in words.

use std::collections::{HashMap, HashSet};

use crate::lineage::handle::Lineage;
use crate::lineage::node::{Family, NodeRef, WeakNodeRef};
use crate::names::id::NodeId;

/// Returns the innermost scope of each node in words, or else the node itself.
///
/// A family's root has no entry. Only live nodes are found, in the family of `member`. Costs a look at each node of the
/// family.
pub(crate) fn whose(at: &HashSet<NodeId>, member: &WeakNodeRef) -> HashMap<NodeId, String> {
    if at.is_empty() {
        return HashMap::new();
    }
    let family = member.upgrade().map_or(Family::PROCESS, |member| member.node().family().clone());
    let live = family.index().nodes.live().into_iter().map(NodeRef::from);
    let words = |node: NodeRef| {
        let id = node.node().id();
        let whose = node.innermost_scope().unwrap_or(node);
        whose.node().parent().is_some().then(|| (id, Lineage(whose).to_string()))
    };
    live.filter(|node| at.contains(&node.node().id())).filter_map(words).collect()
}
