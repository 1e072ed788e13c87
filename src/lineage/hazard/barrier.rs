//! The lopsided barrier: a light half for readers, a heavy one for writers.
//!
//! A reader's half is a compiler fence, and a writer makes all running threads execute a full one with `membarrier(2)`.
//! Where the system has no such call, or denies it later, both halves are full fences. [`super`] has the proofs.

use std::time::{Duration, Instant};

use crate::sync::os::{AtomicU8, AtomicU64, OnceLock, Ordering, fence};

/// A thousand times as long as a store takes to be seen everywhere. See [`super`].
const SETTLES: Duration = Duration::from_secs(1);

/// Both halves are full fences: the system has no lopsided barrier, or no thread has asked yet.
const FULL: u8 = 0;
/// The reader's half is a compiler fence.
const LIGHT: u8 = 1;
/// Both halves are full fences, since the system denied the barrier after it had worked.
const DENIED: u8 = 2;

/// Goes up only.
static MODE: AtomicU8 = AtomicU8::new(FULL);
/// One word for all that a reader has to know: zero in nearly every look-up. [`FENCES`] unless the mode is [`LIGHT`], and a bit
/// for each address that waits to be freed.
static READERS: AtomicU64 = AtomicU64::new(FENCES);
/// A full fence is the reader's half.
const FENCES: u64 = 1 << 63;
/// The moment from which [`SETTLES`] counts: the mode is [`DENIED`] by then.
static DENIED_SINCE: OnceLock<Instant> = OnceLock::new();

/// Asks the system for the barrier, once. Each reader calls it before its first read.
pub(super) fn prepare() {
    static ASKED: OnceLock<()> = OnceLock::new();
    ASKED.get_or_init(|| {
        if register() {
            MODE.store(LIGHT, Ordering::Relaxed);
            READERS.fetch_and(!FENCES, Ordering::Relaxed);
        }
    });
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

/// The word that readers look at.
#[derive(Clone, Copy)]
pub(super) struct Readers(u64);

impl Readers {
    #[inline]
    pub(super) fn now() -> Self {
        Self(READERS.load(Ordering::Relaxed))
    }

    /// Returns whether a compiler fence is the reader's half, and no address waits to be freed.
    #[inline]
    pub(super) fn is_calm(self) -> bool {
        self.0 == 0
    }

    /// Returns whether a full fence is the reader's half. Otherwise a compiler fence is.
    #[inline]
    pub(super) fn fence(self) -> bool {
        self.0 & FENCES != 0
    }

    /// Returns whether an address with one of these bits waits to be freed.
    pub(super) fn wait_for(self, bits: u32) -> bool {
        self.0 & u64::from(bits) != 0
    }
}

/// Sets the bits of the addresses that wait to be freed. Called by one thread at a time.
pub(super) fn set_waiting(bits: u32) {
    let bits = u64::from(bits);
    // The bits that are set already stay set throughout.
    READERS.fetch_or(bits, Ordering::Relaxed);
    READERS.fetch_and(FENCES | bits, Ordering::Relaxed);
}

/// The writer's half, with a full fence in any case.
///
/// Returns false when a reader's half may be a compiler fence and no barrier completed it.
pub(super) fn heavy() -> bool {
    fence(Ordering::SeqCst);
    match MODE.load(Ordering::Relaxed) {
        FULL => true,
        LIGHT => everywhere(),
        _ => false,
    }
}

/// Makes readers use full fences from now on. True for the first call.
#[cold]
pub(super) fn fall_back() -> bool {
    READERS.fetch_or(FENCES, Ordering::SeqCst);
    let first = MODE.swap(DENIED, Ordering::SeqCst) != DENIED;
    DENIED_SINCE.get_or_init(Instant::now);
    first
}

/// Returns whether every store made before the readers' full fences is in memory by now.
pub(super) fn has_settled() -> bool {
    DENIED_SINCE.get().is_some_and(|since| since.elapsed() >= SETTLES)
}

/// Returns whether readers of an object that is made from now on use full fences, since the barrier was denied.
///
/// The maker of an object asks before it publishes the object, and gives the answer to [`retire`](super::retire).
#[inline]
pub(crate) fn is_fenced() -> bool {
    // Acquire: a reader that acquires the object sees `FENCES` set; pairs with the swap in `fall_back`.
    MODE.load(Ordering::Acquire) == DENIED
}
