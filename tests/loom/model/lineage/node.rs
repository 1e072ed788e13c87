//! Nodes: their roles, references and walks are the real ones.

#[path = "../../../../src/lineage/node/node_ref.rs"]
mod node_ref;
#[path = "../../../../src/lineage/node/role.rs"]
mod role;
#[path = "../../../../src/lineage/node/scope_share.rs"]
pub(crate) mod scope_share;
#[path = "../../../../src/lineage/node/scope_trackers.rs"]
mod scope_trackers;
mod tree_node;
#[path = "../../../../src/lineage/node/walk.rs"]
mod walk;

pub(crate) use self::node_ref::{NodeRef, OnceWeak, WeakNodeRef};
pub(crate) use self::role::Role;
pub(crate) use self::scope_trackers::ScopeTrackers;
pub(crate) use self::tree_node::{Node, OnMaterialize};
