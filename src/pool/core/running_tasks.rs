//! [`RunningTasks`]: the tasks of a pool that have started and not ended.
//!
//! Every change has a constant cost, however many tasks run: the list also holds tasks that run inside one another on one
//! thread.
//!
//! An idle pool has no list, since a process may have a million idle pools. The first task to start brings one, and the last
//! to end takes it: it is the [`Spare`] of the thread then, and after the thread's visit to the pool one of the process's
//! [`Spares`]. So a pool that is idle after each task allocates nothing for it.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::names::id::{NodeId, TaskId};
use crate::names::task_type::TaskType;
use crate::sync::clock::CoarseInstant;
use crate::sync::spares::{Place, Spares};
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
pub(super) struct RunningTasks {
    slots: SmallVec<[Slot; 2]>,
    /// The first free slot.
    free: Link,
    taken: u32,
    /// Data that few pools have. The others pay for a look at this word.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Names that tasks gave themselves.
    names: Names,
    /// The ranks of the running tasks, by their slots, in a pool whose queue has an order.
    ranks: Vec<Option<Rank>>,
}

/// An empty list, between a thread's tasks of one pool, and the place to which it goes at the end of the visit.
#[derive(Default)]
pub(crate) struct Spare {
    list: Option<Box<RunningTasks>>,
    place: Place,
}

static SPARES: Spares<RunningTasks> = Spares::new();

impl Spare {
    #[inline]
    pub(super) fn take(&mut self, place: Place) -> Box<RunningTasks> {
        let list = self.list.take().or_else(|| SPARES.take(place));
        list.unwrap_or_else(|| Box::new(RunningTasks::new()))
    }

    /// Keeps an empty list.
    #[inline]
    pub(super) fn keep(&mut self, place: Place, list: Box<RunningTasks>) {
        debug_assert!(list.is_empty() && list.names().is_empty());
        self.place = place;
        drop(self.list.replace(list));
    }
}

impl Drop for Spare {
    #[inline]
    fn drop(&mut self) {
        if let Some(list) = self.list.take() {
            SPARES.put(self.place, list);
        }
    }
}

impl RunningTasks {
    fn new() -> Self {
        Self { slots: SmallVec::new(), free: END, taken: 0, rare: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Replaces a noted task by the next one of its thread.
    pub(super) fn replace(&mut self, at: usize, next: Running) {
        self.forget_name_at(at);
        self.slots[at] = Slot::Taken(next);
    }

    /// Notes a task. Returns its slot, with which it is erased.
    pub(super) fn note(&mut self, running: Running) -> usize {
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

    pub(super) fn erase(&mut self, at: usize) {
        self.forget_name_at(at);
        let before = std::mem::replace(&mut self.slots[at], Slot::Free(self.free));
        debug_assert!(matches!(before, Slot::Taken(_)), "erased twice");
        // The cast is exact: each running task has a stack or a node, so there are fewer slots than links.
        self.free = at as Link;
        self.taken -= 1;
        if self.taken == 0 {
            if self.slots.spilled() {
                // A spare keeps no memory for the busiest moment.
                *self = Self::new();
            } else if let Some(rare) = &mut self.rare {
                rare.ranks.clear();
            }
        }
    }

    /// Notes the task type of a noted task.
    pub(super) fn set_type(&mut self, at: usize, task_type: Option<Box<TaskType>>) {
        if let Some(Slot::Taken(running)) = self.slots.get_mut(at) {
            running.task_type = task_type;
        }
    }

    /// Names a running task, in the place of an earlier name.
    pub(super) fn set_name(&mut self, id: TaskId, name: Cow<'static, str>) {
        if !self.running().any(|running| running.id == id) {
            return;
        }
        let rare = self.rare.get_or_insert_default();
        rare.names.retain(|(named, _)| *named != id);
        rare.names.push((id, name));
    }

    /// Returns the names of the running tasks that have one.
    pub(super) fn names(&self) -> &[(TaskId, Cow<'static, str>)] {
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
        if rare.names.is_empty() && rare.ranks.is_empty() {
            self.rare = None;
        }
    }

    /// Notes the rank of a noted task.
    #[inline]
    pub(super) fn note_rank(&mut self, at: usize, rank: Option<Rank>) {
        if rank.is_some() || self.rare.as_ref().is_some_and(|rare| !rare.ranks.is_empty()) {
            self.set_rank(at, rank);
        }
    }

    #[cold]
    fn set_rank(&mut self, at: usize, rank: Option<Rank>) {
        let ranks = &mut self.rare.get_or_insert_default().ranks;
        if ranks.len() <= at {
            ranks.resize(at + 1, None);
        }
        ranks[at] = rank;
    }

    /// Returns the ranks of the running tasks.
    pub(super) fn ranks(&self) -> impl Iterator<Item = Rank> {
        let ranks = self.rare.iter().flat_map(|rare| &rare.ranks);
        ranks.zip(&self.slots).filter(|(_, slot)| matches!(slot, Slot::Taken(_))).filter_map(|(rank, _)| *rank)
    }

    /// Returns the slot of a task. The search begins at the newest.
    pub(super) fn position(&self, id: TaskId) -> Option<usize> {
        self.slots.iter().rposition(|slot| matches!(slot, Slot::Taken(running) if running.id == id))
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Running> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Taken(running) => Some(running),
            Slot::Free(_) => None,
        })
    }
}
