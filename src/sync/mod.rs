//! The one file through which the crate names `std::sync` and `parking_lot`, and the helpers that know nothing of this
//! crate.
//!
//! The models (`tests/loom`) compile the engine's own files against another file in the place of this one, which
//! names loom's. The helpers are the same there: their own locks and atomics are `std`'s, and no protocol is built on them.

pub(crate) mod clock;
pub(crate) mod fork;
pub(crate) mod local;
#[cfg(feature = "rayon")]
pub(crate) mod rayon;
pub(crate) mod shards;
pub(crate) mod spares;
pub(crate) mod stderr;
pub(crate) mod unwind;
pub(crate) mod weak_list;

use std::sync::LazyLock;
use std::time::Instant;

pub(crate) use self::real::*;

/// Primitives outside of the lock-free protocols that loom models.
pub(crate) mod os {
    pub(crate) use crossbeam_utils::sync::{Parker, Unparker};
    #[cfg(feature = "remote")]
    pub(crate) use parking_lot::MutexGuard;
    pub(crate) use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicIsize, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence,
        fence,
    };
    pub(crate) use std::sync::{Arc, LazyLock, OnceLock, Weak};
    pub(crate) use std::thread;
}

/// Returns the number of CPUs that the process may use. Asks the system once.
pub(crate) fn cpus() -> usize {
    static CPUS: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CPUS
}

/// Returns whether the moment has come. In the models each has.
pub(crate) fn has_passed(deadline: Instant) -> bool {
    Instant::now() >= deadline
}

/// The code of a thread. Boxed, so that `std`'s spawn is compiled once.
pub(crate) type ThreadBody = Box<dyn FnOnce() + Send>;

mod real {
    pub(crate) use std::cell::Cell;

    pub(crate) use parking_lot::{Mutex, MutexGuard};

    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
    }
}
