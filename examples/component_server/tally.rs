//! The process's own counts while it serves.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Counts only: nothing is decided by them, so no order between them matters.
pub(crate) struct Tally {
    requests: AtomicU64,
    managers: AtomicU64,
    components: AtomicU64,
    lineages: AtomicU64,
    wrong_lineages: AtomicU64,
    lines: AtomicU64,
    lines_for_gone_clients: AtomicU64,
}

pub(crate) static TALLY: Tally = Tally {
    requests: AtomicU64::new(0),
    managers: AtomicU64::new(0),
    components: AtomicU64::new(0),
    lineages: AtomicU64::new(0),
    wrong_lineages: AtomicU64::new(0),
    lines: AtomicU64::new(0),
    lines_for_gone_clients: AtomicU64::new(0),
};

impl Tally {
    /// Counts a request and gives its number, from 1.
    pub(crate) fn request(&self) -> u64 {
        self.requests.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn manager_created(&self) {
        self.managers.fetch_add(1, Relaxed);
    }

    pub(crate) fn component(&self) {
        self.components.fetch_add(1, Relaxed);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Counts a task that looked where it stands.
    pub(crate) fn lineage(&self, right: bool) {
        self.lineages.fetch_add(1, Relaxed);
        self.wrong_lineages.fetch_add((!right).into(), Relaxed);
    }

    /// Counts a line that is about to be coloured.
    pub(crate) fn line(&self, client_is_gone: bool) {
        self.lines.fetch_add(1, Relaxed);
        self.lines_for_gone_clients.fetch_add(client_is_gone.into(), Relaxed);
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines.load(Relaxed)
    }

    /// Returns the number of lines that were coloured after their client had gone.
    pub(crate) fn lines_for_gone_clients(&self) -> u64 {
        self.lines_for_gone_clients.load(Relaxed)
    }

    pub(crate) fn managers(&self) -> u64 {
        self.managers.load(Relaxed)
    }

    pub(crate) fn components(&self) -> u64 {
        self.components.load(Relaxed)
    }

    pub(crate) fn lineages(&self) -> u64 {
        self.lineages.load(Relaxed)
    }

    pub(crate) fn wrong_lineages(&self) -> u64 {
        self.wrong_lineages.load(Relaxed)
    }
}
