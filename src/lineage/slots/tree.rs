//! [`SlotTree`]: slots that are a list while they are few, and a tree behind it.
//!
//! # Shape
//! The first [`LISTED`] slots are a list. Each slot from the last of the list on may have a block of [`WIDTH`] slots behind it, and
//! the hash of a name chooses one of the block's slots. So a name has one [`Path`] from the first slot down. It is as long as the
//! list and the logarithm of the number of entries. A node with few entries computes no hash.
//!
//! # Invariants
//! 1. A slot never moves, and is freed with the tree. So a reader borrows slots without protection, and nothing is copied
//!    when the tree grows.
//! 2. `next` is set once, and only where an entry stands or stood: nothing is behind an entry that is null.
//! 3. A slot's *depth*, the number of slots before it on a path, is the same on every path through it. So the depth gives
//!    the length of the block behind the slot.
//!
//! Only one writer at a time adds blocks. A reader that meets a new block sees its slots: `next` is released and acquired.
//!
//! # Hashes
//! Names may come from a client, so the hash has a seed that each process draws for itself. Each hash lasts for [`ROUND`] blocks;
//! behind them begins another one.

use std::hash::{BuildHasher, RandomState};
use std::iter;
use std::mem;
use std::ptr;

use smallvec::{SmallVec, smallvec};

use crate::names::namespace::Namespace;
use crate::sync::os::{AtomicPtr, LazyLock, Ordering};

/// The slots of the list.
const LISTED: usize = 8;
/// The slots of a block behind the list: two cache lines, of which a path touches one.
const WIDTH: usize = 1 << BITS;
/// The bits of a hash that choose a slot of a block.
const BITS: usize = 3;
/// The blocks on a path that use the bits of one hash. A power of two, so that no look-up divides.
const ROUND: usize = 16;

/// The slots of one node.
pub(super) struct SlotTree<E> {
    first: Slot<E>,
}

#[repr(C)]
pub(super) struct Slot<E> {
    /// Null until the slot has its first entry.
    pub(super) entry: AtomicPtr<E>,
    /// Null, or the block behind this slot: a boxed slice, whose length is [`width`] of the slot's depth and one.
    next: AtomicPtr<Slot<E>>,
}

/// A slot on the way of one name, from the first slot of a tree down.
pub(super) struct Path<'a, 'n, E> {
    slot: &'a Slot<E>,
    depth: usize,
    name: &'n Namespace,
    /// The hash of the name for this round, shifted to the bits of the next block.
    hash: u64,
}

/// The number of slots in a block at this depth.
fn width(depth: usize) -> usize {
    if depth < LISTED { 1 } else { WIDTH }
}

#[inline(never)]
fn hash(name: &Namespace, round: usize) -> u64 {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    SEED.hash_one((round, name))
}

impl<E> Slot<E> {
    const fn new() -> Self {
        Self { entry: AtomicPtr::new(ptr::null_mut()), next: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The block behind this slot, which has the given depth.
    ///
    /// # Safety
    /// The depth is the slot's.
    unsafe fn block(&self, depth: usize) -> Option<&[Slot<E>]> {
        // Acquire: pairs with the Release in `Path::grow`.
        let next = self.next.load(Ordering::Acquire);
        // SAFETY: the block is a boxed slice of this length (invariant 3), and lives as long as the tree (invariant 1),
        // which is borrowed.
        (!next.is_null()).then(|| unsafe { std::slice::from_raw_parts(next, width(depth + 1)) })
    }
}

impl<'a, E> Path<'a, '_, E> {
    #[inline]
    pub(super) fn slot(&self) -> &'a Slot<E> {
        self.slot
    }

    /// Goes on to the next slot. Returns false, and stays, where there is none.
    #[inline]
    pub(super) fn step(&mut self) -> bool {
        // SAFETY: the path counts its steps from the first slot, whose depth is zero.
        let Some(block) = (unsafe { self.slot.block(self.depth) }) else { return false };
        let at = self.choose();
        self.slot = &block[at];
        self.depth += 1;
        true
    }

    /// The name's slot in the block behind the current slot.
    #[inline]
    fn choose(&mut self) -> usize {
        match (self.depth + 1).checked_sub(LISTED) {
            None => 0,
            Some(level) => {
                if level % ROUND == 0 {
                    self.hash = hash(self.name, level / ROUND);
                }
                let at = self.hash as usize % WIDTH;
                self.hash >>= BITS;
                at
            }
        }
    }

    /// Adds a block with this entry behind the last slot of the path, which has or had an entry. For the one writer.
    pub(super) fn grow(mut self, entry: *mut E) {
        let block: Box<[Slot<E>]> = iter::repeat_with(Slot::new).take(width(self.depth + 1)).collect();
        block[self.choose()].entry.store(entry, Ordering::Relaxed);
        let block: *mut [Slot<E>] = Box::into_raw(block);
        // Release: the block is whole before it is found; pairs with the Acquire in `block`.
        self.slot.next.store(block.cast(), Ordering::Release);
    }
}

impl<E> SlotTree<E> {
    pub(super) const fn new() -> Self {
        Self { first: Slot::new() }
    }

    /// Returns true while no slot ever had an entry.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.entry.load(Ordering::Relaxed).is_null()
    }

    /// The way of a name, at the first slot.
    #[inline]
    pub(super) fn path<'n>(&self, name: &'n Namespace) -> Path<'_, 'n, E> {
        Path { slot: &self.first, depth: 0, name, hash: 0 }
    }

    /// All slots: those of the list in their order, then the others.
    pub(super) fn all(&self) -> impl Iterator<Item = &Slot<E>> {
        let mut todo: SmallVec<[(&Slot<E>, usize); WIDTH]> = smallvec![(&self.first, 0)];
        iter::from_fn(move || {
            let (slot, depth) = todo.pop()?;
            // SAFETY: the first slot has depth zero, and the slots of a block are one deeper than the slot before it.
            let block = unsafe { slot.block(depth) };
            todo.extend(block.into_iter().flatten().map(|behind| (behind, depth + 1)));
            Some(slot)
        })
    }

    /// Frees the slots. Gives `entry` the content of each, null included. The tree is empty then.
    pub(super) fn free(&mut self, mut entry: impl FnMut(*mut E)) {
        let mut slot = mem::replace(&mut self.first, Slot::new());
        let mut todo = Vec::new();
        let mut empty = |slot: &mut Slot<E>, depth: usize, todo: &mut Vec<_>| {
            entry(*slot.entry.get_mut());
            let next = *slot.next.get_mut();
            if !next.is_null() {
                todo.push((ptr::slice_from_raw_parts_mut(next, width(depth)), depth));
            }
        };
        empty(&mut slot, 1, &mut todo);
        while let Some((block, depth)) = todo.pop() {
            // SAFETY: the block comes from `grow`, which made a boxed slice of this length (invariant 3). The slot before it
            // owned it, and was emptied once.
            let mut block = unsafe { Box::from_raw(block) };
            block.iter_mut().for_each(|slot| empty(slot, depth + 1, &mut todo));
        }
    }
}
