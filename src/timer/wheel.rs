//! [`Wheel`]: values by the tick at which each is due, in constant time however many there are.
//!
//! # Shape
//! Six levels of 64 slots. A slot of level 0 is one tick, a slot of each further level as long as the whole level below
//! it. A value lies at the lowest level whose current round reaches its tick; when the clock arrives at a slot of a
//! higher level, the slot's values are spread over the levels below. So a value moves at most five times, and inserting
//! and removing touch one list.
//!
//! # Invariants
//! 1. `elapsed` never passes the start of a slot that holds a value: the values of a slot are taken out when `elapsed`
//!    is at its start.
//! 2. A value is inserted ahead of `elapsed`, in a slot that `elapsed` is not in. So only a slot that is being taken out
//!    can be the current one.

use slab::Slab;

const LEVELS: usize = 6;
const SLOTS: usize = 64;
const BITS: u32 = SLOTS.trailing_zeros();
/// A wheel that became empty gives its memory back when it had room for more than this many values.
const KEEP: usize = 256;
/// The end of a list.
const NONE: usize = usize::MAX;

pub(crate) struct Wheel<T> {
    /// All values due up to this tick were taken out, except those left in the slot that starts here.
    elapsed: u64,
    /// The number of values ever inserted.
    inserted: u64,
    entries: Slab<Entry<T>>,
    levels: [Level; LEVELS],
}

struct Level {
    /// A bit for each slot that holds a value.
    occupied: u64,
    /// The first entry of each slot's list.
    first: [usize; SLOTS],
}

struct Entry<T> {
    id: u64,
    due: u64,
    at: Slot,
    before: usize,
    after: usize,
    value: T,
}

#[derive(Clone, Copy)]
struct Slot {
    level: usize,
    index: usize,
}

/// Names a value in a wheel. Never reused for another value, even when its memory is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    entry: usize,
    id: u64,
}

impl<T> Wheel<T> {
    pub(crate) fn new(now: u64) -> Self {
        let levels = std::array::from_fn(|_| Level { occupied: 0, first: [NONE; SLOTS] });
        Self { elapsed: now, inserted: 0, entries: Slab::new(), levels }
    }

    /// Inserts a value that is due at a tick, or at the next one if that has passed. Answers the tick at which the
    /// wheel has to be looked at for it.
    pub(crate) fn insert(&mut self, due: u64, value: T) -> (Key, u64) {
        let due = due.max(self.elapsed + 1);
        let id = self.inserted;
        self.inserted += 1;
        let at = self.slot_of(due);
        let entry = self.entries.insert(Entry { id, due, at, before: NONE, after: NONE, value });
        self.link(entry);
        (Key { entry, id }, self.start_of(at))
    }

    /// Takes a value out, if it is still there.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        if self.entries.get(key.entry)?.id != key.id {
            return None;
        }
        Some(self.take(key.entry))
    }

    fn take(&mut self, entry: usize) -> T {
        self.unlink(entry);
        let value = self.entries.remove(entry).value;
        if self.entries.is_empty() && self.entries.capacity() > KEEP {
            self.entries = Slab::new();
        }
        value
    }

    /// Takes out values that are due at `now`, in at most `steps` steps. True when more steps are to be made.
    pub(crate) fn take_due(&mut self, now: u64, steps: usize, due: &mut Vec<T>) -> bool {
        for _ in 0..steps {
            let Some((slot, start)) = self.next_slot().filter(|(_, start)| *start <= now) else {
                self.elapsed = self.elapsed.max(now);
                return false;
            };
            self.elapsed = self.elapsed.max(start);
            let entry = self.levels[slot.level].first[slot.index];
            if self.entries[entry].due <= self.elapsed {
                due.push(self.take(entry));
            } else {
                self.unlink(entry);
                self.entries[entry].at = self.slot_of(self.entries[entry].due);
                self.link(entry);
            }
        }
        true
    }

    /// The tick at which something has to be taken out, or spread over the levels below.
    pub(crate) fn next(&self) -> Option<u64> {
        self.next_slot().map(|(_, start)| start)
    }

    fn next_slot(&self) -> Option<(Slot, u64)> {
        let of_level = |(level, slots): (usize, &Level)| {
            if slots.occupied == 0 {
                return None;
            }
            let current = (self.elapsed >> shift(level)) as usize % SLOTS;
            let ahead = slots.occupied.rotate_right(current as u32).trailing_zeros() as usize;
            let slot = Slot { level, index: (current + ahead) % SLOTS };
            Some((slot, self.start_of(slot)))
        };
        self.levels.iter().enumerate().filter_map(of_level).min_by_key(|(_, start)| *start)
    }

    /// Where a value that is due after `elapsed` lies.
    fn slot_of(&self, due: u64) -> Slot {
        let differs = (self.elapsed ^ due).checked_ilog2().unwrap_or(0);
        let level = ((differs / BITS) as usize).min(LEVELS - 1);
        let shift = shift(level);
        // What is further away than the highest level reaches lies in its last slot, and is looked at again there.
        let furthest = (self.elapsed >> shift) + SLOTS as u64 - 1;
        let index = (due >> shift).min(furthest) as usize % SLOTS;
        Slot { level, index }
    }

    /// The tick at which a slot starts, of those in the round that has begun.
    fn start_of(&self, slot: Slot) -> u64 {
        let shift = shift(slot.level);
        let current = self.elapsed >> shift;
        let ahead = (slot.index + SLOTS - current as usize % SLOTS) % SLOTS;
        (current + ahead as u64) << shift
    }

    fn link(&mut self, entry: usize) {
        let Slot { level, index } = self.entries[entry].at;
        let slots = &mut self.levels[level];
        let after = std::mem::replace(&mut slots.first[index], entry);
        slots.occupied |= 1 << index;
        self.entries[entry].before = NONE;
        self.entries[entry].after = after;
        if let Some(after) = self.entries.get_mut(after) {
            after.before = entry;
        }
    }

    fn unlink(&mut self, entry: usize) {
        let Entry { at: Slot { level, index }, before, after, .. } = self.entries[entry];
        if let Some(after) = self.entries.get_mut(after) {
            after.before = before;
        }
        match self.entries.get_mut(before) {
            Some(before) => before.after = after,
            None => {
                let slots = &mut self.levels[level];
                slots.first[index] = after;
                if after == NONE {
                    slots.occupied &= !(1 << index);
                }
            }
        }
    }
}

fn shift(level: usize) -> u32 {
    level as u32 * BITS
}
