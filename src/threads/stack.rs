//! [`grow`]: stack for code that runs inside other code of the same thread, however deep.
//!
//! A task that runs inside another one takes the same thread's stack, and an overflow of it ends the process. So before
//! such a task runs, its caller says how much stack it is to find. Where less is left it runs on a new *segment* of
//! stack, which is given back when it returns. The segments of one thread are bounded by [`limit`]; beyond that, and
//! where the system has no memory for one, the caller hears [`NoRoom`] and the task ends with an error.
//!
//! # Cost
//! A look at how much is left reads a thread-local and compares. A segment costs a few system calls, and its pages are
//! memory once they are used. Each is at least twice as large as what is asked for, and a quarter of all before it, so
//! they are few also where the stack is deep: the number of mappings that a process may have is bounded too.
//!
//! # Where stacks do not grow
//! Without the feature `stacker`, and on platforms where the crate of that name cannot do it, how much is left may not
//! even be known. Each level then counts as [`LEVEL`] of what is asked for.

#[cfg(feature = "stacker")]
use std::cell::Cell;

use crate::error::stack::NoRoom;
use crate::sync::os::{AtomicUsize, Ordering};

/// How much stack the segments of one thread may take, unless told otherwise. It is address space: memory is taken as
/// it is used.
const DEFAULT_LIMIT: usize = if usize::BITS < 64 { 256 << 20 } else { 8 << 30 };

/// The smallest segment.
#[cfg(feature = "stacker")]
const SEGMENT: usize = 256 << 10;

/// What one level counts as, of the stack that is asked for, where nothing is known.
const LEVEL: usize = 4 << 10;

static LIMIT: AtomicUsize = AtomicUsize::new(DEFAULT_LIMIT);

#[cfg(feature = "stacker")]
thread_local! {
    /// Of the thread's segments, in bytes.
    static GROWN: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn limit() -> usize {
    LIMIT.load(Ordering::Relaxed)
}

pub(crate) fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// How much of the present stack is left, where that is known.
#[inline]
fn left() -> Option<usize> {
    #[cfg(feature = "stacker")]
    return stacker::remaining_stack();
    #[cfg(not(feature = "stacker"))]
    return None;
}

/// Whether so many bytes of the present stack are left, for code at this depth.
#[inline]
pub(crate) fn has(needed: usize, depth: u32) -> bool {
    match left() {
        Some(left) => left >= needed,
        None => (depth as usize).saturating_mul(LEVEL) < needed,
    }
}

/// Whether stacks grow here at all.
#[inline]
pub(crate) fn grows() -> bool {
    left().is_some()
}

/// Runs `f` once, on a new segment with at least so many bytes. It has not run on an error.
#[cfg(feature = "stacker")]
#[cold]
pub(crate) fn grow(needed: usize, f: &mut dyn FnMut()) -> Result<(), NoRoom> {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use crate::sync::unwind::swallow_drop;

    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            GROWN.set(self.0);
        }
    }

    let (before, limit) = (GROWN.get(), limit());
    let least = needed.saturating_mul(2).max(SEGMENT);
    let size = least.max(before / 4).min(limit.saturating_sub(before));
    if size < least {
        return Err(NoRoom::Limit(limit));
    }
    if !system_gives(size) {
        return Err(NoRoom::NoMemory);
    }
    GROWN.set(before + size);
    let _restore = Restore(before);
    let mut begun = false;
    // What is refused between the look above and here is a panic.
    let out = catch_unwind(AssertUnwindSafe(|| {
        stacker::grow(size, || {
            // Where stacks cannot be switched this is the old one.
            if left().is_some_and(|left| left >= needed) {
                begun = true;
                f();
            }
        });
    }));
    match out {
        Ok(()) if begun => Ok(()),
        Ok(()) => Err(NoRoom::CannotGrow),
        Err(payload) if begun => resume_unwind(payload),
        Err(payload) => {
            swallow_drop(payload);
            Err(NoRoom::NoMemory)
        }
    }
}

#[cfg(not(feature = "stacker"))]
#[cold]
pub(crate) fn grow(_needed: usize, _f: &mut dyn FnMut()) -> Result<(), NoRoom> {
    Err(NoRoom::CannotGrow)
}

/// Asks the system for as much memory, and gives it back at once: `stacker` takes a refusal for a panic.
#[cfg(all(feature = "stacker", unix))]
fn system_gives(bytes: usize) -> bool {
    const GUARDS: usize = 256 << 10;
    let bytes = bytes.saturating_add(GUARDS);
    // SAFETY: a mapping at an address of the system's choice touches nothing that exists.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANON,
            -1,
            0,
        )
    };
    if at == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: exactly what was mapped above; nobody else knows of it.
    unsafe { libc::munmap(at, bytes) };
    true
}

#[cfg(all(feature = "stacker", not(unix)))]
fn system_gives(_bytes: usize) -> bool {
    true
}
