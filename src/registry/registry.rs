//! [`Registry`]: the live nodes and managers of a family.

use std::fmt;
use std::thread::ThreadId;

use crate::error::CancelReason;
use crate::lineage::handle::Lineage;
use crate::lineage::node::{Family, Node, NodeKind, NodeRef};
use crate::registry::manager::PoolManager;
use crate::registry::snapshot::{Snapshot, Tree};

/// The index of a family: its threads by id, its live managers, its tree.
///
/// It holds weak references only, so listing keeps nothing alive. The process-wide family is [`Registry::global`];
/// [`Registry::new`] makes a separate one, for a test or an embedded program. A clone is a registry of the same family.
/// Dropping one changes nothing for the nodes that live.
#[derive(Clone)]
pub struct Registry {
    pub(super) root: NodeRef,
}

impl Registry {
    /// Returns the registry of a new family.
    ///
    /// Look-ups never cross from one family to another. Code enters the family with `registry.root().run(…)` or `enter()`.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Registry};
    ///
    /// let family = Registry::new();
    /// family.root().run(|| heirloom::create("io")).start(PoolConfig::leased(2))?;
    /// assert!(family.root().get("io").is_ok());
    /// assert!(heirloom::get("io").is_err()); // not of this family
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self { root: Node::new_root(Family::own()).into() }
    }

    /// Returns the registry of the process-wide family.
    #[must_use]
    pub fn global() -> &'static Registry {
        static GLOBAL: Registry = Registry { root: NodeRef::PROCESS };
        &GLOBAL
    }

    /// Returns the family's root.
    #[must_use]
    pub fn root(&self) -> Lineage {
        Lineage(self.root.clone())
    }

    /// Returns the registry of a node's family.
    pub(crate) fn of(at: &Lineage) -> Self {
        Self { root: at.root().0 }
    }

    /// Cancels every scope of the family that has no scope above it, and with it the scopes below, for a shutdown.
    pub(crate) fn cancel_scopes(&self) {
        let is_outermost =
            |at: &Lineage| at.kind() == NodeKind::Scope && at.parent().is_none_or(|parent| parent.scope().is_none());
        let nodes = self.family().index().nodes.live().into_iter().map(|node| Lineage(node.into()));
        for scope in nodes.filter(is_outermost) {
            scope.cancel_for(CancelReason::Shutdown);
        }
    }

    pub(super) fn family(&self) -> &Family {
        self.root.node().family()
    }

    /// Returns the node of an OS thread, if the thread lives and has one.
    ///
    /// A thread becomes a node when code first looks at it. Takes a short lock.
    #[must_use]
    pub fn thread(&self, id: ThreadId) -> Option<Lineage> {
        let node = self.family().index().threads.read(&id).get(&id).and_then(|node| node.upgrade());
        node.map(|node| Lineage(node.into()))
    }

    /// Returns the managers alive in this family, in no order. Costs about 0.1 µs for each.
    #[must_use]
    pub fn managers(&self) -> Vec<PoolManager> {
        self.family().index().managers.live().into_iter().filter_map(PoolManager::from_slot).collect()
    }

    /// Returns the family as plain data.
    ///
    /// Costs a walk over all live nodes, and allocates. Blocks no task.
    ///
    /// ```
    /// use heirloom::{NodeKind, PoolConfig, Registry, Scope};
    ///
    /// let family = Registry::new();
    /// let request = Scope::new_in(&family.root(), "request 7");
    /// request.create("render").start(PoolConfig::leased(4))?;
    ///
    /// let snapshot = family.snapshot();
    /// let node = snapshot.node(request.id()).expect("it is alive");
    /// assert_eq!((node.kind, node.parent), (NodeKind::Scope, Some(family.root().id())));
    /// assert_eq!(node.managers[0].stats.limit, 4);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let live = self.family().index().nodes.live().into_iter().map(NodeRef::from).collect();
        Snapshot::take(&self.root, live)
    }

    /// Returns the family as text.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Registry, Scope};
    ///
    /// let family = Registry::new();
    /// let _request = Scope::new_in(&family.root(), "request 7");
    /// family.root().create("io").start(PoolConfig::leased(2))?;
    /// println!("{}", family.tree());
    /// // process (node 5)
    /// // │  "io": leased joining, 0 running/0 waiting/0 queued, limit 2
    /// // └─ scope "request 7" (node 6), 0 pending
    /// # assert!(family.tree().to_string().contains("└─ scope \"request 7\" (node "));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree::new(self.snapshot())
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("root", &self.root()).finish_non_exhaustive()
    }
}
