//! Hazard pointers: borrowing what a writer may take away meanwhile, without counting it.
//!
//! A reader publishes the address it is about to use in a slot of its thread's record, then looks again whether the
//! address is still where it found it. A writer takes an address out first, and frees it only when no slot holds it.
//! (M. Michael, "Hazard Pointers: Safe Memory Reclamation for Lock-Free Objects", 2004.)
//!
//! # The races to fear
//! * The reader publishes and looks again; the writer takes out and scans. Between its two steps each side needs a
//!   store-load barrier, so that one of them sees the other.
//! * The reader clears its slot and looks whether anything waits to be freed; the writer notes what waits and scans.
//!   The same again: what the writer could not free, the reader will.
//!
//! Look-ups are many and removals few, so the barrier is lopsided: on Linux the reader's is only a compiler's, and the
//! writer makes all running threads execute one, through `membarrier(2)` (a few microseconds). Where the system has no
//! such call both sides use a full fence.
//!
//! # When the call is denied later
//! A sandbox (seccomp) may deny it after it has worked. The first writer that is refused sets [`FENCED`], and both sides
//! use full fences from then on. A reader that has not seen the flag may hold an address behind a compiler's fence
//! alone, where no scan is sure to see it. So what is retired is of two kinds.
//!
//! *Made after the flag was seen* by its maker ([`is_fenced`]): it is freed as ever. A reader looks at the flag last, after
//! the load that confirms the address. That load acquires what the maker published, so the flag, which the maker had read
//! as set, is set for the reader too (two reads of one atomic, the one before the other, do not go back). The reader then
//! publishes once more, behind a full fence, and the usual argument holds. An address that was freed and used again makes no
//! difference: the load that confirms it is the one that acquires.
//!
//! *Made before*: it may be held unseen. It waits until the flag has been set for [`SETTLES`], when every thread has seen it
//! and each store made before is in memory: what a processor has not written back yet it writes back within microseconds,
//! and at each interrupt. (A. Morrison, Y. Afek, "Temporally Bounding TSO for Fence-Free Asymmetric Synchronization",
//! 2015.) These are no more than what there was when the call was denied, and they are looked at with the next removal.

use std::cell::Cell;
use std::mem;
use std::ptr;
use std::time::{Duration, Instant};

use crate::sync::os::{AtomicBool, AtomicPtr, AtomicU64, Mutex, OnceLock, Ordering, compiler_fence, fence};
use crate::sync::unwind::swallow;

/// See the module. A thousand times what a store takes to be seen everywhere.
const SETTLES: Duration = Duration::from_secs(1);

/// How many borrows one thread may have inside one another; deeper ones count.
const SLOTS: usize = 4;

/// One thread's slots. Never freed; a thread that ends leaves its record to the next.
struct Record {
    slots: [AtomicPtr<()>; SLOTS],
    taken: AtomicBool,
    next: *const Record,
    lopsided: bool,
}

static RECORDS: AtomicPtr<Record> = AtomicPtr::new(ptr::null_mut());
/// What waits to be freed: the bits of the addresses. A reader that never published one of them has nothing to do with
/// it.
static PENDING: AtomicU64 = AtomicU64::new(0);
static RETIRED: Mutex<Retirement> = Mutex::new(Retirement { now: Vec::new(), settling: Vec::new() });
/// The lopsided barrier was denied after it had worked. Never reset.
static FENCED: AtomicBool = AtomicBool::new(false);
/// When it was, as soon as everything in the module's proof may count from then.
static FENCED_SINCE: OnceLock<Instant> = OnceLock::new();

/// What waits to be freed.
struct Retirement {
    now: Vec<Retired>,
    /// Made before [`FENCED`] was set; kept apart, so that it is not gone through with each scan.
    settling: Vec<Retired>,
}

struct Retired {
    address: *mut (),
    free: unsafe fn(*mut ()),
    /// It was made when its maker had seen [`FENCED`].
    fenced: bool,
}

// SAFETY: `retire` asks for a `Send` value, which this owns.
unsafe impl Send for Retired {}

thread_local! {
    /// This thread's record, once it has one and until its locals are destroyed. No destructor, so reading it is one load.
    static MINE: Mine = const { Mine { record: Cell::new(ptr::null()), used: Cell::new(0) } };
    /// Gives the record to the next thread.
    static GIVE_BACK: GiveBack = const { GiveBack };
}

struct Mine {
    record: Cell<*const Record>,
    used: Cell<usize>,
}

struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        let record = MINE.with(|mine| mine.record.replace(ptr::null()));
        // SAFETY: records are never freed.
        if let Some(record) = unsafe { record.as_ref() } {
            record.taken.store(false, Ordering::Release);
        }
    }
}

/// Whether the lopsided barrier works here.
fn lopsided() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(register)
}

#[cfg(target_os = "linux")]
mod membarrier {
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    fn call(command: libc::c_int) -> bool {
        // SAFETY: the call takes numbers only, and reports what it does not know as an error.
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

/// One bit for an address.
#[inline]
fn bit(address: *mut ()) -> u64 {
    1 << ((address.addr() >> 5) % 64)
}

fn bits(retired: &[Retired]) -> u64 {
    retired.iter().fold(0, |bits, entry| bits | bit(entry.address))
}

/// The reader's half of the barrier.
#[inline]
fn light(lopsided: bool) {
    if lopsided {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// The writer's half. False when readers' halves may be a compiler's and could not be completed.
fn heavy() -> bool {
    fence(Ordering::SeqCst);
    !lopsided() || (!FENCED.load(Ordering::Relaxed) && everywhere())
}

/// Has readers make full fences from now on. True for the first call.
#[cold]
fn fall_back() -> bool {
    let first = !FENCED.swap(true, Ordering::SeqCst);
    FENCED_SINCE.get_or_init(Instant::now);
    first
}

/// What is made from now on is seen by readers that make full fences only, if this is true: to be asked by the maker,
/// and to be told to [`retire`].
#[inline]
pub(crate) fn is_fenced() -> bool {
    FENCED.load(Ordering::Relaxed)
}

/// Keeps one address from being freed. Belongs to this thread; let go in the reverse order of taking.
#[must_use]
pub(crate) struct Held {
    slot: &'static AtomicPtr<()>,
    lopsided: Cell<bool>,
    /// The bits of all it ever published: a writer may have seen any of them.
    published: Cell<u64>,
}

/// A slot of this thread's, if one is free.
#[inline]
pub(crate) fn hold() -> Option<Held> {
    MINE.with(|mine| {
        // SAFETY: records are never freed.
        let record = match unsafe { mine.record.get().as_ref() } {
            Some(record) => record,
            None => take_record(mine)?,
        };
        let slot = record.slots.get(mine.used.get())?;
        mine.used.set(mine.used.get() + 1);
        Some(Held { slot, lopsided: Cell::new(record.lopsided), published: Cell::new(0) })
    })
}

#[cold]
fn take_record(mine: &Mine) -> Option<&'static Record> {
    // Refused while the thread's locals are being destroyed: nobody would give the record back.
    GIVE_BACK.try_with(|_| ()).ok()?;
    let mut at = RECORDS.load(Ordering::Acquire).cast_const();
    // SAFETY: records are never freed, and their links never change.
    while let Some(record) = unsafe { at.as_ref() } {
        if !record.taken.swap(true, Ordering::SeqCst) {
            // Taken first, then used: pairs with the fence in `others_read`.
            fence(Ordering::SeqCst);
            mine.record.set(record);
            return Some(record);
        }
        at = record.next;
    }
    let record = Box::leak(Box::new(Record {
        slots: [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS],
        taken: AtomicBool::new(true),
        next: ptr::null(),
        lopsided: lopsided(),
    }));
    let mut head = RECORDS.load(Ordering::Acquire);
    loop {
        record.next = head;
        match RECORDS.compare_exchange_weak(head, record, Ordering::SeqCst, Ordering::Acquire) {
            Ok(_) => break,
            Err(seen) => head = seen,
        }
    }
    fence(Ordering::SeqCst);
    mine.record.set(record);
    Some(record)
}

impl Held {
    /// What the source points to now, kept until this is dropped or protects something else. Null when it points
    /// nowhere.
    #[inline]
    pub(crate) fn protect<T>(&self, source: &AtomicPtr<T>) -> *const T {
        let mut seen = source.load(Ordering::Relaxed);
        while !seen.is_null() {
            self.slot.store(seen.cast(), Ordering::Relaxed);
            self.published.set(self.published.get() | bit(seen.cast()));
            let lopsided = self.lopsided.get();
            light(lopsided);
            // Acquire: sees what the writer put there; pairs with the writer's swap.
            let now = source.load(Ordering::Acquire);
            // After the load: see the module. Relaxed: the load has the order.
            let again = lopsided && FENCED.load(Ordering::Relaxed);
            if again {
                self.lopsided.set(false);
            } else if now == seen {
                break;
            }
            seen = now;
        }
        seen
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        // Release: everything done with the address comes before a writer's scan that no longer sees it.
        self.slot.store(ptr::null_mut(), Ordering::Release);
        MINE.with(|mine| mine.used.set(mine.used.get() - 1));
        light(self.lopsided.get());
        if PENDING.load(Ordering::Relaxed) & self.published.get() != 0 {
            reclaim();
        }
    }
}

/// Drops the box as soon as nobody holds its address.
///
/// # Safety
/// The pointer came from `Box::into_raw`, belongs to the caller, and is out of reach of new look-ups. `fenced` is what
/// [`is_fenced`] answered before it was put in their reach, or false.
pub(crate) unsafe fn retire<T: Send>(boxed: *mut T, fenced: bool) {
    {
        let mut retired = RETIRED.lock();
        // Kept as an address: a box would claim that nobody else looks at its contents.
        retired.now.push(Retired { address: boxed.cast(), free: free::<T>, fenced });
        PENDING.store(bits(&retired.now), Ordering::Relaxed);
    }
    reclaim();
}

/// # Safety
/// As for `retire`, and nobody holds the address any more.
unsafe fn free<T>(address: *mut ()) {
    // SAFETY: passed on to the caller.
    drop(unsafe { Box::from_raw(address.cast::<T>()) });
}

/// Whether any thread but this one has a record. One that takes its first after this look finds what the writer left:
/// see the fence in `take_record`.
fn others_read() -> bool {
    fence(Ordering::SeqCst);
    let mine = MINE.with(|mine| mine.record.get());
    let mut at = RECORDS.load(Ordering::SeqCst).cast_const();
    // SAFETY: records are never freed, and their links never change.
    while let Some(record) = unsafe { at.as_ref() } {
        if !ptr::eq(record, mine) && record.taken.load(Ordering::SeqCst) {
            return true;
        }
        at = record.next;
    }
    false
}

/// Frees what nobody holds.
#[cold]
fn reclaim() {
    let mut ended = Vec::new();
    let mut denied = false;
    {
        let mut retired = RETIRED.lock();
        let Retirement { now, settling } = &mut *retired;
        if now.is_empty() {
            return;
        }
        // Where no other thread ever looked anything up, nobody needs the barrier. Either way this has made a full fence.
        let all = !others_read() || heavy() || {
            denied = fall_back();
            FENCED_SINCE.get().is_some_and(|since| since.elapsed() >= SETTLES)
        };
        if all {
            now.append(settling);
        } else {
            let (fenced, before): (Vec<_>, Vec<_>) = mem::take(now).into_iter().partition(|entry| entry.fenced);
            *now = fenced;
            settling.extend(before);
        }
        let mut held = Vec::new();
        let mut at = RECORDS.load(Ordering::Acquire).cast_const();
        // SAFETY: records are never freed, and their links never change.
        while let Some(record) = unsafe { at.as_ref() } {
            held.extend(record.slots.iter().map(|slot| slot.load(Ordering::Acquire)));
            at = record.next;
        }
        let mut kept = Vec::new();
        for entry in now.drain(..) {
            if held.contains(&entry.address) { kept.push(entry) } else { ended.push(entry) }
        }
        *now = kept;
        PENDING.store(bits(now), Ordering::Relaxed);
    }
    // Outside the lock: what ends here runs user code, and so does a subscriber.
    for entry in ended {
        // SAFETY: `retire`'s caller gave it up, and no slot held it when nobody could find it any more. No reader holds
        // it in a slot that the scan could not see: the barrier was carried out, or see the module.
        unsafe { (entry.free)(entry.address) };
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
