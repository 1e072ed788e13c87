//! [`Ordered`]: the queued tasks of a pool with priorities or fair turns.
//!
//! # Levels
//! A pop takes from the first level that has tasks. Each other level that has tasks counts the pop. A level that was passed
//! over [`PATIENCE`] times is due, and goes first; among levels that are due, the one passed over most often.
//!
//! # The bound
//! While a level has queued tasks, at least one of `14 + n` tasks that start is its own, where `n` is the number of levels.
//! It is due after 15 others. From then on only levels that were passed over at least as often go before it. The first
//! level is not among them, because it is passed over only for a level that is due. Each of the other `n - 2` goes before
//! it once at most: then it begins anew at zero, and is due again only after 15 more.

use std::cmp::Reverse;

use crate::pool::core::turns::{Next, Turns};
use crate::task::cell::TaskRef;
use crate::task::rank::Rank;

/// So many tasks of other levels start before a level is due.
const PATIENCE: usize = 15;

/// The queued tasks of a pool with priorities or fair turns.
pub(super) struct Ordered<M: 'static> {
    levels: Box<[Level<M>]>,
}

struct Level<M: 'static> {
    tasks: Turns<M>,
    /// Tasks of other levels that started while this level had tasks, since its own last one.
    passed_over: usize,
}

impl<M: 'static> Level<M> {
    fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

impl<M: 'static> Ordered<M> {
    pub(super) fn new(levels: u8) -> Self {
        let level = |_| Level { tasks: Turns::new(), passed_over: 0 };
        Self { levels: (0..levels.max(1)).map(level).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.iter().all(Level::is_empty)
    }

    pub(super) fn push(&mut self, task: TaskRef<M>) {
        // A task that another thread runs already may have lost its rank. It is a tombstone, wherever it stands.
        let rank = task.rank().unwrap_or(Rank::FIRST);
        let last = self.levels.len() - 1;
        if let Some(level) = self.levels.get_mut(rank.level().min(last)) {
            level.tasks.push(rank, task);
        }
    }

    /// Returns whether `pop` would return the task.
    pub(super) fn begins_with(&mut self, task: &TaskRef<M>) -> bool {
        let next = self.next_level().and_then(|at| self.levels.get_mut(at));
        next.is_some_and(|level| level.tasks.begins_with(task))
    }

    pub(super) fn pop(&mut self) -> Option<TaskRef<M>> {
        let at = self.next_level()?;
        let Next { task, starts } = self.levels.get_mut(at)?.tasks.pop()?;
        for (other, level) in self.levels.iter_mut().enumerate() {
            if level.is_empty() || (other == at && starts) {
                level.passed_over = 0;
            } else if starts {
                level.passed_over += 1;
            }
        }
        Some(task)
    }

    fn next_level(&self) -> Option<usize> {
        let waiting = || self.levels.iter().enumerate().filter(|(_, level)| !level.is_empty());
        let due = waiting().filter(|(_, level)| level.passed_over >= PATIENCE);
        let most = due.max_by_key(|(at, level)| (level.passed_over, Reverse(*at)));
        most.or_else(|| waiting().next()).map(|(at, _)| at)
    }

    /// The number of entries.
    pub(super) fn length(&self) -> usize {
        self.levels.iter().map(|level| level.tasks.length()).sum()
    }

    /// The levels and tenants that have entries, each with their number.
    pub(super) fn by_rank(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let levels = self.levels.iter().enumerate();
        levels.flat_map(|(level, tasks)| tasks.tasks.by_tenant().map(move |(tenant, length)| (level, tenant, length)))
    }

    /// Takes the tasks for which `unwanted` returns true, and keeps the order of the rest.
    pub(super) fn take_if(&mut self, unwanted: &mut dyn FnMut(&TaskRef<M>) -> bool, taken: &mut Vec<TaskRef<M>>) {
        self.levels.iter_mut().for_each(|level| level.tasks.take_if(unwanted, taken));
    }
}
