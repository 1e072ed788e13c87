//! The process's part: the shared pools, and a look at the whole family.

use std::thread::available_parallelism;

use heirloom::{Lineage, NodeKind, PoolConfig, Registry};

pub(crate) const IO: &str = "io";

/// How many files are read at a time.
const READS: usize = 4;

pub(crate) const HIGHLIGHT: &str = "highlight";

/// Starts the pools that all requests share. Created where `main` stands, they are found from everywhere.
///
/// Long code is coloured by a work-stealing pool: a page's code keeps all cores busy, and however many such pages there
/// are, no more than that many threads do. So short pages always find a core soon.
pub(crate) fn start_pools() -> Result<(), heirloom::Error> {
    heirloom::create(IO).start(PoolConfig::leased(READS).joining())?;
    heirloom::create(HIGHLIGHT).start(PoolConfig::work_stealing(cores()).joining())
}

/// How many threads these pools have at most.
pub(crate) fn threads() -> usize {
    READS + cores()
}

pub(crate) fn cores() -> usize {
    available_parallelism().map_or(2, usize::from)
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
