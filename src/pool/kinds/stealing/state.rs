//! [`State`]: the present rayon pool of a work-stealing pool, and the waits of its threads.

use std::mem;

use crate::sync::os::Arc;
use crate::sync::rayon::Rayon;
use crate::threads::cache::Cache;

#[derive(Default)]
pub(super) struct State {
    pub(super) stage: Stage,
    /// The number of the newest rayon pool.
    pub(super) number: u64,
    /// Threads that work for a rayon pool of this start.
    pub(super) inside: usize,
    /// Threads inside that have a task and do not wait in heirloom. They may wait in rayon, for a piece.
    pub(super) tasks: usize,
    /// Threads inside without a task of their own that wait in heirloom, with a piece.
    pub(super) pieces: usize,
    /// As many of the tasks' threads count as waiting: each may wait for one of the waiting pieces.
    pub(super) blocked_tasks: usize,
}

#[derive(Default)]
pub(super) enum Stage {
    #[default]
    None,
    /// A leader makes one; so many more permits wait for it.
    Making(usize),
    Live(Live),
}

/// The rayon pool that visits are sent to.
pub(super) struct Live {
    pub(super) rayon: Arc<Rayon>,
    pub(super) workers: usize,
    /// The workers inside a wait of heirloom's.
    pub(super) blocked: usize,
    /// Visits that were sent and have not begun.
    pub(super) pending: usize,
}

impl Live {
    pub(super) fn is_stuck(&self) -> bool {
        self.blocked == self.workers
    }
}

impl State {
    /// The rayon pool with this number, if visits are sent to it.
    pub(super) fn live(&mut self, number: u64) -> Option<&mut Live> {
        match &mut self.stage {
            Stage::Live(live) if self.number == number => Some(live),
            _ => None,
        }
    }

    /// Notes a visit that the caller then sends; `None` where a leader is needed.
    pub(super) fn note_sent(&mut self) -> Option<(Arc<Rayon>, u64)> {
        let live = match &mut self.stage {
            Stage::Live(live) if !live.is_stuck() => live,
            _ => return None,
        };
        live.pending += 1;
        Some((Arc::clone(&live.rayon), self.number))
    }

    /// Applies a change of tasks or pieces. Returns true when more threads count as waiting than before, so that a job
    /// in line may get one.
    pub(super) fn balance(&mut self, cache: &Cache) -> bool {
        let (before, due) = (self.blocked_tasks, self.tasks.min(self.pieces));
        (before..due).for_each(|_| cache.one_more_blocked());
        (due..before).for_each(|_| cache.one_less_blocked());
        self.blocked_tasks = due;
        due > before
    }

    /// Ends the rayon pool, if there is one. The caller drops it outside of the lock.
    pub(super) fn end(&mut self) -> Option<Live> {
        match mem::replace(&mut self.stage, Stage::None) {
            Stage::Live(live) => Some(live),
            before => {
                self.stage = before;
                None
            }
        }
    }
}
