//! [`Residents`]: what lives at one node, by namespace.

use std::ptr;

use crate::lineage::hazard::{self, Held};
use crate::lineage::home::Resident;
use crate::namespace::Namespace;
use crate::sync::os::{Arc, AtomicPtr, Mutex, Ordering};

/// The managers of one node: a list of slots that only grows, each slot empty or with one resident. Looking up takes no
/// lock and counts nothing; what it finds is kept by a hazard pointer.
///
/// What keeps a resident alive: its slot (one handle), until it is removed, replaced or the node ends; every handle
/// outside; and, a moment longer, a look-up under way.
pub(crate) struct Residents {
    first: Slot,
    /// One writer at a time.
    writing: Mutex<()>,
}

#[repr(C)]
struct Slot {
    /// Null: nothing was ever here or behind. [`taken_out`]: something was.
    named: AtomicPtr<Named>,
    /// Set once; freed with the node.
    next: AtomicPtr<Slot>,
}

pub(crate) struct Named {
    namespace: Namespace,
    resident: Arc<Resident>,
    /// See [`hazard::is_fenced`].
    fenced: bool,
}

/// A resident that was found, lent for as long as this lives. The node must live as long: its end does not look who
/// holds what.
pub(crate) struct Found {
    named: *const Named,
    _held: Held,
}

impl Named {
    /// A box, as a slot has it.
    fn boxed(namespace: &Namespace, resident: Arc<Resident>) -> *mut Self {
        Box::into_raw(Box::new(Self { namespace: namespace.clone(), resident, fenced: hazard::is_fenced() }))
    }

    /// # Safety
    /// It came from [`boxed`](Self::boxed), belongs to the caller, and no slot has it any more.
    unsafe fn retire(this: *mut Self) {
        // SAFETY: passed on to the caller; `boxed` asked before any slot had it.
        unsafe { hazard::retire(this, (*this).fenced) };
    }

    #[inline]
    pub(crate) fn resident(&self) -> &Arc<Resident> {
        &self.resident
    }
}

impl Found {
    /// # Safety
    /// `named` was found with `held`.
    pub(crate) unsafe fn new(named: *const Named, held: Held) -> Self {
        Self { named, _held: held }
    }

    #[inline]
    pub(crate) fn resident(&self) -> &Arc<Resident> {
        // SAFETY: the hazard pointer keeps it, since it was validated in `find`.
        unsafe { &(*self.named).resident }
    }
}

/// What a write took out: dropping it lets go, which may run user code.
#[must_use = "letting go runs user code: drop it outside of any lock"]
pub(crate) struct TakenOut {
    resident: Option<Arc<Resident>>,
    named: *mut Named,
}

impl TakenOut {
    pub(crate) fn resident(&self) -> Option<&Arc<Resident>> {
        self.resident.as_ref()
    }
}

impl Drop for TakenOut {
    fn drop(&mut self) {
        if !self.named.is_null() {
            // SAFETY: it came from a box, a swap gave it to the writer that made this, and no slot has it any more.
            unsafe { Named::retire(self.named) };
        }
    }
}

/// What a slot points to after a removal. Never read.
fn taken_out() -> *mut Named {
    static MARK: u64 = 0;
    (&raw const MARK).cast_mut().cast()
}

impl Slot {
    /// The resident, if there is one.
    ///
    /// # Safety
    /// The caller is the one writer, or the node's end.
    unsafe fn named<'a>(&self) -> Option<&'a Named> {
        let named = self.named.load(Ordering::Acquire);
        // SAFETY: only writers take out and free.
        if named == taken_out() { None } else { unsafe { named.as_ref() } }
    }

    const fn new() -> Self {
        Self { named: AtomicPtr::new(ptr::null_mut()), next: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline]
    fn next(&self) -> Option<&Slot> {
        // SAFETY: slots are freed with the node only, which the caller borrows. Acquire: pairs with the Release in
        // `write`.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }
}

impl Residents {
    pub(crate) const fn new() -> Self {
        Self { first: Slot::new(), writing: Mutex::new(()) }
    }

    /// Nothing ever lived here: most nodes.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.named.load(Ordering::Relaxed).is_null()
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        std::iter::successors(Some(&self.first), |slot| slot.next())
    }

    /// Finds without counting: what comes back is kept by `held`.
    #[inline(always)]
    pub(crate) fn find(&self, namespace: &Namespace, held: &Held) -> Option<*const Named> {
        if self.is_empty() { None } else { self.search(namespace, held) }
    }

    /// Apart from `find`, so that passing an empty node is two instructions.
    #[inline(never)]
    fn search(&self, namespace: &Namespace, held: &Held) -> Option<*const Named> {
        let mut at = Some(&self.first);
        while let Some(slot) = at {
            let named = held.protect(&slot.named);
            if named.is_null() {
                return None;
            }
            // SAFETY: protected just now.
            if named != taken_out() && unsafe { (*named).namespace == *namespace } {
                return Some(named);
            }
            at = slot.next();
        }
        None
    }

    /// Finds and counts, under the writers' lock: for a thread whose slots are all in use.
    pub(crate) fn find_counted(&self, namespace: &Namespace) -> Option<Arc<Resident>> {
        let _one = self.writing.lock();
        self.locked(namespace).map(|(_, named)| Arc::clone(&named.resident))
    }

    /// With the writers' lock held: nobody else takes anything out.
    fn locked(&self, namespace: &Namespace) -> Option<(&Slot, &Named)> {
        self.slots().find_map(|slot| {
            // SAFETY: the caller holds the writers' lock.
            let named = unsafe { slot.named() }?;
            (named.namespace == *namespace).then_some((slot, named))
        })
    }

    /// Finds, or makes one while nobody else can: among concurrent callers one makes and all get that one.
    /// `make` runs under this node's lock, so it only builds.
    pub(crate) fn find_or_insert(&self, namespace: &Namespace, make: impl FnOnce() -> Arc<Resident>) -> Arc<Resident> {
        let _one = self.writing.lock();
        if let Some((_, named)) = self.locked(namespace) {
            return Arc::clone(&named.resident);
        }
        let resident = make();
        self.add(namespace, Arc::clone(&resident));
        resident
    }

    /// With the writers' lock held.
    fn add(&self, namespace: &Namespace, resident: Arc<Resident>) {
        let named = Named::boxed(namespace, resident);
        // Release: the resident is made before it is found.
        match self.slots().find(|slot| [ptr::null_mut(), taken_out()].contains(&slot.named.load(Ordering::Relaxed))) {
            Some(free) => free.named.store(named, Ordering::Release),
            None => {
                let slot = Box::new(Slot::new());
                slot.named.store(named, Ordering::Relaxed);
                if let Some(last) = self.slots().last() {
                    last.next.store(Box::into_raw(slot), Ordering::Release);
                }
            }
        }
    }

    /// Puts one in, in the place of another if there is one, which is let go.
    pub(crate) fn replace(&self, namespace: &Namespace, resident: Arc<Resident>) {
        let one = self.writing.lock();
        let Some((slot, _)) = self.locked(namespace) else {
            self.add(namespace, resident);
            return;
        };
        let named = Named::boxed(namespace, resident);
        let before = slot.named.swap(named, Ordering::AcqRel);
        drop(one);
        // SAFETY: it came from a box, the swap gave it to this caller alone, and no slot has it any more.
        unsafe { Named::retire(before) };
    }

    pub(crate) fn remove(&self, namespace: &Namespace) -> Option<Arc<Resident>> {
        self.remove_if(namespace, |_| true)
    }

    /// Takes this very resident out, if it is there.
    pub(crate) fn remove_this(&self, namespace: &Namespace, this: &Arc<Resident>) -> Option<Arc<Resident>> {
        self.remove_if(namespace, |there| ptr::addr_eq(Arc::as_ptr(there), Arc::as_ptr(this)))
    }

    fn remove_if(&self, namespace: &Namespace, which: impl FnOnce(&Arc<Resident>) -> bool) -> Option<Arc<Resident>> {
        let one = self.writing.lock();
        let (slot, named) = self.locked(namespace).filter(|(_, named)| which(&named.resident))?;
        let resident = Arc::clone(&named.resident);
        let before = slot.named.swap(taken_out(), Ordering::AcqRel);
        drop(one);
        // SAFETY: it came from a box, the swap gave it to this caller alone, and no slot has it any more.
        unsafe { Named::retire(before) };
        Some(resident)
    }

    /// Puts one in, or with `None` takes out what is there. What was there is let go by the caller, so that a lock of
    /// its own is not held then.
    pub(crate) fn exchange(&self, namespace: &Namespace, resident: Option<Arc<Resident>>) -> TakenOut {
        let boxed = |resident| Named::boxed(namespace, resident);
        let _one = self.writing.lock();
        match (self.locked(namespace), resident) {
            (None, None) => TakenOut { resident: None, named: ptr::null_mut() },
            (None, Some(new)) => {
                self.add(namespace, new);
                TakenOut { resident: None, named: ptr::null_mut() }
            }
            (Some((slot, before)), new) => {
                let resident = Some(Arc::clone(&before.resident));
                let named = slot.named.swap(new.map_or(taken_out(), boxed), Ordering::AcqRel);
                TakenOut { resident, named }
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
            .map(|slot| &slot.named)
            .filter(|named| ![ptr::null_mut(), taken_out()].contains(&named.load(Ordering::Relaxed)))
            .map(|named| named.swap(taken_out(), Ordering::AcqRel))
            .collect();
        drop(one);
        for named in taken {
            // SAFETY: it came from a box, the swap gave it to this caller alone, and no slot has it any more.
            unsafe { Named::retire(named) };
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Resident>> {
        if self.is_empty() {
            return Vec::new();
        }
        let _one = self.writing.lock();
        self.slots()
            // SAFETY: this holds the writers' lock.
            .filter_map(|slot| unsafe { slot.named() })
            .map(|named| Arc::clone(&named.resident))
            .collect()
    }
}

impl Drop for Residents {
    fn drop(&mut self) {
        let mut slot = ptr::from_mut(&mut self.first);
        let mut first = true;
        // SAFETY: the node ends, so nobody looks up here any more; each slot but the first and each resident came from
        // a `Box`, and is freed once.
        while let Some(at) = unsafe { slot.as_mut() } {
            let named = at.named.load(Ordering::Relaxed);
            if !named.is_null() && named != taken_out() {
                // SAFETY: as above.
                drop(unsafe { Box::from_raw(named) });
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
