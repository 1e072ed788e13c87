//! [`PoolTotals`]: what the pools of a family did, by name, those that are gone included.
//!
//! # Counted once
//! A pool is in the list while it lives, and writes what it did into the ledger when it is dropped. Whoever sums up
//! first takes hold of the pools that live, then reads what is written: a pool that is held has written nothing yet.
//! One that is being dropped just then is missed until the next time, so what is told is what the sums were at most
//! ([`PoolTotals::told`]): of the whole family, because whoever makes a publisher for each page tells of the same counters.
//!
//! # Bounded
//! A name that came is kept for ever, so that its counters never begin again. From [`MAX_NAMES`] on, new names are
//! written under one common line; which names have a line of their own never changes. Of a long name its beginning is
//! kept.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use crate::names::namespace::Namespace;
use crate::names::task_type::TaskType;
use crate::sync::os::Mutex;
use crate::sync::weak_list::WeakList;

/// How many names have a line of their own.
pub(crate) const MAX_NAMES: usize = 500;

/// A manager's namespace and what its pool takes; `None` is the common line.
pub(crate) type Name = Option<(Namespace, Option<TaskType>)>;

/// A namespace and a task type as they are published: what is published under the same name is one series.
pub(crate) type Labels = (String, String);

/// How tasks ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) completed: u64,
    pub(crate) interrupted: u64,
    pub(crate) panicked: u64,
    pub(crate) cancelled: u64,
    pub(crate) refused: u64,
}

pub(crate) struct PoolTotals {
    /// The pools that live; this layer does not know them.
    pub(crate) pools: WeakList<dyn Any + Send + Sync>,
    lines: Mutex<HashMap<Name, Ends>>,
    /// The most that was ever told, by what the names are published as.
    told: Mutex<BTreeMap<Labels, Ends>>,
}

impl Ends {
    pub(crate) fn add(&mut self, other: Ends) {
        self.completed += other.completed;
        self.interrupted += other.interrupted;
        self.panicked += other.panicked;
        self.cancelled += other.cancelled;
        self.refused += other.refused;
    }

    fn raise(&mut self, to: Ends) {
        self.completed = self.completed.max(to.completed);
        self.interrupted = self.interrupted.max(to.interrupted);
        self.panicked = self.panicked.max(to.panicked);
        self.cancelled = self.cancelled.max(to.cancelled);
        self.refused = self.refused.max(to.refused);
    }
}

impl PoolTotals {
    pub(crate) fn new() -> Self {
        Self { pools: WeakList::new(), lines: Mutex::new(HashMap::new()), told: Mutex::new(BTreeMap::new()) }
    }

    /// Writes what a pool did that is gone.
    pub(crate) fn write(&self, namespace: &Namespace, task_type: Option<&TaskType>, ends: Ends) {
        // A pool that did nothing needs no line.
        if ends != Ends::default() {
            let mut lines = self.lines.lock();
            line(&mut lines, namespace, task_type).1.add(ends);
        }
    }

    /// The lines that these pools are counted in, and then a copy of all lines.
    pub(crate) fn read<'a>(
        &self,
        pools: impl Iterator<Item = (&'a Namespace, Option<&'a TaskType>)>,
    ) -> (Vec<Name>, HashMap<Name, Ends>) {
        let mut lines = self.lines.lock();
        let names = pools.map(|(namespace, task_type)| line(&mut lines, namespace, task_type).0).collect();
        (names, lines.clone())
    }

    /// Never less than what was told before.
    pub(crate) fn tell<'a>(&self, sums: impl Iterator<Item = (&'a Labels, &'a mut Ends)>) {
        let mut told = self.told.lock();
        for (labels, ends) in sums {
            let most = told.entry(labels.clone()).or_default();
            most.raise(*ends);
            *ends = *most;
        }
    }
}

fn line<'a>(
    lines: &'a mut HashMap<Name, Ends>,
    namespace: &Namespace,
    task_type: Option<&TaskType>,
) -> (Name, &'a mut Ends) {
    let own = Some((Namespace(namespace.0.bounded()), task_type.map(|only| TaskType(only.0.bounded()))));
    // The common line is not one of the names.
    let full = lines.len() - usize::from(lines.contains_key(&None)) >= MAX_NAMES;
    let name = if full && !lines.contains_key(&own) { None } else { own };
    (name.clone(), lines.entry(name).or_default())
}
