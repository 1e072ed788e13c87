//! The one file that names `std::sync`, `parking_lot` or `loom`.
//!
//! Modules whose protocol is model-checked ([`crate::tally`], `pool::{queue, places}`, `task`, `threads::line`)
//! take their primitives from here and get loom's under `--cfg loom`. Everything in [`os`] is never modelled:
//! process-wide statics and thread-locals, which outlive a model.

#[cfg(not(loom))]
pub(crate) use self::real::*;

#[cfg(loom)]
pub(crate) use self::modelled::*;

/// Primitives that are the real ones in every build.
pub(crate) mod os {
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicIsize, AtomicPtr, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence,
    };
    pub(crate) use std::sync::{Arc, LazyLock, OnceLock, Weak};
}

#[cfg(not(loom))]
mod real {
    pub(crate) use event_listener::Event;
    pub(crate) use parking_lot::{Mutex, MutexGuard};

    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
    }

    /// `std`'s cell behind loom's closure interface, so that one source serves both.
    #[derive(Debug, Default)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(loom)]
mod modelled {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::MutexGuard;

    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
    }

    /// loom's mutex without poisoning, as `parking_lot`'s is.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(|e| e.into_inner())
        }
    }

    /// The part of `event_listener::Event` the models need: a turn counter that waiters compare.
    #[derive(Debug, Default)]
    pub(crate) struct Event {
        turn: loom::sync::Mutex<usize>,
        turned: loom::sync::Condvar,
    }

    /// Remembers the turn it was made in.
    pub(crate) struct EventListener<'a> {
        event: &'a Event,
        seen: usize,
    }

    impl Event {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn notify(&self, _n: usize) {
            *self.turn.lock().unwrap() += 1;
            self.turned.notify_all();
        }

        pub(crate) fn listen(&self) -> EventListener<'_> {
            EventListener { event: self, seen: *self.turn.lock().unwrap() }
        }
    }

    impl EventListener<'_> {
        pub(crate) fn wait(self) {
            let mut turn = self.event.turn.lock().unwrap();
            while *turn == self.seen {
                turn = self.event.turned.wait(turn).unwrap();
            }
        }
    }
}
