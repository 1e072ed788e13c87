//! [`Store`]: which lines are kept. Nothing here runs user code, and what is thrown out is handed back, to be dropped outside
//! the lock.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::line::LogLine;
use super::settings::Settings;
use crate::names::id::TaskId;
use crate::sync::os::Arc;

type Lines = VecDeque<Arc<LogLine>>;

/// What the log's lock guards.
#[derive(Default)]
pub(super) struct Store {
    tasks: HashMap<TaskId, Kept>,
    /// The tasks without a record, the one written to least recently first.
    order: BTreeMap<u64, TaskId>,
    writes: u64,
}

#[derive(Default)]
struct Kept {
    lines: Lines,
    /// How many records of it are held.
    records: usize,
    /// Its key in the order, while there is no record.
    at: Option<u64>,
}

/// What was thrown out.
pub(super) struct Unkept {
    _line: Option<Arc<LogLine>>,
    _task: Lines,
}

impl Store {
    pub(super) fn push(&mut self, task: TaskId, line: &Arc<LogLine>, settings: Settings) -> Unkept {
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
        let mut unkept = Unkept { _line: oldest, _task: Lines::new() };
        if self.order.len() > settings.tasks
            && let Some((_, last)) = self.order.pop_first()
        {
            unkept._task = self.tasks.remove(&last).unwrap_or_default().lines;
        }
        unkept
    }

    pub(super) fn lines(&self, task: TaskId) -> Vec<Arc<LogLine>> {
        self.tasks.get(&task).map(|kept| kept.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// One more record of it is held.
    pub(super) fn hold(&mut self, task: TaskId) {
        let kept = self.tasks.entry(task).or_default();
        kept.records += 1;
        if let Some(at) = kept.at.take() {
            self.order.remove(&at);
        }
    }

    /// One record less; its lines, if that was the last.
    pub(super) fn let_go(&mut self, task: TaskId) -> Lines {
        let Some(kept) = self.tasks.get_mut(&task) else { return Lines::new() };
        kept.records -= 1;
        if kept.records > 0 {
            return Lines::new();
        }
        self.tasks.remove(&task).unwrap_or_default().lines
    }

    /// Its lines. It is forgotten, unless a record is held.
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
