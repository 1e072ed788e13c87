//! [`Turns`]: the queued tasks of one level, of which the tenants take turns by weight.
//!
//! # Turns
//! The tenants that have queued tasks form a ring. The first one starts as many tasks as its weight says, the oldest
//! first, and goes to the end of the ring. A tenant that gets its first queued task enters at the end, with one whole turn;
//! a tenant without queued tasks leaves, and its rest of a turn is lost.
//!
//! # The bound
//! A tenant's oldest task starts after at most one turn of each other tenant in the ring: so many tasks as their weights
//! add up to, however many are queued.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::pool::core::chain::Fifo;
use crate::task::cell::TaskRef;
use crate::task::rank::Rank;

/// So many tenants keep their memory when the last one has left.
pub(super) const KEEP: usize = 16;

/// The queued tasks of one level.
pub(super) struct Turns<M: 'static> {
    lanes: HashMap<usize, Lane<M>, BuildHasherDefault<Mix>>,
    /// The tenants that have tasks, in the order of their turns.
    ring: VecDeque<usize>,
}

/// The queued tasks of one tenant. There is at least one.
struct Lane<M: 'static> {
    tasks: Fifo<M>,
    /// The number of entries.
    length: usize,
    weight: usize,
    /// Tasks that its turn may still start.
    left: usize,
}

/// A popped task.
pub(super) struct Next<M: 'static> {
    pub(super) task: TaskRef<M>,
    /// No other thread had claimed it. A tombstone uses up nothing of a turn.
    pub(super) starts: bool,
}

impl<M: 'static> Turns<M> {
    pub(super) fn new() -> Self {
        Self { lanes: HashMap::default(), ring: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    pub(super) fn push(&mut self, rank: Rank, task: TaskRef<M>) {
        let weight = rank.weight();
        let lane = match self.lanes.entry(rank.tenant()) {
            Entry::Occupied(lane) => lane.into_mut(),
            Entry::Vacant(vacant) => {
                self.ring.push_back(rank.tenant());
                vacant.insert(Lane { tasks: Fifo::new(), length: 0, weight, left: weight })
            }
        };
        // A changed weight counts from the next task on.
        (lane.weight, lane.left) = (weight, lane.left.min(weight));
        lane.tasks.push(task);
        lane.length += 1;
    }

    /// Returns whether `pop` would return the task.
    pub(super) fn begins_with(&mut self, task: &TaskRef<M>) -> bool {
        let first = self.ring.front().and_then(|tenant| self.lanes.get_mut(tenant));
        first.is_some_and(|lane| lane.tasks.begins_with(task))
    }

    pub(super) fn pop(&mut self) -> Option<Next<M>> {
        let tenant = *self.ring.front()?;
        let lane = self.lanes.get_mut(&tenant)?;
        let task = lane.tasks.pop()?;
        lane.length -= 1;
        let starts = task.state().is_queued();
        lane.left -= usize::from(starts);
        if lane.tasks.is_empty() {
            self.ring.pop_front();
            self.lanes.remove(&tenant);
            self.shrink();
        } else if lane.left == 0 {
            lane.left = lane.weight;
            self.ring.rotate_left(1);
        }
        Some(Next { task, starts })
    }

    /// Gives memory back: a burst of tenants leaves nothing behind.
    fn shrink(&mut self) {
        let used = self.lanes.len();
        if self.lanes.capacity() > KEEP.max(4 * used) {
            self.lanes.shrink_to(2 * used);
            self.ring.shrink_to(2 * used);
        }
    }

    /// The number of entries.
    pub(super) fn length(&self) -> usize {
        self.by_tenant().map(|(_, length)| length).sum()
    }

    /// The tenants, each with its number of entries.
    pub(super) fn by_tenant(&self) -> impl Iterator<Item = (usize, usize)> {
        self.lanes.iter().map(|(tenant, lane)| (*tenant, lane.length))
    }

    /// Takes the tasks for which `unwanted` returns true, and keeps the order of the rest.
    pub(super) fn take_if(&mut self, unwanted: &mut dyn FnMut(&TaskRef<M>) -> bool, taken: &mut Vec<TaskRef<M>>) {
        let lanes = &mut self.lanes;
        self.ring.retain(|tenant| {
            let Some(lane) = lanes.get_mut(tenant) else { return false };
            let before = taken.len();
            lane.tasks.take_if(unwanted, taken);
            lane.length -= taken.len() - before;
            let stays = !lane.tasks.is_empty();
            if !stays {
                lanes.remove(tenant);
            }
            stays
        });
        self.shrink();
    }
}

/// A hash of numbers that are spread already, or count up.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, number: usize) {
        // The upper half of the product depends on all bits of the number, and the table uses both halves.
        let product = (self.0 ^ number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ product >> 32;
    }
}
