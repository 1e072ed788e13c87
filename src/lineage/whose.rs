//! [`whose`]: whose the tasks are that were asked for at some nodes, in words.

use std::collections::{HashMap, HashSet};

use crate::lineage::handle::Lineage;
use crate::lineage::node::{Family, NodeRef, WeakNodeRef};
use crate::names::id::NodeId;

/// The innermost scope at or above each of these nodes, or else the node itself; none for a family's root. Only nodes that
/// live are found, in the family of `member`. Costs a look at each node of the family.
pub(crate) fn whose(at: &HashSet<NodeId>, member: &WeakNodeRef) -> HashMap<NodeId, String> {
    if at.is_empty() {
        return HashMap::new();
    }
    let family = member.upgrade().map_or(Family::Process, |member| member.node().family().clone());
    let live = family.index().nodes.live().into_iter().map(NodeRef::from);
    let words = |place: NodeRef| {
        let id = place.node().id();
        let whose = place.innermost_scope().unwrap_or(place);
        whose.node().parent().is_some().then(|| (id, Lineage(whose).to_string()))
    };
    live.filter(|place| at.contains(&place.node().id())).filter_map(words).collect()
}
