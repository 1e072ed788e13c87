//! Values that travel: bound at one node, found from every node below it.
//!
//! [`heirloom`] and [`map`] are the public keys. Each has one [`bindings`], under whose lock values are bound in a
//! [`slot`], and the [`flight`]s of initialisers begin and land. Nodes keep the values. A look-up is the walk of
//! [`lookup`](crate::lineage::lookup), which takes no lock.

pub(crate) mod binding;
mod bindings;
mod contained;
mod flight;
pub(crate) mod heirloom;
mod init_call;
mod key;
mod leader;
pub(crate) mod map;
mod node_map;
mod site;
mod slot;
pub(crate) mod subscribe;
#[cfg(feature = "remote")]
pub(crate) mod travel;

use crate::lineage::lookup::SlotKind;
use crate::lineage::node::Node;
use crate::lineage::slots::Slots;

/// Selects a node's values for a look-up.
struct Values;

impl SlotKind for Values {
    const KIND: u64 = 1;

    #[inline]
    fn of(node: &Node) -> &Slots {
        &node.values
    }
}
