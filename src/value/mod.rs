//! Values that travel: bound at one place of the tree, found from every place below.
//!
//! [`heirloom`] and [`map`] are the public keys. Each has a [`bindings`], where its values are bound, and under whose lock
//! the [`flight`]s of its initialisers begin and land. Nodes keep the values; finding one is the walk of
//! [`look`](crate::lineage::lookup), which takes no lock.

pub(crate) mod binding;
mod bindings;
mod flight;
pub(crate) mod heirloom;
pub(crate) mod inbox;
mod init_call;
mod key;
pub(crate) mod map;
mod node_map;
pub(crate) mod subscribe;

use crate::lineage::lookup::SlotKind;
use crate::lineage::node::Node;
use crate::lineage::slots::Slots;

/// Values, among what a node has.
struct Values;

impl SlotKind for Values {
    #[inline]
    fn of(node: &Node) -> &Slots {
        &node.values
    }
}
