//! [`Slots`]: what lives at one node, by namespace.

use std::ptr;

use crate::lineage::family::SlotValue;
use crate::lineage::hazard::{self, Held};
use crate::names::namespace::Namespace;
use crate::sync::os::{Arc, AtomicPtr, Mutex, Ordering};

/// The managers of one node: a list of slots that only grows, each slot empty or with one value. Looking up takes no
/// lock and counts nothing; what it finds is kept by a hazard pointer.
///
/// What keeps a value alive: its slot (one handle), until it is removed, replaced or the node ends; every handle
/// outside; and, a moment longer, a look-up under way.
pub(crate) struct Slots {
    first: Slot,
    /// One writer at a time.
    writing: Mutex<()>,
}

#[repr(C)]
struct Slot {
    /// Null: nothing was ever here or behind. [`tombstone`]: something was.
    entry: AtomicPtr<SlotEntry>,
    /// Set once; freed with the node.
    next: AtomicPtr<Slot>,
}

pub(crate) struct SlotEntry {
    namespace: Namespace,
    slot_value: Arc<SlotValue>,
    /// See [`hazard::is_fenced`].
    fenced: bool,
}

/// A value that was found, lent for as long as this lives. The node must live as long: its end does not look who
/// holds what.
pub(crate) struct Found {
    entry: *const SlotEntry,
    _held: Held,
}

impl SlotEntry {
    /// A box, as a slot has it.
    fn boxed(namespace: &Namespace, slot_value: Arc<SlotValue>) -> *mut Self {
        Box::into_raw(Box::new(Self { namespace: namespace.clone(), slot_value, fenced: hazard::is_fenced() }))
    }

    /// # Safety
    /// It came from [`boxed`](Self::boxed), belongs to the caller, and no slot has it any more.
    unsafe fn retire(this: *mut Self) {
        // SAFETY: passed on to the caller; `boxed` asked before any slot had it.
        unsafe { hazard::retire(this, (*this).fenced) };
    }

    #[inline]
    pub(crate) fn slot_value(&self) -> &Arc<SlotValue> {
        &self.slot_value
    }
}

impl Found {
    /// # Safety
    /// `entry` was found with `held`.
    pub(crate) unsafe fn new(entry: *const SlotEntry, held: Held) -> Self {
        Self { entry, _held: held }
    }

    #[inline]
    pub(crate) fn slot_value(&self) -> &Arc<SlotValue> {
        // SAFETY: the hazard pointer keeps it, since it was validated in `find`.
        unsafe { &(*self.entry).slot_value }
    }
}

/// What a write took out: dropping it lets go, which may run user code.
#[must_use = "letting go runs user code: drop it outside of any lock"]
pub(crate) struct Removed {
    slot_value: Option<Arc<SlotValue>>,
    entry: *mut SlotEntry,
}

impl Removed {
    pub(crate) fn slot_value(&self) -> Option<&Arc<SlotValue>> {
        self.slot_value.as_ref()
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        if !self.entry.is_null() {
            // SAFETY: it came from a box, a swap gave it to the writer that made this, and no slot has it any more.
            unsafe { SlotEntry::retire(self.entry) };
        }
    }
}

/// What a slot points to after a removal. Never read.
fn tombstone() -> *mut SlotEntry {
    static MARK: u64 = 0;
    (&raw const MARK).cast_mut().cast()
}

impl Slot {
    /// The value, if there is one.
    ///
    /// # Safety
    /// The caller is the one writer, or the node's end.
    unsafe fn entry<'a>(&self) -> Option<&'a SlotEntry> {
        let entry = self.entry.load(Ordering::Acquire);
        // SAFETY: only writers take out and free.
        if entry == tombstone() { None } else { unsafe { entry.as_ref() } }
    }

    const fn new() -> Self {
        Self { entry: AtomicPtr::new(ptr::null_mut()), next: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline]
    fn next(&self) -> Option<&Slot> {
        // SAFETY: slots are freed with the node only, which the caller borrows. Acquire: pairs with the Release in
        // `write`.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self { first: Slot::new(), writing: Mutex::new(()) }
    }

    /// Nothing ever lived here: most nodes.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.entry.load(Ordering::Relaxed).is_null()
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        std::iter::successors(Some(&self.first), |slot| slot.next())
    }

    /// Finds without counting: what comes back is kept by `held`.
    #[inline(always)]
    pub(crate) fn find(&self, namespace: &Namespace, held: &Held) -> Option<*const SlotEntry> {
        if self.is_empty() { None } else { self.search(namespace, held) }
    }

    /// Apart from `find`, so that passing an empty node is two instructions.
    #[inline(never)]
    fn search(&self, namespace: &Namespace, held: &Held) -> Option<*const SlotEntry> {
        let mut at = Some(&self.first);
        while let Some(slot) = at {
            let entry = held.protect(&slot.entry);
            if entry.is_null() {
                return None;
            }
            // SAFETY: protected just now.
            if entry != tombstone() && unsafe { (*entry).namespace == *namespace } {
                return Some(entry);
            }
            at = slot.next();
        }
        None
    }

    /// Finds and counts, under the writers' lock: for a thread whose slots are all in use.
    pub(crate) fn find_counted(&self, namespace: &Namespace) -> Option<Arc<SlotValue>> {
        let _one = self.writing.lock();
        self.locked(namespace).map(|(_, entry)| Arc::clone(&entry.slot_value))
    }

    /// With the writers' lock held: nobody else takes anything out.
    fn locked(&self, namespace: &Namespace) -> Option<(&Slot, &SlotEntry)> {
        self.slots().find_map(|slot| {
            // SAFETY: the caller holds the writers' lock.
            let entry = unsafe { slot.entry() }?;
            (entry.namespace == *namespace).then_some((slot, entry))
        })
    }

    /// Finds, or makes one while nobody else can: among concurrent callers one makes and all get that one.
    /// `make` runs under this node's lock, so it only builds.
    pub(crate) fn find_or_insert(
        &self,
        namespace: &Namespace,
        make: impl FnOnce() -> Arc<SlotValue>,
    ) -> Arc<SlotValue> {
        let _one = self.writing.lock();
        if let Some((_, entry)) = self.locked(namespace) {
            return Arc::clone(&entry.slot_value);
        }
        let slot_value = make();
        self.add(namespace, Arc::clone(&slot_value));
        slot_value
    }

    /// With the writers' lock held.
    fn add(&self, namespace: &Namespace, slot_value: Arc<SlotValue>) {
        let entry = SlotEntry::boxed(namespace, slot_value);
        // Release: the value is made before it is found.
        match self.slots().find(|slot| [ptr::null_mut(), tombstone()].contains(&slot.entry.load(Ordering::Relaxed))) {
            Some(free) => free.entry.store(entry, Ordering::Release),
            None => {
                let slot = Box::new(Slot::new());
                slot.entry.store(entry, Ordering::Relaxed);
                if let Some(last) = self.slots().last() {
                    last.next.store(Box::into_raw(slot), Ordering::Release);
                }
            }
        }
    }

    /// Puts one in, in the place of another if there is one, which is let go.
    pub(crate) fn replace(&self, namespace: &Namespace, slot_value: Arc<SlotValue>) {
        let one = self.writing.lock();
        let Some((slot, _)) = self.locked(namespace) else {
            self.add(namespace, slot_value);
            return;
        };
        let entry = SlotEntry::boxed(namespace, slot_value);
        let before = slot.entry.swap(entry, Ordering::AcqRel);
        drop(one);
        // SAFETY: it came from a box, the swap gave it to this caller alone, and no slot has it any more.
        unsafe { SlotEntry::retire(before) };
    }

    pub(crate) fn remove(&self, namespace: &Namespace) -> Option<Arc<SlotValue>> {
        self.remove_if(namespace, |_| true)
    }

    /// Takes this very value out, if it is there.
    pub(crate) fn remove_this(&self, namespace: &Namespace, this: &Arc<SlotValue>) -> Option<Arc<SlotValue>> {
        self.remove_if(namespace, |there| ptr::addr_eq(Arc::as_ptr(there), Arc::as_ptr(this)))
    }

    fn remove_if(&self, namespace: &Namespace, which: impl FnOnce(&Arc<SlotValue>) -> bool) -> Option<Arc<SlotValue>> {
        let one = self.writing.lock();
        let (slot, entry) = self.locked(namespace).filter(|(_, entry)| which(&entry.slot_value))?;
        let slot_value = Arc::clone(&entry.slot_value);
        let before = slot.entry.swap(tombstone(), Ordering::AcqRel);
        drop(one);
        // SAFETY: it came from a box, the swap gave it to this caller alone, and no slot has it any more.
        unsafe { SlotEntry::retire(before) };
        Some(slot_value)
    }

    /// Puts one in, or with `None` takes out what is there. What was there is let go by the caller, so that a lock of
    /// its own is not held then.
    pub(crate) fn exchange(&self, namespace: &Namespace, slot_value: Option<Arc<SlotValue>>) -> Removed {
        let boxed = |slot_value| SlotEntry::boxed(namespace, slot_value);
        let _one = self.writing.lock();
        match (self.locked(namespace), slot_value) {
            (None, None) => Removed { slot_value: None, entry: ptr::null_mut() },
            (None, Some(new)) => {
                self.add(namespace, new);
                Removed { slot_value: None, entry: ptr::null_mut() }
            }
            (Some((slot, before)), new) => {
                let slot_value = Some(Arc::clone(&before.slot_value));
                let entry = slot.entry.swap(new.map_or(tombstone(), boxed), Ordering::AcqRel);
                Removed { slot_value, entry }
            }
        }
    }

    /// Takes all out.
    pub(crate) fn clear(&self) {
        if self.is_empty() {
            return;
        }
        let one = self.writing.lock();
        let taken: Vec<_> = self
            .slots()
            .map(|slot| &slot.entry)
            .filter(|entry| ![ptr::null_mut(), tombstone()].contains(&entry.load(Ordering::Relaxed)))
            .map(|entry| entry.swap(tombstone(), Ordering::AcqRel))
            .collect();
        drop(one);
        for entry in taken {
            // SAFETY: it came from a box, the swap gave it to this caller alone, and no slot has it any more.
            unsafe { SlotEntry::retire(entry) };
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<SlotValue>> {
        if self.is_empty() {
            return Vec::new();
        }
        let _one = self.writing.lock();
        self.slots()
            // SAFETY: this holds the writers' lock.
            .filter_map(|slot| unsafe { slot.entry() })
            .map(|entry| Arc::clone(&entry.slot_value))
            .collect()
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let mut slot = ptr::from_mut(&mut self.first);
        let mut first = true;
        // SAFETY: the node ends, so nobody looks up here any more; each slot but the first and each value came from
        // a `Box`, and is freed once.
        while let Some(at) = unsafe { slot.as_mut() } {
            let entry = at.entry.load(Ordering::Relaxed);
            if !entry.is_null() && entry != tombstone() {
                // SAFETY: as above.
                drop(unsafe { Box::from_raw(entry) });
            }
            let next = at.next.load(Ordering::Relaxed);
            if !std::mem::take(&mut first) {
                // SAFETY: as above.
                drop(unsafe { Box::from_raw(slot) });
            }
            slot = next;
        }
    }
}
