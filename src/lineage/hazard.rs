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

use std::cell::Cell;
use std::ptr;

use crate::sync::os::{AtomicBool, AtomicPtr, AtomicU64, Mutex, OnceLock, Ordering, compiler_fence, fence};

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
static RETIRED: Mutex<Vec<Retired>> = Mutex::new(Vec::new());

struct Retired {
    address: *mut (),
    free: unsafe fn(*mut ()),
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

/// The writer's half. False when it could not be carried out (in a fork, say); then nothing may be freed.
fn heavy() -> bool {
    if lopsided() {
        fence(Ordering::SeqCst);
        everywhere()
    } else {
        fence(Ordering::SeqCst);
        true
    }
}

/// Keeps one address from being freed. Belongs to this thread; let go in the reverse order of taking.
#[must_use]
pub(crate) struct Held {
    slot: &'static AtomicPtr<()>,
    lopsided: bool,
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
        Some(Held { slot, lopsided: record.lopsided, published: Cell::new(0) })
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
            light(self.lopsided);
            // Acquire: sees what the writer put there; pairs with the writer's swap.
            let now = source.load(Ordering::Acquire);
            if now == seen {
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
        light(self.lopsided);
        if PENDING.load(Ordering::Relaxed) & self.published.get() != 0 {
            reclaim();
        }
    }
}

/// Drops the box as soon as nobody holds its address.
///
/// # Safety
/// The pointer came from `Box::into_raw`, belongs to the caller, and is out of reach of new look-ups.
pub(crate) unsafe fn retire<T: Send>(boxed: *mut T) {
    {
        let mut retired = RETIRED.lock();
        // Kept as an address: a box would claim that nobody else looks at its contents.
        retired.push(Retired { address: boxed.cast(), free: free::<T> });
        PENDING.store(bits(&retired), Ordering::Relaxed);
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
    {
        let mut retired = RETIRED.lock();
        // Where no other thread ever looked anything up, nobody needs the barrier.
        if retired.is_empty() || (others_read() && !heavy()) {
            return;
        }
        let mut held = Vec::new();
        let mut at = RECORDS.load(Ordering::Acquire).cast_const();
        // SAFETY: records are never freed, and their links never change.
        while let Some(record) = unsafe { at.as_ref() } {
            held.extend(record.slots.iter().map(|slot| slot.load(Ordering::Acquire)));
            at = record.next;
        }
        let mut kept = Vec::new();
        for entry in retired.drain(..) {
            if held.contains(&entry.address) { kept.push(entry) } else { ended.push(entry) }
        }
        *retired = kept;
        PENDING.store(bits(&retired), Ordering::Relaxed);
    }
    // Outside the lock: what ends here runs user code.
    for entry in ended {
        // SAFETY: `retire`'s caller gave it up, and after the barrier no slot held it; nobody can find it any more.
        unsafe { (entry.free)(entry.address) };
    }
}
