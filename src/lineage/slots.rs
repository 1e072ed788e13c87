//! [`Slots`]: the named entries of one node.

mod tree;

use std::any::Any;
use std::marker::PhantomData;
use std::ptr;

use crate::lineage::epoch::Passed;
use crate::lineage::hazard::{self, Held};
use crate::lineage::memo::Stripe;
use crate::lineage::slots::tree::{Slot, SlotTree};
use crate::names::namespace::Namespace;
use crate::sync::MutexGuard;
use crate::sync::os::{Arc, AtomicU32, Mutex, Ordering};

/// A value that knows the name of its slot, so that the slot needs no copy of it.
pub(crate) trait Named: Any + Send + Sync {
    fn namespace(&self) -> &Namespace;
}

/// A manager or a binding, type-erased: this layer does not know their types.
pub(crate) type SlotValue = dyn Named;

impl SlotValue {
    pub(crate) fn downcast<T: Any + Send + Sync>(self: Arc<Self>) -> Option<Arc<T>> {
        (self as Arc<dyn Any + Send + Sync>).downcast().ok()
    }

    pub(crate) fn downcast_ref<T: Any>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// Slots whose number only grows, each empty or with one value. A look-up takes no lock and counts nothing; a hazard
/// pointer keeps the entry that it finds.
///
/// A value is kept alive by its slot (one handle) until it is removed, replaced or the node is dropped, by every handle
/// outside, and a moment longer by a look-up under way.
///
/// An entry stands on the [`Path`](tree::Path) of its name. The entry of a slot is null, [`tombstone`] where an entry was
/// removed, or comes from [`SlotEntry::boxed`], and the slot owns it. A write puts a new entry into the first free slot of
/// the path, so a path has at most one entry of its name.
pub(crate) struct Slots {
    tree: SlotTree<SlotEntry>,
    /// Held by a [`Writer`].
    writing: Mutex<()>,
    /// Told of each change, for the look-ups that threads keep.
    pub(super) passed: Passed,
}

struct SlotEntry {
    slot_value: Arc<SlotValue>,
    /// Of the value's name: a search passes most other entries without a look at their values.
    tag: u32,
    /// See [`hazard::is_fenced`].
    fenced: bool,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<SlotEntry>() == 24);

impl SlotEntry {
    fn boxed(slot_value: Arc<SlotValue>) -> *mut Self {
        let tag = slot_value.namespace().0.tag();
        Box::into_raw(Box::new(Self { slot_value, tag, fenced: hazard::is_fenced() }))
    }

    fn namespace(&self) -> &Namespace {
        self.slot_value.namespace()
    }

    /// `tag` is the name's.
    #[inline]
    fn is_named(&self, namespace: &Namespace, tag: u32) -> bool {
        self.tag == tag && self.namespace() == namespace
    }
}

/// An entry that a look-up has found in slots that are borrowed for `'a`.
pub(crate) struct Found<'a>(*const SlotEntry, PhantomData<&'a Slots>);

impl Found<'_> {
    /// Lends the entry's value. `held` is the hazard pointer that found the entry.
    #[inline]
    pub(crate) fn value<'h>(&'h self, held: &'h mut Held) -> &'h Arc<SlotValue> {
        assert!(held.protects(self.0), "a hazard pointer lends the entry that it has found last");
        // SAFETY: `held` protects the entry, and no other while it is borrowed here. The slots are borrowed too, so their
        // drop, which frees entries without a look at hazard pointers, comes later.
        unsafe { &(*self.0).slot_value }
    }

    pub(super) fn address(&self) -> *const () {
        self.0.cast()
    }
}

/// A value that is lent for `'a`, without its type.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a>(*const (), PhantomData<&'a SlotValue>);

impl<'a> Shown<'a> {
    #[inline]
    pub(crate) fn of(slot_value: &'a Arc<SlotValue>) -> Self {
        Self(Arc::as_ptr(slot_value).cast(), PhantomData)
    }

    /// Returns a value that was shown before.
    ///
    /// # Safety
    /// The pointer came from [`as_ptr`](Self::as_ptr), and a hazard pointer keeps the value's entry for `'a`.
    #[inline]
    pub(super) unsafe fn again(value: *const ()) -> Self {
        Self(value, PhantomData)
    }

    /// Returns the pointer to the value in its `Arc`.
    #[inline]
    pub(crate) fn as_ptr<T>(self) -> *const T {
        self.0.cast()
    }
}

/// The `entry` of a slot after a removal. Never read through.
fn tombstone() -> *mut SlotEntry {
    static MARK: u64 = 0;
    (&raw const MARK).cast_mut().cast()
}

fn is_free(entry: *mut SlotEntry) -> bool {
    entry.is_null() || entry == tombstone()
}

/// An entry that a write took out of its slot. Its drop releases the value, which may run user code.
#[must_use = "its drop runs user code: drop it outside of any lock"]
pub(crate) struct Removed(*mut SlotEntry);

impl Drop for Removed {
    fn drop(&mut self) {
        // SAFETY: the entry came from `boxed`, the swap in `Writer::swap` gave it to this alone, and no slot has it any
        // more. `boxed` asked `is_fenced` before a slot had it.
        unsafe { hazard::retire(self.0, (*self.0).fenced) };
    }
}

/// The one writer of a node's slots. Only a writer takes entries out, so an entry stays while its writer lives.
struct Writer<'a> {
    slots: &'a Slots,
    _one: MutexGuard<'a, ()>,
}

impl<'a> Writer<'a> {
    fn entry(&self, slot: &'a Slot<SlotEntry>) -> Option<&SlotEntry> {
        let entry = slot.entry.load(Ordering::Acquire);
        // SAFETY: an entry that is in its slot is allocated; taking it out needs the lock, which `self` holds, or the
        // slots' drop, which the borrow of `slots` excludes.
        if is_free(entry) { None } else { unsafe { entry.as_ref() } }
    }

    fn find(&self, namespace: &Namespace) -> Option<(&'a Slot<SlotEntry>, &SlotEntry)> {
        let (mut path, tag) = (self.slots.tree.path(namespace), namespace.0.tag());
        loop {
            let slot = path.slot();
            match self.entry(slot) {
                Some(entry) if entry.is_named(namespace, tag) => return Some((slot, entry)),
                _ if !path.step() => return None,
                _ => {}
            }
        }
    }

    fn add(&self, namespace: &Namespace, slot_value: Arc<SlotValue>) {
        debug_assert!(slot_value.namespace() == namespace, "a value stands in the slot of its own name");
        let entry = SlotEntry::boxed(slot_value);
        let mut path = self.slots.tree.path(namespace);
        let free = loop {
            let slot = path.slot();
            if is_free(slot.entry.load(Ordering::Relaxed)) {
                break Some(slot);
            }
            if !path.step() {
                break None;
            }
        };
        match free {
            // Release: the value is made before it is found; pairs with the Acquire in `Held::protect`.
            Some(slot) => slot.entry.store(entry, Ordering::Release),
            None => path.grow(entry),
        }
        self.changed(&Stripe::of(namespace));
    }

    /// Notes a change that has been made to a name of this stripe.
    fn changed(&self, stripe: &Stripe) {
        self.slots.passed.changed(stripe.number(), stripe.epoch());
    }

    /// Puts `new` in the place of a slot's entry. Does nothing to a slot without one.
    fn swap(&self, slot: &'a Slot<SlotEntry>, new: *mut SlotEntry) -> Option<Removed> {
        let stripe = Stripe::of(self.entry(slot)?.namespace());
        let before = slot.entry.swap(new, Ordering::AcqRel);
        self.changed(&stripe);
        Some(Removed(before))
    }
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self { tree: SlotTree::new(), writing: Mutex::new(()), passed: Passed(AtomicU32::new(0)) }
    }

    /// Returns true while no entry was ever here, as at most nodes.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    fn writer(&self) -> Writer<'_> {
        Writer { slots: self, _one: self.writing.lock() }
    }

    /// Finds an entry without counting it. `held` keeps the entry, until it is dropped or protects another one.
    #[inline(always)]
    pub(crate) fn find(&self, namespace: &Namespace, held: &Held) -> Option<Found<'_>> {
        if self.is_empty() { None } else { self.search(namespace, held) }
    }

    /// The part of `find` that is not inlined: so an empty node costs two instructions.
    #[inline(never)]
    fn search(&self, namespace: &Namespace, held: &Held) -> Option<Found<'_>> {
        let (mut path, tag) = (self.tree.path(namespace), namespace.0.tag());
        loop {
            let entry = held.protect(&path.slot().entry);
            if entry.is_null() {
                return None;
            }
            // SAFETY: an entry, since it is no tombstone, and `held` protects it.
            if entry != tombstone() && unsafe { (*entry).is_named(namespace, tag) } {
                return Some(Found(entry, PhantomData));
            }
            if !path.step() {
                return None;
            }
        }
    }

    /// Finds and counts a value, under the writers' lock.
    pub(crate) fn find_counted(&self, namespace: &Namespace) -> Option<Arc<SlotValue>> {
        self.writer().find(namespace).map(|(_, entry)| Arc::clone(&entry.slot_value))
    }

    /// Finds a value, or adds the one that `make` returns. Among concurrent callers one makes it, and all get that one.
    ///
    /// `make` runs under this node's lock, so it only builds.
    pub(crate) fn find_or_insert(
        &self,
        namespace: &Namespace,
        make: impl FnOnce() -> Arc<SlotValue>,
    ) -> Arc<SlotValue> {
        let writer = self.writer();
        if let Some((_, entry)) = writer.find(namespace) {
            return Arc::clone(&entry.slot_value);
        }
        let slot_value = make();
        writer.add(namespace, Arc::clone(&slot_value));
        slot_value
    }

    /// Adds a value, or replaces the one of this name. Runs user code: the drop of the replaced one.
    pub(crate) fn replace(&self, namespace: &Namespace, slot_value: Arc<SlotValue>) {
        drop(self.exchange(namespace, Some(slot_value)));
    }

    pub(crate) fn remove(&self, namespace: &Namespace) -> Option<Arc<SlotValue>> {
        self.remove_if(namespace, |_| true)
    }

    /// Removes this very value, if it is there.
    pub(crate) fn remove_this(&self, namespace: &Namespace, this: &Arc<SlotValue>) -> Option<Arc<SlotValue>> {
        self.remove_if(namespace, |there| ptr::addr_eq(Arc::as_ptr(there), Arc::as_ptr(this)))
    }

    fn remove_if(&self, namespace: &Namespace, which: impl FnOnce(&Arc<SlotValue>) -> bool) -> Option<Arc<SlotValue>> {
        let writer = self.writer();
        let (slot, entry) = writer.find(namespace).filter(|(_, entry)| which(&entry.slot_value))?;
        let slot_value = Arc::clone(&entry.slot_value);
        let taken = writer.swap(slot, tombstone());
        drop(writer);
        drop(taken);
        Some(slot_value)
    }

    /// Adds or replaces a value, or removes it with `None`. Returns the value that was there, with its entry.
    pub(crate) fn exchange(
        &self,
        namespace: &Namespace,
        slot_value: Option<Arc<SlotValue>>,
    ) -> Option<(Arc<SlotValue>, Option<Removed>)> {
        let writer = self.writer();
        match (writer.find(namespace), slot_value) {
            (Some((slot, entry)), new) => {
                let before = Arc::clone(&entry.slot_value);
                let new = new.map_or(tombstone(), SlotEntry::boxed);
                Some((before, writer.swap(slot, new)))
            }
            (None, Some(new)) => {
                writer.add(namespace, new);
                None
            }
            (None, None) => None,
        }
    }

    /// Removes all values. Runs user code: their drops.
    pub(crate) fn clear(&self) {
        if self.is_empty() {
            return;
        }
        let writer = self.writer();
        let full = |slot: &&Slot<_>| writer.entry(slot).is_some();
        let taken: Vec<_> = self.tree.all().filter(full).filter_map(|slot| writer.swap(slot, tombstone())).collect();
        drop(writer);
        drop(taken);
    }

    pub(crate) fn all(&self) -> Vec<Arc<SlotValue>> {
        if self.is_empty() {
            return Vec::new();
        }
        let writer = self.writer();
        self.tree.all().filter_map(|slot| writer.entry(slot)).map(|entry| Arc::clone(&entry.slot_value)).collect()
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        self.tree.free(|entry| {
            if !is_free(entry) {
                // SAFETY: the entry comes from `boxed`, and its slot owned it. The borrow excludes look-ups.
                drop(unsafe { Box::from_raw(entry) });
            }
        });
    }
}
