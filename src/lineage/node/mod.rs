//! Nodes: the positions of the family tree, and references to them.

mod cancel;
mod node_ref;
mod role;
mod scope_share;
mod scope_trackers;
mod state;
mod tree_node;
mod walk;
mod words;

pub(crate) use self::node_ref::{NodeRef, OnceWeak, WeakNodeRef};
pub use self::role::NodeKind;
pub(crate) use self::role::Role;
pub(crate) use self::scope_trackers::ScopeTrackers;
pub(crate) use self::tree_node::{Family, Node, OnMaterialize, process};
