//! The scopes of this process that jobs were sent from, so that workers learn of their ends.

use std::collections::HashMap;

use crate::cancel::OnCancel;
use crate::error::CancelReason;
use crate::lineage::handle::Lineage;
use crate::lineage::node::{NodeRef, WeakNodeRef};
use crate::sync::os::Mutex;

/// The scopes that jobs were sent from and that workers may keep something for.
pub(crate) struct Scopes(Mutex<HashMap<u64, Noted>>);

struct Noted {
    node: WeakNodeRef,
    /// The jobs of the scope that have not ended.
    jobs: usize,
    /// Set while there are jobs: it keeps the node.
    on_cancel: Option<OnCancel>,
    /// The workers were notified of the scope's cancel.
    stopped: bool,
}

impl Scopes {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// Counts a job in each of its scopes. `at_cancel` makes the code that runs when a scope is cancelled.
    pub(super) fn note<F>(&self, scopes: &[(u64, WeakNodeRef)], at_cancel: impl Fn(u64) -> F)
    where
        F: FnOnce() + Send + 'static,
    {
        for (id, node) in scopes {
            let first = {
                let mut noted = self.0.lock();
                let noted = noted.entry(*id).or_insert_with(|| Noted {
                    node: node.clone(),
                    jobs: 0,
                    on_cancel: None,
                    stopped: false,
                });
                noted.jobs += 1;
                noted.jobs == 1
            };
            let Some(at) = node.upgrade().filter(|_| first) else { continue };
            // Runs the code at once in a scope that is cancelled already.
            let hook = Lineage(at).on_cancel(at_cancel(*id));
            let unused = match self.0.lock().get_mut(id) {
                Some(noted) if noted.jobs > 0 => noted.on_cancel.replace(hook),
                _ => Some(hook),
            };
            drop(unused);
        }
    }

    /// Counts a job out of its scopes.
    pub(super) fn leave(&self, scopes: &[(u64, WeakNodeRef)]) {
        for (id, _) in scopes {
            let hook = {
                let mut noted = self.0.lock();
                noted.get_mut(id).and_then(|noted| {
                    noted.jobs = noted.jobs.saturating_sub(1);
                    if noted.jobs == 0 { noted.on_cancel.take() } else { None }
                })
            };
            // It waits for code that runs, which takes the lock.
            drop(hook);
        }
    }

    /// Returns whether the workers were notified of the cancel of one of these scopes.
    pub(super) fn any_stopped(&self, scopes: &[(u64, WeakNodeRef)]) -> bool {
        let noted = self.0.lock();
        scopes.iter().any(|(id, _)| noted.get(id).is_some_and(|noted| noted.stopped))
    }

    /// Returns those of the scopes that have ended, or that this process does not know.
    pub(super) fn ended(&self, scopes: &[u64]) -> Vec<u64> {
        let noted = self.0.lock();
        scopes
            .iter()
            .copied()
            .filter(|id| noted.get(id).is_none_or(|noted| noted.jobs == 0 && is_over(noted.node.upgrade().as_ref())))
            .collect()
    }

    /// Notes that the workers are notified of a scope's cancel. Returns its reason; `None` for a scope that is not known.
    pub(super) fn stop(&self, id: u64) -> Option<CancelReason> {
        let node = {
            let mut noted = self.0.lock();
            let noted = noted.get_mut(&id)?;
            noted.stopped = true;
            noted.node.clone()
        };
        let cause = node.upgrade().and_then(|node| node.node().cause());
        Some(cause.map_or(CancelReason::Request, |cause| cause.reason()))
    }

    /// Returns the scopes without jobs that were cancelled since the last look, and those that have ended. The latter are
    /// forgotten.
    pub(super) fn look(&self) -> (Vec<u64>, Vec<u64>) {
        let (mut cancelled, mut ended, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
        self.0.lock().retain(|id, noted| {
            if noted.jobs > 0 {
                return true;
            }
            let node = noted.node.upgrade();
            let is_over = is_over(node.as_ref());
            if is_over {
                ended.push(*id);
            } else if !noted.stopped && node.as_ref().is_some_and(|node| node.node().is_cancelled()) {
                cancelled.push(*id);
            }
            // Dropped without the lock: it may be the last reference.
            nodes.extend(node);
            !is_over
        });
        drop(nodes);
        (cancelled, ended)
    }
}

/// Returns whether nothing can be sent from the scope any more.
fn is_over(scope: Option<&NodeRef>) -> bool {
    scope.is_none_or(|scope| scope.node().is_over())
}
