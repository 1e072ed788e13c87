//! [`Snapshot`] and [`Tree`]: a family as plain data, and as text.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::lineage::node::{Node, NodeKind, NodeRef, ScopeTrackers};
use crate::names::id::{NodeId, TaskId};
use crate::names::label::Printed;
use crate::names::namespace::Namespace;
use crate::pool::end;
use crate::pool::report::PoolStats;
use crate::registry::slot;
use crate::totals::quantiles::Quantiles;

/// A family as plain data: its live nodes and their managers. It keeps nothing alive.
///
/// It is taken without stopping the program, so nodes that come or end meanwhile may be in it or not. A node's parents are
/// always in it.
///
/// With the feature `serde` it serialises, as do its parts. In JSON, this is the whole shape:
///
/// ```json
/// {
///   "nodes": [
///     {
///       "id": 7,
///       "parent": 1,
///       "kind": "scope",
///       "name": "request 7",
///       "task": null,
///       "pending": 3,
///       "closed": false,
///       "cancelled": false,
///       "remaining_seconds": 4.75,
///       "managers": [
///         {
///           "namespace": "render",
///           "running": true,
///           "oldest_seconds": 0.25,
///           "wait_seconds": { "p50": 0.001, "p99": 0.049 },
///           "run_seconds": { "p50": 0.012, "p99": 0.197 },
///           "stats": {
///             "limit": 4, "running": 1, "waiting": 0, "queued": 2,
///             "completed": 10, "interrupted": 0, "panicked": 0, "cancelled": 0, "refused": 0, "shares": [],
///             "task_type": "component", "mode": "joining", "kind": "leased"
///           }
///         }
///       ]
///     }
///   ]
/// }
/// ```
///
/// * Parents come before children, and fields in this order.
/// * Ids are numbers; kinds and modes are words in lower case; times are seconds.
/// * Names, namespaces and task types are whole, as they were given: a number as `"#42"`, a type as its path. They may hold
///   any character, which JSON escapes where needed.
/// * `shares` are those of a pool with priorities or fair turns: `{ "level": 0, "tenant": 7, "running": 1, "queued": 2 }`.
/// * `null` stands for an absent value: the root's `parent`, `pending` of a node that is no scope, `remaining_seconds` of a node
///   without a deadline of its own, `oldest_seconds` of a pool without a running task, `wait_seconds` and `run_seconds` where no
///   task was measured.
/// * The OS thread's id is left out, because it has no number.
/// * Ids and counts stay far below 2^53, up to which JavaScript's numbers are exact: a thousand million each second reach
///   it after a hundred days.
/// * A snapshot is written and not read back: an id means something in its own process only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The nodes, parents before children.
    pub nodes: Vec<NodeSnapshot>,
}

/// One node of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeSnapshot {
    /// The node's id.
    pub id: NodeId,
    /// The parent's id; `None` for the root.
    pub parent: Option<NodeId>,
    /// Process, thread, task or scope.
    pub kind: NodeKind,
    /// The name of the scope or the thread.
    pub name: Option<String>,
    /// The OS thread's id, if the node is a thread.
    pub thread: Option<ThreadId>,
    /// The task's id, if the node is a task.
    pub task: Option<TaskId>,
    /// The number of tasks submitted below it that have not ended, if the node is a scope.
    pub pending: Option<usize>,
    /// The scope is closed.
    pub closed: bool,
    /// The node, or a node above it, is cancelled.
    pub cancelled: bool,
    /// The time that was left until the node's own deadline, a scope's or a task's, at the moment of the look: zero once it has
    /// passed, `None` without one. Deadlines of the nodes above hold too.
    pub remaining: Option<Duration>,
    /// The moment of that deadline.
    #[cfg_attr(not(feature = "inspector"), allow(dead_code, reason = "the page shows it"))]
    pub(crate) deadline: Option<Instant>,
    /// The managers it owns.
    pub managers: Vec<ManagerSnapshot>,
}

/// One manager of a [`NodeSnapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManagerSnapshot {
    /// The manager's name.
    pub namespace: Namespace,
    /// Whether a pool is started and not closed.
    pub running: bool,
    /// The pool's numbers. After its end: of the last start.
    pub stats: PoolStats,
    /// The age of the oldest started task, with its waits; exact to a few milliseconds.
    ///
    /// `None` without a started task. Queued tasks are younger.
    pub oldest: Option<Duration>,
    /// The times from the acceptance of a task to its start, over all tasks of pools with the same name, task type and labels
    /// ([`PoolConfig::label`](crate::PoolConfig::label)) in this family.
    ///
    /// `None` before the first measured task of the manager's pool. With the feature `inspector` or `metrics`, tasks are
    /// measured from the family's first `Inspector` or `Publisher` on.
    pub queue_wait: Option<Quantiles>,
    /// The times from the start of a task to its end, over the same tasks.
    pub run_time: Option<Quantiles>,
}

impl NodeSnapshot {
    fn of(node: &Node) -> Self {
        let managers = slot::all(node);
        let deadline = node.own_deadline();
        Self {
            id: node.id(),
            parent: node.parent().map(Node::id),
            kind: node.kind(),
            name: node.name().map(String::from),
            thread: node.thread_id(),
            task: node.task_id(),
            pending: node.trackers().map(ScopeTrackers::count),
            closed: node.trackers().is_some_and(ScopeTrackers::is_closed),
            cancelled: node.is_cancelled(),
            remaining: deadline.map(|at| at.saturating_duration_since(Instant::now())),
            deadline,
            managers: managers
                .map(|manager| {
                    let pool = manager.pool();
                    let [queue_wait, run_time] = pool.as_ref().map_or([None; 2], |pool| pool.totals.quantiles());
                    ManagerSnapshot {
                        namespace: manager.namespace().clone(),
                        running: manager.is_running(),
                        stats: manager.stats(),
                        oldest: pool.and_then(|pool| end::oldest(&pool)),
                        queue_wait,
                        run_time,
                    }
                })
                .collect(),
        }
    }
}

impl Snapshot {
    pub(crate) fn take(root: &NodeRef, live: Vec<NodeRef>) -> Self {
        let mut listed: HashSet<NodeId> = HashSet::with_capacity(live.len() + 1);
        let mut nodes = Vec::with_capacity(live.len() + 1);
        let mut path = Vec::new();
        for node in std::iter::once(root).chain(&live) {
            // A parent is listed with its child even when it entered the index after that part of the index was read. Each
            // node is passed once: the nodes above a listed node are listed.
            path.extend(node.node().path().take_while(|node| listed.insert(node.id())));
            nodes.extend(path.drain(..).rev().map(NodeSnapshot::of));
        }
        Self { nodes }
    }

    /// Returns the node of this id, if it was alive.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&NodeSnapshot> {
        self.nodes.iter().find(|node| node.id == id)
    }
}

/// A family as text, in the way of `pstree`: print it with `{}`.
///
/// ```
/// use heirloom::{PoolConfig, Registry};
///
/// let family = Registry::new();
/// family.root().create("io").start(PoolConfig::leased(2))?;
/// let request = heirloom::Scope::new_in(&family.root(), "request 7");
/// request.create("render").start(PoolConfig::leased(4).task_type("component"))?;
///
/// let tree = family.tree().to_string();
/// assert_eq!(tree.lines().count(), 4);
/// assert!(tree.contains("\"render\": leased joining, 0 running/0 waiting/0 queued, limit 4, only \"component\""));
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    snapshot: Snapshot,
}

impl Tree {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    /// Returns the data that it prints.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        let mut children: HashMap<Option<NodeId>, Vec<&NodeSnapshot>> = HashMap::new();
        for node in &self.snapshot.nodes {
            children.entry(node.parent).or_default().push(node);
        }
        for list in children.values_mut() {
            list.sort_by_cached_key(|node| node.id.as_u64());
        }
        // A stack instead of recursion: families may be deep.
        let mut todo: Vec<(&NodeSnapshot, String, bool)> =
            children.get(&None).into_iter().flatten().rev().map(|node| (*node, String::new(), true)).collect();
        while let Some((node, indent, last)) = todo.pop() {
            let (branch, below) = match (node.parent, last) {
                (None, _) => ("", ""),
                (_, true) => ("└─ ", "   "),
                (_, false) => ("├─ ", "│  "),
            };
            writeln!(f, "{indent}{branch}{}", Row(node))?;
            let indent = format!("{indent}{below}");
            let below = children.get(&Some(node.id)).map_or(&[][..], |list| list);
            let bar = if below.is_empty() { "   " } else { "│  " };
            for manager in &node.managers {
                let state = if manager.running { "" } else { " (not running)" };
                writeln!(f, "{indent}{bar}\"{}\": {}{state}", manager.namespace, manager.stats)?;
            }
            for (i, child) in below.iter().enumerate().rev() {
                todo.push((child, indent.clone(), i + 1 == below.len()));
            }
        }
        Ok(())
    }
}

struct Row<'a>(&'a NodeSnapshot);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        let node = self.0;
        write!(f, "{}", node.kind.as_str())?;
        if let Some(name) = &node.name {
            write!(f, " {:?}", Printed(name))?;
        }
        if let Some(task) = node.task {
            write!(f, " {task}")?;
        }
        write!(f, " (node {})", node.id)?;
        if let Some(pending) = node.pending {
            write!(f, ", {pending} pending")?;
        }
        if node.closed {
            write!(f, ", closed")?;
        }
        if node.cancelled {
            write!(f, ", cancelled")?;
        }
        match node.remaining {
            Some(Duration::ZERO) => write!(f, ", deadline passed"),
            Some(left) => write!(f, ", {left:.1?} left"),
            None => Ok(()),
        }
    }
}
