//! [`FairBy`] for a [`Heirloom`]: the nearest value names the tenant.

use std::hash::Hash;

use crate::lineage::handle::Lineage;
use crate::pool::config::order::{FairBy, hash_of};
use crate::value::heirloom::Heirloom;

impl<T: Hash + Send + Sync + 'static> FairBy for &'static Heirloom<T> {
    fn tenant(&self, at: &Lineage) -> u64 {
        hash_of(&self.at(at).get().ok())
    }
}
