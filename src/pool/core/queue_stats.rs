//! [`QueueStats`]: the started tasks of a pool, for its reports. It changes under the queue's lock.

use std::borrow::Cow;

use crate::names::id::TaskId;
use crate::names::task_type::TaskType;
use crate::pool::core::running_tasks::{Running, RunningTasks, Spare};
use crate::sync::spares::Place;
use crate::task::rank::Rank;

/// The started tasks of a pool.
pub(crate) struct QueueStats {
    /// Tasks that were taken off the queue.
    pub(crate) popped: u64,
    /// `None` while no task runs.
    running: Option<Box<RunningTasks>>,
}

impl QueueStats {
    pub(crate) fn new() -> Self {
        Self { popped: 0, running: None }
    }

    /// Replaces the task that a thread noted at `at`, if any, by its next one, if any.
    #[inline]
    pub(crate) fn turn(&mut self, at: &mut Option<usize>, next: Option<Running>, spare: &mut Spare) {
        match (*at, next) {
            (Some(i), Some(next)) => {
                if let Some(running) = &mut self.running {
                    running.replace(i, next);
                }
            }
            (Some(i), None) => {
                self.erase(i, spare);
                *at = None;
            }
            (None, Some(next)) => *at = Some(self.note(next, spare)),
            (None, None) => {}
        }
    }

    /// Notes a task. Returns its slot, with which it is erased.
    pub(crate) fn note(&mut self, next: Running, spare: &mut Spare) -> usize {
        let place = Place::of(self);
        self.running.get_or_insert_with(|| spare.take(place)).note(next)
    }

    /// Notes the rank of a noted task. `None` where the queue has no order.
    #[inline]
    pub(crate) fn note_rank(&mut self, at: usize, rank: Option<Rank>) {
        if let Some(running) = &mut self.running {
            running.note_rank(at, rank);
        }
    }

    /// Returns the ranks of the running tasks.
    pub(crate) fn ranks(&self) -> impl Iterator<Item = Rank> {
        self.running.iter().flat_map(|running| running.ranks())
    }

    pub(crate) fn erase(&mut self, at: usize, spare: &mut Spare) {
        let Some(running) = &mut self.running else { return };
        running.erase(at);
        if let Some(empty) = self.running.take_if(|running| running.is_empty()) {
            spare.keep(Place::of(self), empty);
        }
    }

    /// Erases a task whose thread never returns. The search begins at the newest.
    pub(crate) fn forget(&mut self, id: TaskId) {
        let at = self.running.as_ref().and_then(|running| running.position(id));
        if let Some(at) = at {
            self.erase(at, &mut Spare::default());
        }
    }

    /// Notes the task type of a noted task.
    pub(crate) fn set_type(&mut self, at: usize, task_type: Option<Box<TaskType>>) {
        if let Some(running) = &mut self.running {
            running.set_type(at, task_type);
        }
    }

    /// Names a running task, in the place of an earlier name.
    pub(crate) fn set_name(&mut self, id: TaskId, name: Cow<'static, str>) {
        if let Some(running) = &mut self.running {
            running.set_name(id, name);
        }
    }

    /// Returns the names of the running tasks that have one.
    pub(crate) fn names(&self) -> &[(TaskId, Cow<'static, str>)] {
        self.running.as_ref().map_or(&[], |running| running.names())
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Running> {
        self.running.iter().flat_map(|running| running.running())
    }
}
