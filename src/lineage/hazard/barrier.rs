//! The lopsided barrier: a light half for readers, a heavy one for writers.
//!
//! A reader's half is a compiler fence, and a writer makes all running threads execute a full one with `membarrier(2)`.
//! Where the system has no such call, or denies it later, both halves are full fences. [`super`] has the proofs.

use std::time::{Duration, Instant};

use crate::sync::os::{AtomicBool, OnceLock, Ordering, compiler_fence, fence};

/// A thousand times as long as a store takes to be seen everywhere. See [`super`].
const SETTLES: Duration = Duration::from_secs(1);

/// The system denied the barrier after it had worked. Never reset.
static FENCED: AtomicBool = AtomicBool::new(false);
/// The moment from which [`SETTLES`] counts: [`FENCED`] is set by then.
static FENCED_SINCE: OnceLock<Instant> = OnceLock::new();

/// Returns whether the lopsided barrier works here.
pub(super) fn lopsided() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(register)
}

#[cfg(target_os = "linux")]
mod membarrier {
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    fn call(command: libc::c_int) -> bool {
        // SAFETY: the call takes numbers only, and reports an unknown command as an error.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    pub(super) fn register() -> bool {
        call(REGISTER_PRIVATE_EXPEDITED) && call(PRIVATE_EXPEDITED)
    }

    pub(super) fn everywhere() -> bool {
        call(PRIVATE_EXPEDITED)
    }
}

#[cfg(target_os = "linux")]
use membarrier::{everywhere, register};

#[cfg(not(target_os = "linux"))]
fn register() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn everywhere() -> bool {
    false
}

/// The reader's half.
#[inline]
pub(super) fn light(lopsided: bool) {
    if lopsided {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// The writer's half, with a full fence in any case.
///
/// Returns false when a reader's half may be a compiler fence and no barrier completed it.
pub(super) fn heavy() -> bool {
    fence(Ordering::SeqCst);
    !lopsided() || (!is_fenced() && everywhere())
}

/// Makes readers use full fences from now on. True for the first call.
#[cold]
pub(super) fn fall_back() -> bool {
    let first = !FENCED.swap(true, Ordering::SeqCst);
    FENCED_SINCE.get_or_init(Instant::now);
    first
}

/// Returns whether every store made before the readers' full fences is in memory by now.
pub(super) fn has_settled() -> bool {
    FENCED_SINCE.get().is_some_and(|since| since.elapsed() >= SETTLES)
}

/// Returns whether readers of an object that is made from now on use full fences.
///
/// The maker of an object asks before it publishes the object, and gives the answer to [`retire`](super::retire).
#[inline]
pub(crate) fn is_fenced() -> bool {
    FENCED.load(Ordering::Relaxed)
}
