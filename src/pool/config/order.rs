//! [`Order`]: the setting by which a pool's queued tasks start in another order than first in, first out.
//!
//! Values are a layer above the engine. The engine knows only [`FairBy`], which names the tenant of a submitter.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::lineage::handle::Lineage;
use crate::sync::os::{Arc, LazyLock};

/// The order of a pool's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) levels: u8,
    pub(crate) fair: Fairness,
    /// The most queued tasks of one tenant.
    pub(crate) limit_each: Option<usize>,
}

/// The tenants that take turns.
#[derive(Clone)]
pub(crate) enum Fairness {
    /// No turns: first in, first out.
    Off,
    /// The outermost scopes below the pool's owner.
    Scopes,
    By(Arc<dyn FairBy>),
}

impl Default for Order {
    fn default() -> Self {
        Self { levels: 1, fair: Fairness::Off, limit_each: None }
    }
}

/// Functions cannot be compared: two of them are equal.
impl PartialEq for Fairness {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Eq for Fairness {}

// A setting never changes, so a panic leaves nothing half changed.
impl UnwindSafe for Fairness {}
impl RefUnwindSafe for Fairness {}

impl fmt::Debug for Fairness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Scopes => "Scopes",
            Self::By(_) => "By(..)",
        })
    }
}

/// Names the tenant of a submitter, for [`PoolConfig::fair_by`](crate::PoolConfig::fair_by).
///
/// It is implemented for functions from a [`Lineage`] to any key with a hash, and for `&'static`
/// [`Heirloom`](crate::Heirloom)`<T>` whose values have one. Two submitters with equal keys are one tenant.
pub trait FairBy: Send + Sync + 'static {
    /// Returns a hash of the key.
    #[doc(hidden)]
    fn tenant(&self, at: &Lineage) -> u64;
}

impl<F, K> FairBy for F
where
    F: Fn(&Lineage) -> K + Send + Sync + 'static,
    K: Hash,
{
    fn tenant(&self, at: &Lineage) -> u64 {
        hash_of(&self(at))
    }
}

/// The hash of a tenant's key. The seed is this process's own, so that no client can choose keys that meet.
pub(crate) fn hash_of(key: &impl Hash) -> u64 {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    SEED.hash_one(key)
}
