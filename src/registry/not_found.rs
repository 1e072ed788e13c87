//! [`ManagerNotFound`]: a look-up that found nothing, and where else to look.

use std::fmt;

use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::node::WeakFamily;
use crate::names::id::NodeId;
use crate::names::label::InCode;
use crate::names::namespace::Namespace;
use crate::registry::manager::PoolManager;

/// How many places [`ManagerNotFound::elsewhere`] names.
const MOST: usize = 8;

/// No place from the one asked up to the process has a manager of this name.
///
/// The text names the place asked and what that stands below, and no other place: a request's error says nothing of
/// other requests. [`elsewhere`](Self::elsewhere) says where else the name exists, for whoever may know. Making the error
/// costs the same however many managers there are, and it keeps nothing alive.
///
/// ```
/// use heirloom::Scope;
///
/// let (shop, blog) = (Scope::new("shop"), Scope::new("blog"));
/// let _render = shop.create("render");
/// let missing = blog.get("render").unwrap_err();
/// assert!(missing.to_string().contains("blog") && !missing.to_string().contains("shop"));
/// assert_eq!(missing.elsewhere(), [shop.to_string()]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "no manager named \"{namespace}\" at {place}, nor above; {} \
     (this error's `elsewhere()` tells whether another place has one)",
    Advice(self)
)]
pub struct ManagerNotFound {
    /// The name that was asked for.
    pub namespace: Namespace,
    /// Where it was asked, in words: the place, and up to seven that it stands below, the nearest first.
    pub place: String,
    /// The id of the place asked.
    pub place_id: NodeId,
    family: WeakFamily,
    /// One can be created at the place asked, by whoever asked.
    owns: bool,
}

struct Advice<'a>(&'a ManagerNotFound);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = InCode(&self.0.namespace.0, "Namespace");
        match self.0.owns {
            true => write!(f, "create one here with `create({name})`, or at a place above"),
            false => write!(
                f,
                "this code shares its thread with other code and has no place of its own: `get_or_create({name})` makes \
                 one for the whole process, and `in_scope`, `in_lineage` or `{}` give it the place of its request",
                if cfg!(feature = "tokio") { "heirloom::spawn" } else { "heirloom::wrap" }
            ),
        }
    }
}

impl ManagerNotFound {
    #[cold]
    pub(super) fn new(namespace: Namespace, place: &Lineage) -> Self {
        let family = place.0.node().family().downgrade();
        Self { namespace, place: place.path().to_string(), place_id: place.id(), family, owns: true }
    }

    /// Asked where the code stands. Makes no node: a task that asks in vain and submits itself again for ever makes no
    /// chain.
    #[cold]
    pub(super) fn here(namespace: Namespace) -> Self {
        Self { owns: current::owns(), ..Self::new(namespace, &Lineage(current::nearest())) }
    }

    /// Where the name exists in this family now, in words; at most eight places, in no order.
    ///
    /// Each call looks at all managers of the family, about 0.1 µs for each, as
    /// [`Registry::managers`](crate::Registry::managers) does. It holds them while it looks, so one whose last other
    /// handle is dropped meanwhile ends on the calling thread.
    #[must_use]
    pub fn elsewhere(&self) -> Vec<String> {
        let Some(family) = self.family.upgrade() else { return Vec::new() };
        let owner = |manager: PoolManager| {
            if *manager.namespace() != self.namespace {
                return None;
            }
            let owner = manager.owner()?;
            // One that was replaced or removed lives on for those who hold it, but nobody finds it there.
            let found = owner.0.node().managers.find_counted(&self.namespace).and_then(PoolManager::from_slot)?;
            found.is_same(&manager).then(|| owner.to_string())
        };
        let managers = family.index().managers.live();
        managers.into_iter().filter_map(PoolManager::from_slot).filter_map(owner).take(MOST).collect()
    }
}
