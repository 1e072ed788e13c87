//! Hazard pointers: borrows of objects that a writer may retire meanwhile, without a count.
//!
//! A reader publishes the address that it is about to use in a slot of its thread's record, then checks that the
//! address is still where it found it. A writer takes an address out first, and frees it only when no slot holds it.
//! (M. Michael, "Hazard Pointers: Safe Memory Reclamation for Lock-Free Objects", 2004.)
//!
//! # The races to fear
//! * The reader publishes and checks; the writer takes out and scans. Between its two steps each side needs a
//!   store-load barrier, so that one of them sees the other.
//! * The reader clears its slot and checks whether an object waits to be freed; the writer notes the object and scans.
//!   The same barrier: an object that the writer could not free, the reader frees.
//!
//! Look-ups are many and removals few, so the barrier is lopsided ([`barrier`]): on Linux the reader's half is a
//! compiler fence, and the writer's half a call of `membarrier(2)` (a few microseconds). Where the system has no such
//! call both sides use a full fence.
//!
//! # When the call is denied later
//! A sandbox (seccomp) may deny it after it has worked. The first writer that is refused sets a flag
//! ([`barrier::is_fenced`]), and both sides use full fences from then on. A reader that has not seen the flag may hold an
//! address behind a compiler fence alone, where no scan is sure to see it. So there are two kinds of retired objects.
//!
//! *Made after its maker saw the flag*: such an object is freed as ever. A reader reads the flag last, after the load
//! that confirms the address. That load acquires the maker's publication, so the flag, which the maker had read as set,
//! is set for the reader too (two reads of one atomic, the one before the other, do not go back). The reader then
//! confirms once more, behind a full fence, and the usual argument holds. An address that was freed and used again
//! makes no difference: the load that confirms it is the one that acquires.
//!
//! *Made before*: such an object may be held unseen. It waits until the flag has been set for a second
//! ([`barrier::has_settled`]). Every thread has seen the flag by then, and each store made before is in memory: a
//! processor writes its stores back within microseconds, and at each interrupt. (A. Morrison, Y. Afek, "Temporally
//! Bounding TSO for Fence-Free Asymmetric Synchronization", 2015.) The next removal looks at them again. Pools count as made
//! before, whenever they were.

mod barrier;
mod record;
pub(super) mod thread;

use std::mem;
use std::ptr;

use smallvec::SmallVec;

use crate::lineage::hazard::barrier::Readers;
use crate::lineage::hazard::record::Record;
use crate::lineage::locals::LOCALS;
use crate::sync::fork;
use crate::sync::os::{Arc, AtomicPtr, Mutex, Ordering, compiler_fence, fence};
use crate::sync::unwind::{swallow, swallow_drop};

pub(crate) use self::barrier::is_fenced;

static RETIRED: Mutex<Retirement> = Mutex::new(Retirement { now: Vec::new(), settling: Vec::new() });

/// The objects that wait to be freed.
struct Retirement {
    now: Vec<Retired>,
    /// Made before the barrier was denied. Kept apart, so that a scan does not go through them each time.
    settling: Vec<Retired>,
}

struct Retired {
    object: Object,
    /// Its maker had seen that readers use full fences.
    fenced: bool,
}

enum Object {
    /// From a `Box`. A pointer: a box would claim that no reader looks at its contents.
    Boxed(*mut dyn Send),
    /// One count of a shared object, whose other counts do not matter here.
    Counted(Arc<dyn Send + Sync>),
}

// SAFETY: the object is `Send`, and this owns it.
unsafe impl Send for Object {}

impl Retired {
    fn address(&self) -> *mut () {
        match &self.object {
            Object::Boxed(boxed) => boxed.cast(),
            Object::Counted(counted) => Arc::as_ptr(counted).cast_mut().cast(),
        }
    }
}

/// Returns one bit for an address. A reader that never published an address with the bit of a retired one does not hold up
/// that object.
#[inline]
fn bit(address: *mut ()) -> u32 {
    1 << ((address.addr() >> 5) % 32)
}

fn bits(retired: &[Retired]) -> u32 {
    retired.iter().fold(0, |bits, entry| bits | bit(entry.address()))
}

/// A hazard pointer: keeps one address from being freed. Belongs to this thread; dropped in the reverse order of
/// taking.
#[must_use]
pub(crate) struct Held {
    slot: &'static AtomicPtr<()>,
    /// A record for this one alone, where the thread's record has no free slot.
    alone: Option<&'static Record>,
}

/// Takes a hazard pointer of this thread.
///
/// A thread that has none yet takes a record. It first calls `gives_back`, which says whether a [`give_back`] will
/// follow at the thread's end.
#[inline]
pub(crate) fn hold(gives_back: fn() -> bool) -> Held {
    let free = LOCALS.with(|locals| {
        let held = locals.hazards.held.get();
        let slot = locals.hazards.slots.get(held)?.get()?;
        locals.hazards.held.set(held + 1);
        Some(slot)
    });
    match free {
        Some(slot) => Held { slot, alone: None },
        None => hold_more(gives_back),
    }
}

/// [`hold`] for a thread without a record, or with a hazard pointer in each slot of its record.
#[cold]
#[inline(never)]
fn hold_more(gives_back: fn() -> bool) -> Held {
    LOCALS.with(|locals| {
        let hazards = &locals.hazards;
        let first = hazards.record.get().is_none() && gives_back();
        let record = record::take();
        if first {
            hazards.set_record(Some(record));
        }
        hazards.held.set(hazards.held.get() + 1);
        Held { slot: &record.slots[0], alone: (!first).then_some(record) }
    })
}

/// Leaves the calling thread's record to the next thread that needs one.
pub(crate) fn give_back() {
    LOCALS.with(|locals| {
        if let Some(record) = locals.hazards.record.get() {
            locals.hazards.set_record(None);
            record.give_back();
        }
    });
}

impl Held {
    /// Returns the address that `source` has now, protected. Null needs no protection.
    ///
    /// The address is protected until this protects another or is dropped.
    #[inline]
    pub(crate) fn protect<T>(&self, source: &AtomicPtr<T>) -> *const T {
        let mut seen = source.load(Ordering::Relaxed);
        while !seen.is_null() {
            // Acquire: sees the object as its writer made it; pairs with the writer's swap or store.
            let now = self.publish(seen.cast(), || source.load(Ordering::Acquire));
            note_left(seen.cast());
            if now == seen {
                break;
            }
            seen = now;
        }
        seen
    }

    /// Protects an address that the caller knows, unless `stands` denies that look-ups still find it. Called after the
    /// address is published, `stands` acquires the change that would have taken the address out of their reach.
    #[inline]
    pub(crate) fn protect_known(&self, address: *const (), stands: impl Fn() -> bool) -> bool {
        let protected = self.publish(address.cast_mut(), stands);
        if !protected {
            // The slot will hold another address, and a writer may have seen this one.
            note_left(address.cast_mut());
        }
        protected
    }

    /// Publishes an address, and returns the answer of `confirm` after the reader's half of the barrier.
    #[inline]
    fn publish<R>(&self, address: *mut (), confirm: impl Fn() -> R) -> R {
        self.slot.store(address, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let confirmed = confirm();
        // After the load that confirms: see the module. A relaxed load will do: the one before it has the order.
        if Readers::now().fence() {
            fence(Ordering::SeqCst);
            return confirm();
        }
        confirmed
    }

    /// Returns whether the address is the protected one.
    #[inline]
    pub(crate) fn protects<T>(&self, address: *const T) -> bool {
        ptr::eq(self.slot.load(Ordering::Relaxed), address.cast())
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        let address = self.slot.load(Ordering::Relaxed);
        // Release: each use of the object comes before a writer's scan that no longer sees the address.
        self.slot.store(ptr::null_mut(), Ordering::Release);
        LOCALS.with(|locals| locals.hazards.held.set(locals.hazards.held.get() - 1));
        compiler_fence(Ordering::SeqCst);
        if !Readers::now().is_calm() {
            released(address);
        }
        if let Some(record) = self.alone {
            record.give_back();
        }
    }
}

/// Notes an address that this thread has published, for the drop of its last hazard pointer.
#[inline]
fn note_left(address: *mut ()) {
    LOCALS.with(|locals| locals.hazards.left.set(locals.hazards.left.get() | bit(address)));
}

/// Frees the retired objects if this thread may have held one up.
#[cold]
#[inline(never)]
fn released(address: *mut ()) {
    if Readers::now().fence() {
        fence(Ordering::SeqCst);
    }
    let published = LOCALS.with(|locals| {
        let hazards = &locals.hazards;
        let left = if hazards.held.get() == 0 { hazards.left.take() } else { hazards.left.get() };
        left | bit(address)
    });
    if Readers::now().wait_for(published) {
        reclaim(None);
    }
}

/// Drops the box as soon as no hazard pointer holds its address. Runs user code: drops of this and other boxes.
///
/// # Safety
/// The pointer came from `Box::into_raw`, belongs to the caller, and is out of reach of new look-ups. `fenced` is the
/// answer of [`is_fenced`] before the object was put in their reach, or false.
pub(crate) unsafe fn retire<T: Send + 'static>(boxed: *mut T, fenced: bool) {
    reclaim(Some(Retired { object: Object::Boxed(boxed), fenced }));
}

/// Drops the count as soon as no hazard pointer holds the object's address. May run user code, as [`retire`].
///
/// The object counts as made before the barrier was denied.
pub(crate) fn retire_counted(counted: Arc<dyn Send + Sync>) {
    reclaim(Some(Retired { object: Object::Counted(counted), fenced: false }));
}

/// So many objects are retired, and so many addresses held, without an allocation.
const FEW: usize = 4;

/// Frees the retired objects that no hazard pointer holds, and this one.
///
/// One critical section lists the object and scans, so that no other thread takes it in between: the thread that retires an object which
/// no reader holds frees it before the call returns. A panic of a drop ends here, since the object may be another thread's.
///
/// Frees nothing in a fork's child, where a thread of the parent may hold the locks for ever.
#[cold]
fn reclaim(retires: Option<Retired>) {
    if fork::is_fork() {
        mem::forget(retires);
        return;
    }
    let free: SmallVec<[Retired; FEW]>;
    let mut denied = false;
    {
        let mut retired = RETIRED.lock();
        let Retirement { now, settling } = &mut *retired;
        if retires.is_some() {
            now.extend(retires);
            barrier::set_waiting(bits(now));
        }
        if now.is_empty() {
            return;
        }
        // Without another thread that looks anything up, no barrier is needed.
        let mine = LOCALS.with(|locals| locals.hazards.record.get());
        let records = record::records();
        let all = !records.others_read(mine) || barrier::heavy() || {
            denied = barrier::fall_back();
            barrier::has_settled()
        };
        if all {
            now.append(settling);
        } else {
            let (fenced, before): (Vec<_>, Vec<_>) = mem::take(now).into_iter().partition(|entry| entry.fenced);
            *now = fenced;
            settling.extend(before);
        }
        let slots = records.in_use().flat_map(|record| &record.slots);
        let held: SmallVec<[_; FEW]> =
            slots.map(|slot| slot.load(Ordering::Acquire)).filter(|held| !held.is_null()).collect();
        drop(records);
        free = now.extract_if(.., |entry| !held.contains(&entry.address())).collect();
        now.shrink_to(FEW);
        barrier::set_waiting(bits(now));
    }
    // Outside the lock: these drops run user code, and so does a subscriber.
    for entry in free {
        match entry.object {
            // SAFETY: the caller of `retire` gave up the box, and no slot held its address when no look-up could find it
            // any more. No reader holds it in a slot that the scan could not see: the barrier completed the readers'
            // halves, or the object is of a kind for which the module proves it.
            Object::Boxed(boxed) => swallow_drop(unsafe { Box::from_raw(boxed) }),
            Object::Counted(counted) => swallow_drop(counted),
        }
    }
    if denied {
        swallow(|| {
            tracing::warn!(
                target: "heirloom",
                "the system denies membarrier(2) since this process used it (seccomp?); look-ups cost a full fence from now on",
            );
        });
    }
}
