//! [`Store`]: the kept lines. It runs no user code, and returns removed lines, to be dropped outside the lock.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::line::LogLine;
use super::settings::Settings;
use crate::names::id::TaskId;
use crate::sync::os::Arc;

type Lines = VecDeque<Arc<LogLine>>;

/// The lines of all tasks, under the log's lock.
#[derive(Default)]
pub(super) struct Store {
    tasks: HashMap<TaskId, Kept>,
    /// The tasks without a record, the least recently written first.
    order: BTreeMap<u64, TaskId>,
    writes: u64,
}

#[derive(Default)]
struct Kept {
    lines: Lines,
    /// The number of records.
    records: usize,
    /// The key in the order, while there is no record.
    at: Option<u64>,
}

impl Store {
    /// Keeps a line of a task. Returns the removed lines: the task's oldest, and all of the least recently written task.
    pub(super) fn push(
        &mut self,
        task: TaskId,
        line: &Arc<LogLine>,
        settings: Settings,
    ) -> (Option<Arc<LogLine>>, Option<Lines>) {
        self.writes += 1;
        let kept = self.tasks.entry(task).or_default();
        let oldest = if kept.lines.len() >= settings.lines { kept.lines.pop_front() } else { None };
        kept.lines.push_back(Arc::clone(line));
        if kept.records == 0 {
            if let Some(before) = kept.at.replace(self.writes) {
                self.order.remove(&before);
            }
            self.order.insert(self.writes, task);
        }
        let last = if self.order.len() > settings.tasks { self.order.pop_first() } else { None };
        (oldest, last.and_then(|(_, last)| self.tasks.remove(&last)).map(|kept| kept.lines))
    }

    pub(super) fn lines(&self, task: TaskId) -> Vec<Arc<LogLine>> {
        self.tasks.get(&task).map(|kept| kept.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// Counts a record in.
    pub(super) fn hold(&mut self, task: TaskId) {
        let kept = self.tasks.entry(task).or_default();
        kept.records += 1;
        if let Some(at) = kept.at.take() {
            self.order.remove(&at);
        }
    }

    /// Counts a record out. Returns the task's lines, if that was the last record.
    pub(super) fn release(&mut self, task: TaskId) -> Lines {
        let Some(kept) = self.tasks.get_mut(&task) else { return Lines::new() };
        kept.records -= 1;
        if kept.records > 0 {
            return Lines::new();
        }
        self.tasks.remove(&task).unwrap_or_default().lines
    }

    /// Returns the task's lines. The task is removed, unless it has a record.
    pub(super) fn clear(&mut self, task: TaskId) -> Lines {
        let Some(kept) = self.tasks.get_mut(&task) else { return Lines::new() };
        let lines = std::mem::take(&mut kept.lines);
        if kept.records == 0 {
            if let Some(at) = kept.at {
                self.order.remove(&at);
            }
            self.tasks.remove(&task);
        }
        lines
    }
}
