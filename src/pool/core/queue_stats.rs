//! [`QueueStats`]: the running tasks of a pool, for its reports. It changes under the queue's lock.
//!
//! Every change has a constant cost, however many tasks run: the list also holds tasks that run inside one another on one
//! thread.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::names::id::{NodeId, TaskId};
use crate::names::task_type::TaskType;
use crate::pool::core::task_meta::Task;
use crate::sync::clock::CoarseInstant;
use crate::task::rank::Rank;

/// A running task.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) id: TaskId,
    /// The submitter's node.
    pub(crate) at: NodeId,
    /// Tasks that its thread finished before it and has not counted out of the pool yet. The entry leaves the list before
    /// they leave the count.
    pub(crate) owed: u64,
    pub(crate) since: CoarseInstant,
    pub(crate) task_type: Option<Box<TaskType>>,
}

/// The content of a slot.
enum Slot {
    Taken(Running),
    /// Free, with a link to the next free slot.
    Free(Link),
}

/// A slot's number, or [`END`].
type Link = u32;
const END: Link = Link::MAX;

type Names = Vec<(TaskId, Cow<'static, str>)>;

/// The tasks of a pool that have started and not ended.
pub(crate) struct QueueStats {
    /// Tasks that were taken off the queue.
    pub(crate) popped: u64,
    slots: SmallVec<[Slot; 2]>,
    /// The first free slot.
    free: Link,
    taken: u32,
    /// Data that few pools have. The others pay for a look at this word.
    rare: Option<Box<Rare>>,
}

struct Rare {
    /// Names that tasks gave themselves.
    names: Names,
    /// The ranks of the running tasks, by their slots, in a pool whose queue has an order.
    ranks: Option<Vec<Option<Rank>>>,
}

impl QueueStats {
    pub(crate) fn new(is_ordered: bool) -> Self {
        let rare = is_ordered.then(|| Box::new(Rare { names: Vec::new(), ranks: Some(Vec::new()) }));
        Self { popped: 0, slots: SmallVec::new(), free: END, taken: 0, rare }
    }

    /// Notes the rank of a noted task, in a pool whose queue has an order.
    #[inline]
    pub(crate) fn note_rank(&mut self, at: usize, task: &Task) {
        if let Some(rare) = &mut self.rare {
            rare.note_rank(at, task);
        }
    }

    /// Returns the ranks of the running tasks.
    pub(crate) fn ranks(&self) -> impl Iterator<Item = Rank> {
        let ranks = self.rare.as_ref().and_then(|rare| rare.ranks.as_ref());
        let taken = ranks.into_iter().flatten().zip(&self.slots);
        taken.filter(|(_, slot)| matches!(slot, Slot::Taken(_))).filter_map(|(rank, _)| *rank)
    }

    /// Replaces the task that a thread noted at `at`, if any, by its next one, if any.
    pub(crate) fn turn(&mut self, at: &mut Option<usize>, next: Option<Running>) {
        match (*at, next) {
            (Some(i), Some(next)) => {
                self.forget_name_at(i);
                self.slots[i] = Slot::Taken(next);
            }
            (Some(i), None) => {
                self.erase(i);
                *at = None;
            }
            (None, Some(next)) => *at = Some(self.note(next)),
            (None, None) => {}
        }
    }

    /// Notes a task. Returns its slot, with which it is erased.
    pub(crate) fn note(&mut self, running: Running) -> usize {
        let taken = Slot::Taken(running);
        self.taken += 1;
        let at = self.free as usize;
        match self.slots.get_mut(at) {
            Some(slot) => {
                if let Slot::Free(next) = std::mem::replace(slot, taken) {
                    self.free = next;
                }
                at
            }
            None => {
                self.slots.push(taken);
                self.slots.len() - 1
            }
        }
    }

    pub(crate) fn erase(&mut self, at: usize) {
        self.forget_name_at(at);
        let before = std::mem::replace(&mut self.slots[at], Slot::Free(self.free));
        debug_assert!(matches!(before, Slot::Taken(_)), "erased twice");
        // The cast is exact: each running task has a stack, so there are fewer slots than links.
        self.free = at as Link;
        self.taken -= 1;
        if self.taken == 0 && self.slots.spilled() {
            // An idle pool keeps no memory for its busiest moment.
            self.slots = SmallVec::new();
            self.free = END;
            if let Some(ranks) = self.rare.as_mut().and_then(|rare| rare.ranks.as_mut()) {
                *ranks = Vec::new();
            }
        }
    }

    /// Notes the task type of a noted task.
    pub(crate) fn set_type(&mut self, at: usize, task_type: Option<Box<TaskType>>) {
        if let Some(Slot::Taken(running)) = self.slots.get_mut(at) {
            running.task_type = task_type;
        }
    }

    /// Names a running task, in the place of an earlier name.
    pub(crate) fn set_name(&mut self, id: TaskId, name: Cow<'static, str>) {
        if !self.running().any(|running| running.id == id) {
            return;
        }
        let rare = self.rare.get_or_insert_with(|| Box::new(Rare { names: Vec::new(), ranks: None }));
        rare.names.retain(|(named, _)| *named != id);
        rare.names.push((id, name));
    }

    /// Returns the names of the running tasks that have one.
    pub(crate) fn names(&self) -> &[(TaskId, Cow<'static, str>)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.names)
    }

    /// Forgets the name of the task in a slot, before another one takes it.
    #[inline]
    fn forget_name_at(&mut self, at: usize) {
        if self.rare.is_some() {
            self.forget_name(at);
        }
    }

    #[cold]
    fn forget_name(&mut self, at: usize) {
        let (Some(rare), Slot::Taken(ended)) = (&mut self.rare, &self.slots[at]) else { return };
        rare.names.retain(|(named, _)| *named != ended.id);
        if rare.names.is_empty() && rare.ranks.is_none() {
            self.rare = None;
        }
    }

    /// Erases a task whose thread never returns. The search begins at the newest.
    pub(crate) fn forget(&mut self, id: TaskId) {
        let is_its = |slot: &Slot| matches!(slot, Slot::Taken(running) if running.id == id);
        if let Some(at) = self.slots.iter().rposition(is_its) {
            self.erase(at);
        }
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Running> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Taken(running) => Some(running),
            Slot::Free(_) => None,
        })
    }
}

impl Rare {
    #[cold]
    fn note_rank(&mut self, at: usize, task: &Task) {
        let Some(ranks) = &mut self.ranks else { return };
        if ranks.len() <= at {
            ranks.resize(at + 1, None);
        }
        ranks[at] = task.rank();
    }
}
