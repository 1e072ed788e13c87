//! [`QueueStats`]: the running tasks of a pool, for its reports. It changes under the queue's lock.
//!
//! Every change has a constant cost, however many tasks run: the list also holds tasks that run inside one another on one
//! thread.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::names::id::{NodeId, TaskId};
use crate::names::task_type::TaskType;
use crate::sync::clock::CoarseInstant;

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
    /// Names that tasks gave themselves. Few tasks do, and the others pay for a look at this word.
    names: Option<Box<Names>>,
}

impl QueueStats {
    pub(crate) fn new() -> Self {
        Self { popped: 0, slots: SmallVec::new(), free: END, taken: 0, names: None }
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
        let names = self.names.get_or_insert_default();
        names.retain(|(named, _)| *named != id);
        names.push((id, name));
    }

    /// Returns the names of the running tasks that have one.
    pub(crate) fn names(&self) -> &[(TaskId, Cow<'static, str>)] {
        self.names.as_ref().map_or(&[], |names| names)
    }

    /// Forgets the name of the task in a slot, before another one takes it.
    #[inline]
    fn forget_name_at(&mut self, at: usize) {
        if self.names.is_some() {
            self.forget_name(at);
        }
    }

    #[cold]
    fn forget_name(&mut self, at: usize) {
        let (Some(names), Slot::Taken(ended)) = (&mut self.names, &self.slots[at]) else { return };
        names.retain(|(named, _)| *named != ended.id);
        if names.is_empty() {
            self.names = None;
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
