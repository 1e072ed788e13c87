//! The keys whose values travel with remote jobs.
//!
//! A key is listed with its first value, since a key without values has none to send. The list is short: it is read for each
//! job that is sent.

use std::any::Any;

use bytes::Bytes;

use crate::lineage::handle::Lineage;
use crate::sync::os::{Arc, Mutex, Weak};

/// Encodes a value.
pub(crate) type Encode<T> = fn(&T) -> Result<Bytes, String>;

/// Finds the value at a node, and encodes it.
type Find = Arc<dyn Fn(&Lineage) -> Option<Result<Bytes, String>> + Send + Sync>;

struct Travelling {
    name: &'static str,
    /// Gone with the key.
    key: Weak<dyn Any + Send + Sync>,
    find: Find,
}

static TRAVELLING: Mutex<Vec<Travelling>> = Mutex::new(Vec::new());

/// Lists a key, as long as `key` is not dropped.
pub(super) fn list(
    name: &'static str,
    key: Weak<dyn Any + Send + Sync>,
    find: impl Fn(&Lineage) -> Option<Result<Bytes, String>> + Send + Sync + 'static,
) {
    TRAVELLING.lock().push(Travelling { name, key, find: Arc::new(find) });
}

/// Returns the encoded values that travel from the node, by the names of their keys.
pub(crate) fn values_at(at: &Lineage) -> Vec<(&'static str, Result<Bytes, String>)> {
    let keys: Vec<(&'static str, Find)> = {
        let mut travelling = TRAVELLING.lock();
        if travelling.is_empty() {
            return Vec::new();
        }
        travelling.retain(|one| one.key.strong_count() > 0);
        travelling.iter().map(|one| (one.name, Arc::clone(&one.find))).collect()
    };
    // The encoding is user code.
    keys.into_iter().filter_map(|(name, find)| Some((name, find(at)?))).collect()
}
