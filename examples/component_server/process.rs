//! What belongs to the process as a whole: the shared pool, and what can be seen of everything at once.

use heirloom::{Lineage, NodeKind, PoolConfig, Registry, StartError};

pub(crate) const IO: &str = "io";

/// Starts the pool that all requests share. Created where `main` stands, it is found from everywhere.
pub(crate) fn start_io() -> Result<(), StartError> {
    heirloom::create(IO).start(PoolConfig::leased(4).joining())
}

/// Everything that is alive at this moment.
pub(crate) fn tree() -> String {
    Registry::global().tree().to_string()
}

/// The names of the managers that are alive and do not belong to the process itself. With no request open there are
/// none.
pub(crate) fn leftover_managers() -> Vec<String> {
    let of_the_process = |owner: Lineage| owner.kind() == NodeKind::Process;
    Registry::global()
        .managers()
        .iter()
        .filter(|manager| !manager.owner().is_some_and(of_the_process))
        .map(|manager| manager.namespace().to_string())
        .collect()
}
