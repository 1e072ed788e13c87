//! [`View`]: the part of a family that is shown, node by node as JSON, with its marks.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::integration::serde::as_struct;
use crate::names::id::NodeId;
use crate::names::namespace::Namespace;
use crate::registry::snapshot::{ManagerSnapshot, NodeSnapshot, Snapshot};
use crate::sync::os::Arc;

/// A queue grows when it is longer than it was this time ago, and was never empty meanwhile.
const WINDOW_MS: u64 = 2_000;
/// The largest difference between two computations of one moment from an age: clocks tick.
const JITTER_MS: u64 = 50;
/// The managers sent of one node, so that one node does not use up the limit.
const MAX_MANAGERS: usize = 50;
/// The characters sent of a name.
const MAX_NAME: usize = 200;

/// The state between two looks. It has only managers with tasks, so it is as large as the busy part of the family.
pub(super) struct View {
    began: Instant,
    busy: HashMap<(NodeId, Namespace), Busy>,
}

#[derive(Clone, Copy)]
struct Busy {
    /// The begin of the oldest running task.
    since: Option<u64>,
    /// The queue's length at the beginning of the window.
    base: usize,
    base_at: u64,
    grows: bool,
}

/// One look.
pub(super) struct Look {
    /// The nodes to be sent, parents first.
    pub(super) nodes: Vec<(NodeId, Arc<str>)>,
    /// The rest of the message: counts.
    pub(super) counts: String,
}

#[derive(Default)]
struct Totals {
    nodes: usize,
    managers: usize,
    running: usize,
    waiting: usize,
    queued: usize,
    marked: usize,
}

struct ManagerView<'a> {
    manager: &'a ManagerSnapshot,
    since: Option<u64>,
    marks: Vec<&'static str>,
}

struct NodeView<'a> {
    node: &'a NodeSnapshot,
    /// The moment of its deadline. It is exact, so a node that does not change is not sent again.
    until: Option<u64>,
    hidden: usize,
    managers: &'a [ManagerView<'a>],
    managers_hidden: usize,
}

/// A node of the snapshot, to be chosen or left out.
struct Candidate<'a> {
    node: &'a NodeSnapshot,
    managers: Vec<ManagerView<'a>>,
    parent: Option<usize>,
    children: Vec<usize>,
    heat: usize,
    chosen_children: usize,
}

/// The levels of interest: the hottest nodes are sent first.
const HEATS: usize = 3;

impl ManagerView<'_> {
    fn heat(&self) -> usize {
        let stats = &self.manager.stats;
        match (self.marks.is_empty(), stats.running + stats.waiting + stats.queued) {
            (false, _) => 2,
            (true, 0) => 0,
            (true, _) => 1,
        }
    }
}

impl View {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, busy: HashMap::new() }
    }

    pub(super) fn look(&mut self, snapshot: &Snapshot, max_nodes: usize, old_after: u64) -> Look {
        let now = millis(self.began.elapsed());
        let mut totals = Totals { nodes: snapshot.nodes.len(), ..Totals::default() };
        let mut busy = HashMap::new();
        let mut at = HashMap::with_capacity(snapshot.nodes.len());
        let mut all: Vec<Candidate<'_>> = Vec::with_capacity(snapshot.nodes.len());
        for node in &snapshot.nodes {
            let mut managers = Vec::with_capacity(node.managers.len());
            for manager in &node.managers {
                managers.push(self.watch(node.id, manager, now, old_after, &mut busy));
            }
            totals.add(&managers);
            managers.sort_by_key(|manager| std::cmp::Reverse(manager.heat()));
            let heat = managers.first().map_or(0, ManagerView::heat);
            // Parents come first, so the parent is known.
            let parent = node.parent.and_then(|parent| at.get(&parent).copied());
            at.insert(node.id, all.len());
            all.push(Candidate { node, managers, parent, children: Vec::new(), heat, chosen_children: 0 });
        }
        self.busy = busy;
        let chosen = choose(&mut all, max_nodes);
        let nodes = chosen.iter().map(|&i| (all[i].node.id, all[i].to_json(self.began))).collect();
        let counts = format!(r#""left_out":{},"totals":{}"#, all.len() - chosen.len(), json(&totals));
        Look { nodes, counts }
    }

    fn watch<'a>(
        &self,
        node: NodeId,
        manager: &'a ManagerSnapshot,
        now: u64,
        old_after: u64,
        busy: &mut HashMap<(NodeId, Namespace), Busy>,
    ) -> ManagerView<'a> {
        let queued = manager.stats.queued;
        if queued == 0 && manager.oldest.is_none() {
            return ManagerView { manager, since: None, marks: Vec::new() };
        }
        let key = (node, manager.namespace.clone());
        let before = self.busy.get(&key).copied();
        let mut this = before.unwrap_or(Busy { since: None, base: queued, base_at: now, grows: false });
        let since = manager.oldest.map(|age| now.saturating_sub(millis(age)));
        if this.since.zip(since).is_none_or(|(before, since)| before.abs_diff(since) > JITTER_MS) {
            this.since = since;
        }
        if queued == 0 {
            (this.base, this.base_at, this.grows) = (0, now, false);
        } else if this.base == 0 {
            // Empty until now, so the window begins.
            (this.base, this.base_at) = (queued, now);
        } else if now - this.base_at >= WINDOW_MS {
            (this.grows, this.base, this.base_at) = (queued > this.base, queued, now);
        }
        let waits = queued > 0 || manager.stats.waiting > 0;
        let old = waits && this.since.is_some_and(|since| now - since >= old_after);
        let marks = [(this.grows, "queue"), (old, "old")];
        let marks = marks.into_iter().filter_map(|(on, mark)| on.then_some(mark)).collect();
        busy.insert(key, this);
        ManagerView { manager, since: this.since, marks }
    }
}

/// Returns the nodes to be sent, parents before children: the hottest first, and among equals the nearest to the root.
/// Takes time by the number of nodes, however deep they are.
fn choose(all: &mut [Candidate<'_>], max_nodes: usize) -> Vec<usize> {
    // A node is as hot as the hottest below it, which would not be reached otherwise.
    for i in (0..all.len()).rev() {
        if let Some(parent) = all[i].parent {
            all[parent].heat = all[parent].heat.max(all[i].heat);
        }
    }
    // By id, so that the next look chooses the same nodes.
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_unstable_by_key(|&i| all[i].node.id);
    let mut waiting: [VecDeque<usize>; HEATS] = Default::default();
    for i in order {
        match all[i].parent {
            Some(parent) => all[parent].children.push(i),
            None => waiting[all[i].heat].push_back(i),
        }
    }
    let mut chosen = Vec::new();
    let mut room = max_nodes;
    while room > 0 {
        let Some(i) = waiting.iter_mut().rev().find_map(VecDeque::pop_front) else { break };
        room = room.saturating_sub(1 + all[i].managers.len().min(MAX_MANAGERS));
        if let Some(parent) = all[i].parent {
            all[parent].chosen_children += 1;
        }
        for at in 0..all[i].children.len() {
            let child = all[i].children[at];
            waiting[all[child].heat].push_back(child);
        }
        chosen.push(i);
    }
    chosen
}

impl Candidate<'_> {
    fn to_json(&self, began: Instant) -> Arc<str> {
        let shown = self.managers.len().min(MAX_MANAGERS);
        let view = NodeView {
            node: self.node,
            until: self.node.deadline.map(|at| millis(at.saturating_duration_since(began))),
            hidden: self.children.len() - self.chosen_children,
            managers: &self.managers[..shown],
            managers_hidden: self.managers.len() - shown,
        };
        json(&view).into()
    }
}

impl Totals {
    fn add(&mut self, managers: &[ManagerView<'_>]) {
        self.managers += managers.len();
        for ManagerView { manager, marks, .. } in managers {
            self.running += manager.stats.running;
            self.waiting += manager.stats.waiting;
            self.queued += manager.stats.queued;
            self.marked += usize::from(!marks.is_empty());
        }
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Serialises plain data, which does not fail.
fn json(data: &impl serde::Serialize) -> String {
    serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned())
}

fn clip(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

as_struct!(Totals as this { nodes, managers, running, waiting, queued, marked });

as_struct!(NodeView<'_> as this {
    id = this.node.id, parent = this.node.parent, kind = this.node.kind, name = this.node.name.as_deref().map(clip),
    task = this.node.task, pending = this.node.pending, closed = this.node.closed, cancelled = this.node.cancelled,
    until, hidden, managers, managers_hidden,
});

as_struct!(ManagerView<'_> as this {
    namespace = clip(&this.manager.namespace.raw()), started = this.manager.running,
    kind = this.manager.stats.kind, mode = this.manager.stats.mode,
    task_type = this.manager.stats.task_type.as_ref().map(|only| clip(&only.raw()).into_owned()),
    limit = this.manager.stats.limit, running = this.manager.stats.running, waiting = this.manager.stats.waiting,
    queued = this.manager.stats.queued, completed = this.manager.stats.completed,
    interrupted = this.manager.stats.interrupted, panicked = this.manager.stats.panicked,
    cancelled = this.manager.stats.cancelled, refused = this.manager.stats.refused,
    shares = this.manager.stats.shares, wait = this.manager.queue_wait,
    run = this.manager.run_time, since, marks,
});
