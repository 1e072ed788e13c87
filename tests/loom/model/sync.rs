//! Stands in for `src/sync.rs`: the same names, with loom's primitives behind them.
//!
//! loom treats a sequentially consistent access as an acquiring or releasing one, and raises false alarms where the
//! engine relies on more (a push, then a look at the permits, against the two in the reverse order). Its fences are
//! sequentially consistent. So here such a write is one with a fence after it, or such a read one with a fence before
//! it: either puts a fence between a write and the read that follows it. Each model runs with the one and then with the
//! other, so that an ordering weakened by mistake is seen, of a write and of a read.

#[path = "../../../src/sync/clock.rs"]
pub(crate) mod clock;
#[path = "../../../src/sync/fork.rs"]
pub(crate) mod fork;
#[path = "../../../src/sync/local.rs"]
pub(crate) mod local;
#[path = "../../../src/sync/spares.rs"]
pub(crate) mod spares;
#[path = "../../../src/sync/stderr.rs"]
pub(crate) mod stderr;
#[path = "../../../src/sync/unwind.rs"]
pub(crate) mod unwind;
#[path = "../../../src/sync/weak_list.rs"]
pub(crate) mod weak_list;

pub(crate) use crate::model::rayon;

std::thread_local! {
    /// For the models that the calling thread runs from now on. With one CPU, nothing spins.
    pub(crate) static SEVERAL_CPUS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

pub(crate) fn cpus() -> usize {
    if SEVERAL_CPUS.get() { 2 } else { 1 }
}

/// A model has no time: a wait with a deadline looks once.
pub(crate) fn has_passed(_: std::time::Instant) -> bool {
    true
}

pub(crate) type ThreadBody = Box<dyn FnOnce() + Send>;

pub(crate) use loom::cell::Cell;
pub(crate) use loom::sync::MutexGuard;

/// loom's mutex without poisoning, as `parking_lot`'s is.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(|e| e.into_inner())
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(|e| e.into_inner())
    }
}

pub(crate) mod atomic {
    use std::cell::Cell;

    pub(crate) use loom::sync::atomic::{Ordering, fence};

    std::thread_local! {
        static FENCED: Cell<Fenced> = const { Cell::new(Fenced::Writes) };
    }

    /// Which sequentially consistent accesses bring a fence; the others are acquiring and releasing.
    #[derive(Clone, Copy, PartialEq)]
    pub(crate) enum Fenced {
        Writes,
        Reads,
    }

    /// For the models that the calling thread runs from now on.
    pub(crate) fn set_fenced(which: Fenced) {
        FENCED.set(which);
    }

    fn before_read(order: Ordering) {
        if order == Ordering::SeqCst && FENCED.get() == Fenced::Reads {
            fence(Ordering::SeqCst);
        }
    }

    fn after_write(order: Ordering) {
        if order == Ordering::SeqCst && FENCED.get() == Fenced::Writes {
            fence(Ordering::SeqCst);
        }
    }

    fn around<R>(order: Ordering, access: impl FnOnce() -> R) -> R {
        before_read(order);
        let out = access();
        after_write(order);
        out
    }

    macro_rules! atomic {
        ($name:ident $([$t:ident])?, $value:ty, $($arithmetic:ident)*) => {
            #[derive(Debug)]
            pub(crate) struct $name $(<$t>)? (loom::sync::atomic::$name $(<$t>)?);

            impl $(<$t>)? $name $(<$t>)? {
                #[track_caller]
                pub(crate) fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                #[track_caller]
                pub(crate) fn load(&self, order: Ordering) -> $value {
                    before_read(order);
                    self.0.load(order)
                }

                /// A swap: loom orders a plain store with an exchange of another thread as it likes, also within the
                /// exchange.
                #[track_caller]
                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    around(order, || self.0.swap(value, order));
                }

                #[track_caller]
                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    around(order, || self.0.swap(value, order))
                }

                #[track_caller]
                pub(crate) fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    before_read(success);
                    let out = self.0.compare_exchange(current, new, success, failure);
                    if out.is_ok() {
                        after_write(success);
                    }
                    out
                }

                /// Fails only for a reason: a spurious failure is another turn of the caller's loop.
                #[track_caller]
                pub(crate) fn compare_exchange_weak(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.compare_exchange(current, new, success, failure)
                }

                #[track_caller]
                pub(crate) fn fetch_update(
                    &self,
                    set: Ordering,
                    fetch: Ordering,
                    mut f: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    let mut now = self.load(fetch);
                    while let Some(next) = f(now) {
                        match self.compare_exchange(now, next, set, fetch) {
                            Ok(before) => return Ok(before),
                            Err(seen) => now = seen,
                        }
                    }
                    Err(now)
                }

                $(
                    #[track_caller]
                    pub(crate) fn $arithmetic(&self, value: $value, order: Ordering) -> $value {
                        around(order, || self.0.$arithmetic(value, order))
                    }
                )*
            }
        };
    }

    impl Default for AtomicU32 {
        #[track_caller]
        fn default() -> Self {
            Self::new(0)
        }
    }

    impl Default for AtomicUsize {
        #[track_caller]
        fn default() -> Self {
            Self::new(0)
        }
    }

    atomic!(AtomicBool, bool, fetch_and fetch_or);
    atomic!(AtomicU32, u32, fetch_add fetch_sub fetch_and fetch_or);
    atomic!(AtomicU64, u64, fetch_add fetch_sub fetch_and fetch_or);
    atomic!(AtomicUsize, usize, fetch_add fetch_sub fetch_and fetch_or);
    atomic!(AtomicPtr[T], *mut T,);
}

pub(crate) mod os {
    pub(crate) use super::Mutex;
    pub(crate) use super::atomic::{AtomicBool, AtomicUsize, fence};
    pub(crate) use super::thread::{self, Parker, Thread as Unparker};
    // Ids and statistics: they decide nothing, and each access that loom sees costs.
    pub(crate) use std::sync::atomic::{AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, Ordering};
    // Their counts and states are no part of any protocol, and loom's `Arc` cannot be weak.
    pub(crate) use std::sync::{Arc, LazyLock, OnceLock, Weak};
}

/// `std::thread` for the cache, with a system that refuses threads on request.
pub(crate) mod thread {
    use std::io;
    use std::marker::PhantomData;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use loom::sync::{Condvar, Mutex};
    pub(crate) use loom::thread::yield_now;

    /// loom's own park forgets an unpark that comes while the thread waits for a mutex.
    #[derive(Clone, Default)]
    pub(crate) struct Thread(Arc<(Mutex<bool>, Condvar)>);

    impl Thread {
        pub(crate) fn unpark(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_one();
        }
    }

    #[derive(Default)]
    pub(crate) struct Parker(Thread);

    impl Parker {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn unparker(&self) -> &Thread {
            &self.0
        }

        pub(crate) fn park(&self) {
            let (told, changed) = &*self.0.0;
            let mut told = told.lock().unwrap();
            while !std::mem::take(&mut *told) {
                told = changed.wait(told).unwrap();
            }
        }

        pub(crate) fn park_deadline(&self, _: Instant) {
            unreachable!("each deadline has passed");
        }
    }

    thread_local! {
        static PARKER: Parker = const { Parker::default() };
    }

    pub(crate) fn current() -> Thread {
        PARKER.with(|parker| parker.unparker().clone())
    }

    pub(crate) fn park() {
        PARKER.with(Parker::park);
    }

    loom::lazy_static! {
        static ref REFUSALS: super::atomic::AtomicUsize = super::atomic::AtomicUsize::new(0);
        /// The number of threads that it still gives.
        static ref LEFT: super::atomic::AtomicUsize = super::atomic::AtomicUsize::new(usize::MAX);
    }

    /// From now on the system refuses this many threads, and gives the later ones.
    pub(crate) fn refuse(threads: usize) {
        REFUSALS.store(threads, super::atomic::Ordering::SeqCst);
    }

    /// From now on the system gives this many threads, and no more.
    pub(crate) fn most(threads: usize) {
        LEFT.store(threads, super::atomic::Ordering::SeqCst);
    }

    fn refused() -> bool {
        let one_less = |count: &super::atomic::AtomicUsize| {
            count.fetch_update(super::atomic::Ordering::SeqCst, super::atomic::Ordering::SeqCst, |n| n.checked_sub(1))
        };
        one_less(&REFUSALS).is_ok() || one_less(&LEFT).is_err()
    }

    /// Never passes time: the models let a thread sleep for ever, or not at all.
    pub(crate) fn park_timeout(_time: Duration) {
        park();
    }

    /// For the threads of a model itself.
    pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> loom::thread::JoinHandle<T> {
        loom::thread::spawn(|| {
            let out = f();
            crate::model::local::end();
            out
        })
    }

    pub(crate) struct Builder(loom::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Self {
            Self(loom::thread::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        pub(crate) fn stack_size(self, _bytes: usize) -> Self {
            self
        }

        pub(crate) fn spawn<T: Send + 'static>(
            self,
            f: impl FnOnce() -> T + Send + 'static,
        ) -> io::Result<JoinHandle<T>> {
            if refused() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let started = self.0.spawn(|| {
                let out = f();
                crate::model::local::end();
                out
            });
            started.map(|handle| {
                DETACHED.lock().unwrap().push(Box::new(|| drop(handle.join())));
                JoinHandle(PhantomData)
            })
        }
    }

    /// A token: [`join_detached`] waits for all of the model's threads, whichever code holds one.
    pub(crate) struct JoinHandle<T>(PhantomData<fn() -> T>);

    impl<T> JoinHandle<T> {
        /// loom cannot say; the answer only lets a list of handles grow.
        pub(crate) fn is_finished(&self) -> bool {
            false
        }

        pub(crate) fn join(self) {}
    }

    loom::lazy_static! {
        /// Detached threads, until the model ends. Never locked across anything that loom sees.
        static ref DETACHED: std::sync::Mutex<Vec<Box<dyn FnOnce()>>> = std::sync::Mutex::default();
    }

    /// Waits for the detached threads, so that the model's values end after them.
    pub(crate) fn join_detached() {
        loop {
            let next = DETACHED.lock().unwrap().pop();
            let Some(join) = next else { break };
            join();
        }
    }
}
