//! [`Site`]: the node that a verb of a key acts at, and how long it waits there.

use std::time::{Duration, Instant};

use crate::error::value::{BindError, InitError, NotBound};
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::node::NodeRef;
use crate::wait::park;

/// The node that a verb acts at: the given one, or the default of the verb.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) at: Option<&'a Lineage>,
    /// The bound on a wait for another caller's initialiser.
    pub(super) timeout: Option<Duration>,
}

impl<'a> Site<'a> {
    /// The defaults.
    pub(super) const HERE: Self = Self { at: None, timeout: None };

    pub(super) const fn at(at: &'a Lineage) -> Self {
        Self { at: Some(at), timeout: None }
    }

    pub(super) const fn of(at: Option<&'a Lineage>) -> Self {
        Self { at, timeout: None }
    }

    pub(super) const fn timeout(self, timeout: Duration) -> Self {
        Self { at: self.at, timeout: Some(timeout) }
    }

    fn given(self) -> Option<NodeRef> {
        self.at.map(|at| at.0.clone())
    }

    /// Returns the given node, or the current one if it is a node already. Makes no node.
    pub(super) fn exactly(self) -> Option<NodeRef> {
        self.given().or_else(current::exactly_here)
    }

    /// Returns the given node, or the current one, which is made if need be. `None` in code that shares its thread and
    /// has no node of its own.
    pub(super) fn own(self) -> Option<NodeRef> {
        self.given().or_else(current::own_here)
    }

    /// As [`own`](Self::own), for a binding.
    pub(super) fn binds_at(self, key: &'static str) -> Result<NodeRef, BindError> {
        self.own().ok_or(BindError::NoPlace { key })
    }

    /// Returns the given node, or the root.
    pub(super) fn owner(self) -> NodeRef {
        self.given().unwrap_or_else(|| current::nearest().root())
    }

    /// As [`owner`](Self::owner), if the caller stands at the owner or below it.
    pub(super) fn owner_above(self, key: &'static str) -> Result<NodeRef, InitError> {
        let here = Lineage(current::nearest());
        match self.at {
            None => Ok(here.0.root()),
            Some(owner) if here.0.node().is_at_or_below(owner.0.node()) => Ok(owner.0.clone()),
            Some(owner) => Err(InitError::NotBelow { key, owner: owner.to_string(), place: here.to_string() }),
        }
    }

    pub(super) fn deadline(self) -> Option<Instant> {
        self.timeout.and_then(park::after)
    }

    /// The error of a look-up from here. Makes no node.
    #[cold]
    pub(super) fn not_bound(self, key: &'static str, cause: Option<InitError>) -> NotBound {
        let at = self.at.cloned().unwrap_or_else(|| Lineage(current::nearest()));
        NotBound::new(key, at.to_string(), at.id(), cause)
    }
}
