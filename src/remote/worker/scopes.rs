//! [`RemoteScopes`]: the scopes of one serving that stand for scopes of other processes.
//!
//! The path of a job becomes nested scopes, so a cancel of an outer one reaches everything below. A scope that is here stays until its
//! origin says that it has ended, its origin is dead, or the serving ends: the pools that jobs made there live as long.

use std::collections::HashMap;

use crate::lineage::handle::Lineage;
use crate::registry::scope::Scope;
use crate::remote::worker::origin::Origin;
use crate::sync::os::{Arc, Mutex};
use crate::wire::address::ProcessId;
use crate::wire::path::Path;

/// Names a scope of another process; without an id the process itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) process: ProcessId,
    pub(super) id: Option<u64>,
}

pub(super) struct RemoteScope {
    /// The scope's own key, and those of the remote scopes above it.
    pub(super) keys: Vec<Key>,
    pub(super) at: Lineage,
    /// Taken by the end.
    scope: Mutex<Option<Scope>>,
}

impl RemoteScope {
    /// Returns the key of the scope itself.
    pub(super) fn key(&self) -> &Key {
        &self.keys[0]
    }

    /// Closes the scope, and lets its accepted tasks go on. Runs user code.
    pub(super) fn finish(&self) {
        let scope = self.scope.lock().take();
        if let Some(scope) = scope {
            scope.finish();
        }
    }

    pub(super) fn name(&self) -> &str {
        self.at.name().unwrap_or_default()
    }
}

#[derive(Default)]
pub(super) struct RemoteScopes(Mutex<HashMap<Key, Arc<RemoteScope>>>);

impl RemoteScopes {
    /// Returns the innermost scope of a path, which is made here with those above it where it is missing.
    pub(super) fn of(&self, below: &Lineage, path: &Path) -> Arc<RemoteScope> {
        let mut scopes = self.0.lock();
        let mut above: Option<Arc<RemoteScope>> = None;
        for (at, scope) in path.scopes.iter().enumerate() {
            let key = Key { process: scope.process.clone(), id: Some(scope.id) };
            let origin = || Path { scopes: path.scopes[..=at].to_vec(), sender: scope.process.clone() };
            above = Some(enter(&mut scopes, below, above.as_ref(), key, &scope.name, origin));
        }
        above.unwrap_or_else(|| {
            let key = Key { process: path.sender.clone(), id: None };
            enter(&mut scopes, below, None, key, "", || path.clone())
        })
    }

    /// Calls `f` with each scope.
    pub(super) fn each(&self, mut f: impl FnMut(&Arc<RemoteScope>)) {
        self.0.lock().values().for_each(&mut f);
    }

    /// Returns the scopes that have one of the keys.
    pub(super) fn get(&self, keys: impl Iterator<Item = Key>) -> Vec<Arc<RemoteScope>> {
        let scopes = self.0.lock();
        keys.filter_map(|key| scopes.get(&key).cloned()).collect()
    }

    /// Takes out the scopes of which this holds, with all scopes below them; those further in first.
    pub(super) fn take(&self, mut of: impl FnMut(&RemoteScope) -> bool) -> Vec<Arc<RemoteScope>> {
        let mut scopes = self.0.lock();
        let ends: Vec<Key> = scopes.values().filter(|scope| of(scope)).map(|scope| scope.key().clone()).collect();
        if ends.is_empty() {
            return Vec::new();
        }
        let mut taken = Vec::new();
        scopes.retain(|_, scope| {
            let goes = scope.keys.iter().any(|key| ends.contains(key));
            if goes {
                taken.push(Arc::clone(scope));
            }
            !goes
        });
        taken.sort_by_key(|scope| std::cmp::Reverse(scope.keys.len()));
        taken
    }
}

fn enter(
    scopes: &mut HashMap<Key, Arc<RemoteScope>>,
    below: &Lineage,
    above: Option<&Arc<RemoteScope>>,
    key: Key,
    name: &str,
    origin: impl FnOnce() -> Path,
) -> Arc<RemoteScope> {
    let made = scopes.entry(key.clone()).or_insert_with(|| {
        let name = match key.id {
            // The scope of a worker that stands for a scope of another process has the host's name already.
            Some(_) if name.contains(" @ ") => name.to_string(),
            Some(id) if name.is_empty() => format!("scope {id} @ {}", key.process.host()),
            Some(_) => format!("{name} @ {}", key.process.host()),
            None => key.process.host().to_string(),
        };
        let scope = Scope::new_in(above.map_or(below, |above| &above.at), name);
        let at = scope.lineage().clone();
        Origin::of_scope(key.process.clone(), origin()).bind_at(&at);
        let keys = std::iter::once(key).chain(above.iter().flat_map(|above| above.keys.iter().cloned())).collect();
        Arc::new(RemoteScope { keys, at, scope: Mutex::new(Some(scope)) })
    });
    Arc::clone(made)
}
