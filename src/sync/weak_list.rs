//! [`WeakList`]: a weak, self-cleaning list of live things.
//!
//! Listing never keeps anything alive: the list holds `Weak`s, and each listed thing holds a [`Registration`] whose
//! drop removes it. Insert and remove cost one short lock on a shard of the inserting thread, so that threads which
//! make and drop their own things do not contend.
//!
//! An entry costs its `Weak` and half a byte: a process may list a million idle things. Entries stand in blocks, which
//! never move and are freed when they are empty.

use std::num::NonZeroU8;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::sync::local::WORDS;

const SHARDS: usize = 16;
/// The entries of one block, which are the bits of a word.
const BLOCK: usize = 32;
/// A shard that became empty gives its memory back when it had more blocks.
const KEEP: usize = 8;

/// The list.
pub(crate) struct WeakList<T: ?Sized> {
    shards: Arc<[Shard<T>; SHARDS]>,
}

type Shard<T> = crossbeam_utils::CachePadded<Mutex<Blocks<T>>>;

struct Blocks<T: ?Sized> {
    blocks: Vec<Block<T>>,
    /// The blocks with a free entry; the next entry goes into the last one.
    open: Vec<u32>,
    live: usize,
    /// The memory of an empty block, for things that come and go one at a time.
    spare: Option<Box<Entries<T>>>,
}

struct Block<T: ?Sized> {
    /// A bit for each taken entry.
    taken: u32,
    /// `None` while no entry is taken.
    entries: Option<Box<Entries<T>>>,
}

type Entries<T> = [Option<Weak<T>>; BLOCK];

/// An entry of a [`WeakList`], for a caller that keeps the list and removes the entry itself. It counts nothing.
#[derive(Clone, Copy)]
pub(crate) struct ListKey {
    key: u32,
    /// The shard's number plus one, so that an `Option` of a key is no larger.
    shard: NonZeroU8,
}

/// An entry of a [`WeakList`]. Dropping it removes the entry.
pub(crate) struct Registration<T: ?Sized> {
    shards: Arc<[Shard<T>; SHARDS]>,
    entry: ListKey,
}

/// The shard of the calling thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    WORDS.with(|words| {
        let shard = words.shard.get().unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        words.shard.set(Some(shard));
        shard
    })
}

impl<T: ?Sized> Blocks<T> {
    fn new() -> Self {
        Self { blocks: Vec::new(), open: Vec::new(), live: 0, spare: None }
    }

    /// Returns the key of the entry.
    fn insert(&mut self, entry: Weak<T>) -> u32 {
        // A shard with 2^32 live entries is 32 GiB of index; memory ends first.
        let at = self.open.last().copied().unwrap_or(self.blocks.len() as u32);
        if at as usize == self.blocks.len() {
            self.blocks.push(Block { taken: 0, entries: None });
            self.open.push(at);
        }
        let block = &mut self.blocks[at as usize];
        let free = block.taken.trailing_ones();
        let spare = &mut self.spare;
        let memory = || spare.take().unwrap_or_else(|| Box::new([const { None }; BLOCK]));
        block.entries.get_or_insert_with(memory)[free as usize] = Some(entry);
        block.taken |= 1 << free;
        if block.taken == u32::MAX {
            self.open.pop();
        }
        self.live += 1;
        at * BLOCK as u32 + free
    }

    fn remove(&mut self, key: u32) -> Option<Weak<T>> {
        let (at, bit) = (key / BLOCK as u32, key % BLOCK as u32);
        let block = self.blocks.get_mut(at as usize)?;
        let entry = block.entries.as_mut()?[bit as usize].take()?;
        if block.taken == u32::MAX {
            self.open.push(at);
        }
        block.taken &= !(1 << bit);
        if block.taken == 0 {
            self.spare = block.entries.take();
        }
        self.live -= 1;
        if self.live == 0 && self.blocks.len() > KEEP {
            *self = Self::new();
        }
        Some(entry)
    }

    fn entries(&self) -> impl Iterator<Item = &Weak<T>> {
        self.blocks.iter().filter_map(|block| block.entries.as_deref()).flatten().flatten()
    }
}

impl<T: ?Sized> WeakList<T> {
    pub(crate) fn new() -> Self {
        Self { shards: Arc::new(std::array::from_fn(|_| Mutex::new(Blocks::new()).into())) }
    }

    pub(crate) fn insert(&self, entry: Weak<T>) -> Registration<T> {
        Registration { shards: Arc::clone(&self.shards), entry: self.list(entry) }
    }

    /// Adds an entry until [`unlist`](Self::unlist).
    pub(crate) fn list(&self, entry: Weak<T>) -> ListKey {
        let shard = shard();
        let key = self.shards[shard].lock().insert(entry);
        ListKey { key, shard: NonZeroU8::MIN.saturating_add(shard as u8) }
    }

    pub(crate) fn unlist(&self, entry: ListKey) {
        remove(&self.shards, entry);
    }

    /// Returns all live entries, in no order. The references are made under the shards' locks, and used outside them.
    pub(crate) fn live(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for shard in self.shards.iter() {
            all.extend(shard.lock().entries().filter_map(Weak::upgrade));
        }
        all
    }
}

fn remove<T: ?Sized>(shards: &[Shard<T>; SHARDS], ListKey { key, shard }: ListKey) {
    let entry = shards[usize::from(shard.get()) - 1].lock().remove(key);
    // Outside the lock: this may be the last reference to the entry's memory.
    drop(entry);
}

impl<T: ?Sized> Drop for Registration<T> {
    fn drop(&mut self) {
        remove(&self.shards, self.entry);
    }
}
