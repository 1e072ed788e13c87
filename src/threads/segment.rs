//! Stack segments by `corosensei`, and the end of the present stack.
//!
//! [`Bounds`] are those of the present stack: of a segment by its allocation, of the thread's own stack by one question
//! to the system. Another crate may grow stacks by itself (`stacker`). Code on such a foreign segment is outside of the
//! bounds, so nothing is left there and a segment of this crate follows. The other crate does not know the segments of
//! this crate either. Its first look in one takes the stack for full, as a rule, and grows it.

use std::hint::black_box;

use corosensei::stack::{DefaultStack, Stack};

use crate::error::stack::NoRoom;
use crate::sync::local::{Bounds, WORDS};

/// The smallest segment.
const SMALLEST: usize = 256 << 10;
/// More than a guard page on any system.
const GUARD: usize = 64 << 10;
/// The thread has not asked for the bounds of its own stack yet.
const UNASKED: usize = 0;
/// The system does not tell the bounds.
const UNKNOWN: usize = usize::MAX;

struct Restore(Bounds);

impl Drop for Restore {
    fn drop(&mut self) {
        WORDS.with(|words| words.stack.set(self.0));
    }
}

/// Returns how many bytes of the present stack are left, where the system tells. None are on a foreign segment.
#[inline]
pub(super) fn left() -> Option<usize> {
    let here = 0u8;
    let top = black_box(&raw const here).addr();
    let mut present = WORDS.with(|words| words.stack.get());
    if present.floor == UNASKED {
        present = ask();
    }
    if present.floor == UNKNOWN {
        return None;
    }
    Some(if top < present.ceiling { top.saturating_sub(present.floor) } else { 0 })
}

#[cold]
fn ask() -> Bounds {
    let (floor, ceiling) = bounds().unwrap_or((UNKNOWN, UNKNOWN));
    WORDS.with(|words| {
        let present = Bounds { floor, ceiling, ..words.stack.get() };
        words.stack.set(present);
        present
    })
}

pub(super) fn grow(needed: usize, limit: usize, f: &mut dyn FnMut()) -> Result<(), NoRoom> {
    left().ok_or(NoRoom::CannotGrow)?;
    let before = WORDS.with(|words| words.stack.get());
    let least = needed.saturating_mul(2).max(SMALLEST);
    let size = least.max(before.grown / 4).min(limit.saturating_sub(before.grown));
    if size < least {
        return Err(NoRoom::Limit(limit));
    }
    // The crate panics where the sum overflows.
    let whole = size.checked_add(2 * GUARD).ok_or(NoRoom::NoMemory)?;
    let mut stack = DefaultStack::new(whole - GUARD).map_err(|_| NoRoom::NoMemory)?;
    let (floor, ceiling) = (stack.limit().get() + GUARD, stack.base().get());
    let present = Bounds { floor, ceiling, grown: before.grown + size };
    let _restore = Restore(WORDS.with(|words| words.stack.replace(present)));
    // Resumes a panic of `f` here.
    corosensei::on_stack(&mut stack, f);
    Ok(())
}

#[cfg(target_os = "freebsd")]
use libc::pthread_attr_get_np as attributes_of;
#[cfg(any(target_os = "android", target_os = "linux"))]
use libc::pthread_getattr_np as attributes_of;

/// Returns the lowest address of the calling thread's own stack, and its end.
#[cfg(any(target_os = "android", target_os = "freebsd", target_os = "linux"))]
fn bounds() -> Option<(usize, usize)> {
    use std::mem::MaybeUninit;
    use std::ptr;

    let (mut attributes, mut lowest, mut size) = (MaybeUninit::uninit(), ptr::null_mut(), 0);
    // SAFETY: the attributes are initialised before they are read, and destroyed once. The other pointers are to
    // locals, into which the system writes.
    unsafe {
        if libc::pthread_attr_init(attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let known = attributes_of(libc::pthread_self(), attributes.as_mut_ptr()) == 0
            && libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut size) == 0;
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        known.then(|| (lowest.addr(), lowest.addr() + size))
    }
}

/// Returns the lowest address of the calling thread's own stack, and its end.
#[cfg(target_vendor = "apple")]
fn bounds() -> Option<(usize, usize)> {
    // SAFETY: the calls read the calling thread's own description.
    let (highest, size) = unsafe {
        let thread = libc::pthread_self();
        (libc::pthread_get_stackaddr_np(thread), libc::pthread_get_stacksize_np(thread))
    };
    Some((highest.addr().checked_sub(size)?, highest.addr()))
}

/// Returns the lowest address of the calling thread's own stack, above the pages that the system keeps, and its end.
#[cfg(windows)]
fn bounds() -> Option<(usize, usize)> {
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetCurrentThreadStackLimits(low: *mut usize, high: *mut usize);
    }
    let (mut low, mut high) = (0, 0);
    // SAFETY: the pointers are to locals, into which the system writes.
    unsafe { GetCurrentThreadStackLimits(&raw mut low, &raw mut high) };
    Some((low + GUARD, high))
}
