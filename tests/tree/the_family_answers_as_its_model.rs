//! The tree and the registry against a small reference model: after any sequence of starting threads, opening,
//! entering, leaving and ending scopes, making, finding, starting and removing managers and dropping handles, every
//! place gives the same answers as the model, and exactly the nodes and managers of the model live.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::ThreadId;

use heirloom::{
    Entered, Lineage, Namespace, NodeId, NodeKind, PoolConfig, PoolManager, Registry, Scope, StartErrorKind, current,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common;

const NAMES: usize = 3;

fn namespace(name: usize) -> Namespace {
    match name {
        0 => "io".into(),
        1 => String::from("db").into(),
        _ => 7_u64.into(),
    }
}

/// Indices are taken modulo what there is; an operation on nothing does nothing.
#[derive(Clone, Debug)]
enum Op {
    /// On a thread: start a child there.
    Spawn(usize),
    EndThread(usize),
    OpenHere(usize),
    OpenIn(usize),
    Enter(usize, usize),
    Leave(usize, usize),
    Forget(usize, usize),
    /// On a thread: ask for its `Lineage`.
    Look(usize),
    HandleOfParent(usize),
    HandleOfOwner(usize),
    /// On a thread, or on a handle: a name, and whether the manager is kept.
    CreateHere(usize, usize, bool),
    CreateAt(usize, usize, bool),
    GetOrCreateHere(usize, usize, bool),
    GetOrCreateAt(usize, usize, bool),
    KeepFound(usize, usize),
    Remove(usize, usize, bool),
    Start(usize),
    Stop(usize),
    CloseScope(usize),
    StopScope(usize),
    CancelScope(usize),
    FinishScope(usize),
    DropHandle(usize),
    DropManager(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (i, n) = (0..12_usize, 0..NAMES);
    let op = prop_oneof![
        2 => i.clone().prop_map(Op::Spawn),
        1 => i.clone().prop_map(Op::EndThread),
        3 => i.clone().prop_map(Op::OpenHere),
        2 => i.clone().prop_map(Op::OpenIn),
        4 => (i.clone(), i.clone()).prop_map(|(a, h)| Op::Enter(a, h)),
        3 => (i.clone(), i.clone()).prop_map(|(a, g)| Op::Leave(a, g)),
        1 => (i.clone(), i.clone()).prop_map(|(a, g)| Op::Forget(a, g)),
        1 => i.clone().prop_map(Op::Look),
        1 => i.clone().prop_map(Op::HandleOfParent),
        1 => i.clone().prop_map(Op::HandleOfOwner),
        3 => (i.clone(), n.clone(), any::<bool>()).prop_map(|(a, n, keep)| Op::CreateHere(a, n, keep)),
        3 => (i.clone(), n.clone(), any::<bool>()).prop_map(|(h, n, keep)| Op::CreateAt(h, n, keep)),
        3 => (i.clone(), n.clone(), any::<bool>()).prop_map(|(a, n, keep)| Op::GetOrCreateHere(a, n, keep)),
        2 => (i.clone(), n.clone(), any::<bool>()).prop_map(|(h, n, keep)| Op::GetOrCreateAt(h, n, keep)),
        1 => (i.clone(), n.clone()).prop_map(|(h, n)| Op::KeepFound(h, n)),
        2 => (i.clone(), n, any::<bool>()).prop_map(|(h, n, keep)| Op::Remove(h, n, keep)),
        3 => i.clone().prop_map(Op::Start),
        1 => i.clone().prop_map(Op::Stop),
        1 => i.clone().prop_map(Op::CloseScope),
        1 => i.clone().prop_map(Op::StopScope),
        1 => i.clone().prop_map(Op::CancelScope),
        1 => i.clone().prop_map(Op::FinishScope),
        3 => i.clone().prop_map(Op::DropHandle),
        2 => i.prop_map(Op::DropManager),
    ];
    proptest::collection::vec(op, 1..80)
}

// What ought to be.

struct ModelNode {
    parent: Option<usize>,
    kind: NodeKind,
    /// Learnt when the node is first seen, and the same ever after.
    id: Option<NodeId>,
    closed: bool,
    thread: Option<ThreadId>,
}

struct ModelManager {
    name: usize,
    owner: usize,
    /// Its node lives and has it under its name.
    linked: bool,
    running: bool,
}

struct ModelThread {
    id: ThreadId,
    /// The thread's own node once it was looked at; before that, where it was started.
    base: usize,
    looked_at: bool,
    /// The places entered and not left, oldest first; each with the number of its guard.
    entered: Vec<(usize, usize)>,
}

#[derive(Default)]
struct Model {
    nodes: Vec<ModelNode>,
    managers: Vec<ModelManager>,
    threads: Vec<ModelThread>,
    /// The nodes that handles are held to; of a scope itself, or of a lineage.
    handles: Vec<(usize, bool)>,
    held: Vec<usize>,
}

impl Model {
    fn add(&mut self, parent: Option<usize>, kind: NodeKind, id: Option<NodeId>, thread: Option<ThreadId>) -> usize {
        self.nodes.push(ModelNode { parent, kind, id, closed: false, thread });
        self.nodes.len() - 1
    }

    fn path(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |node| self.nodes[*node].parent)
    }

    fn at(&self, node: usize, name: usize) -> Option<usize> {
        self.managers.iter().position(|m| m.linked && m.owner == node && m.name == name)
    }

    fn find(&self, node: usize, name: usize) -> Option<usize> {
        self.path(node).find_map(|node| self.at(node, name))
    }

    fn nearest(&self, thread: usize) -> usize {
        let thread = &self.threads[thread];
        thread.entered.last().map_or(thread.base, |(node, _)| *node)
    }

    /// Where a thread stands; looking makes its node.
    fn here(&mut self, thread: usize) -> usize {
        let ModelThread { id, base, looked_at, ref entered } = self.threads[thread];
        if let Some((node, _)) = entered.last() {
            return *node;
        }
        if looked_at {
            return base;
        }
        let node = self.add(Some(base), NodeKind::Thread, None, Some(id));
        self.threads[thread].base = node;
        self.threads[thread].looked_at = true;
        node
    }

    fn create(&mut self, owner: usize, name: usize) -> usize {
        if let Some(old) = self.at(owner, name) {
            self.managers[old].linked = false;
        }
        self.managers.push(ModelManager { name, owner, linked: true, running: false });
        self.managers.len() - 1
    }

    fn get_or_create(&mut self, node: usize, name: usize) -> usize {
        self.find(node, name).unwrap_or_else(|| self.create(node, name))
    }

    fn close(&mut self, scope: usize) {
        self.nodes[scope].closed = true;
        for manager in self.managers.iter_mut().filter(|m| m.linked && m.owner == scope) {
            manager.running = false;
        }
    }

    fn living(&self) -> BTreeSet<usize> {
        let handles = self.handles.iter().map(|(node, _)| *node);
        let threads = self.threads.iter().flat_map(|t| t.entered.iter().map(|(node, _)| *node).chain([t.base]));
        handles.chain(threads).chain([0]).flat_map(|node| self.path(node)).collect()
    }

    /// A node that ended has no managers any more.
    fn settle(&mut self) -> BTreeSet<usize> {
        let living = self.living();
        for manager in &mut self.managers {
            manager.linked &= living.contains(&manager.owner);
        }
        living
    }
}

// What is.

type Job = Box<dyn FnOnce(&mut BTreeMap<usize, Entered>) + Send>;

/// A thread that does what it is told, one job after another.
struct Thread {
    jobs: Sender<Job>,
    done: Receiver<()>,
    join: heirloom::thread::JoinHandle<()>,
}

impl Thread {
    /// Starts one below the current place.
    fn start() -> Self {
        let (jobs, todo) = channel::<Job>();
        let (did, done) = channel();
        let join = heirloom::thread::spawn(move || {
            let mut guards = BTreeMap::new();
            for job in todo {
                job(&mut guards);
                // All that the job held is dropped by now.
                let _ = did.send(());
            }
        })
        .expect("a thread starts");
        Self { jobs, done, join }
    }

    fn on<T: Send + 'static>(&self, f: impl FnOnce(&mut BTreeMap<usize, Entered>) -> T + Send + 'static) -> T {
        let (answer, heard) = channel();
        self.jobs.send(Box::new(move |guards| drop(answer.send(f(guards))))).expect("it listens");
        self.done.recv().expect("the job does not panic");
        heard.recv().expect("the job answers")
    }

    fn end(self) {
        drop(self.jobs);
        self.join.join().expect("it ends");
    }
}

enum Handle {
    Scope(Scope),
    Lineage(Lineage),
}

impl Handle {
    fn lineage(&self) -> &Lineage {
        match self {
            Self::Scope(scope) => scope,
            Self::Lineage(lineage) => lineage,
        }
    }
}

struct Pair {
    family: Registry,
    threads: Vec<Thread>,
    handles: Vec<Handle>,
    held: Vec<PoolManager>,
    model: Model,
    guards: usize,
}

impl Pair {
    fn new() -> Self {
        let family = Registry::new();
        let mut model = Model::default();
        let root = model.add(None, NodeKind::Process, Some(family.root().id()), None);
        let first = family.root().run(Thread::start);
        model.threads.push(ModelThread {
            id: first.join.thread().id(),
            base: root,
            looked_at: false,
            entered: Vec::new(),
        });
        // A handle to the root, so that there is always one to act on; never dropped, as it is the first.
        model.handles.push((root, false));
        let handles = vec![Handle::Lineage(family.root())];
        Self { family, threads: vec![first], handles, held: Vec::new(), model, guards: 0 }
    }

    fn keep(&mut self, manager: PoolManager, model: usize, keep: bool) {
        assert_eq!(*manager.namespace(), namespace(self.model.managers[model].name));
        if keep {
            self.held.push(manager);
            self.model.held.push(model);
        }
    }

    fn keep_handle(&mut self, handle: Handle, node: usize) {
        let is_scope = matches!(handle, Handle::Scope(_));
        self.handles.push(handle);
        self.model.handles.push((node, is_scope));
    }

    /// The manager of the model that a real one must be.
    fn is(&self, real: &PoolManager, model: usize) {
        let ModelManager { name, owner, .. } = self.model.managers[model];
        assert_eq!(*real.namespace(), namespace(name));
        assert_eq!(real.is_running(), self.model.managers[model].running);
        if let Some(id) = self.model.nodes[owner].id {
            assert_eq!(real.owner().map(|owner| owner.id()), Some(id));
        }
        for (held, of) in self.held.iter().zip(&self.model.held) {
            assert_eq!(held.is_same(real), *of == model, "the wrong manager of that name");
        }
    }

    fn apply(&mut self, op: &Op) {
        let (threads, handles, held) = (self.threads.len(), self.handles.len(), self.held.len());
        match *op {
            Op::Spawn(t) if threads > 0 && threads < 6 => {
                let base = self.model.here(t % threads);
                let started = self.threads[t % threads].on(|_| Thread::start());
                let id = started.join.thread().id();
                self.threads.push(started);
                self.model.threads.push(ModelThread { id, base, looked_at: false, entered: Vec::new() });
            }
            Op::EndThread(t) if threads > 0 => {
                self.threads.remove(t % threads).end();
                self.model.threads.remove(t % threads);
            }
            Op::OpenHere(t) if threads > 0 => {
                let parent = self.model.here(t % threads);
                let scope = self.threads[t % threads].on(|_| Scope::new("scope"));
                let node = self.model.add(Some(parent), NodeKind::Scope, Some(scope.id()), None);
                self.keep_handle(Handle::Scope(scope), node);
            }
            Op::OpenIn(h) => {
                let scope = Scope::new_in(self.handles[h % handles].lineage(), "scope");
                let parent = self.model.handles[h % handles].0;
                let node = self.model.add(Some(parent), NodeKind::Scope, Some(scope.id()), None);
                self.keep_handle(Handle::Scope(scope), node);
            }
            Op::Enter(t, h) if threads > 0 => {
                let (guard, at) = (self.guards, self.handles[h % handles].lineage().clone());
                self.guards += 1;
                self.threads[t % threads].on(move |guards| drop(guards.insert(guard, at.enter())));
                let node = self.model.handles[h % handles].0;
                self.model.threads[t % threads].entered.push((node, guard));
            }
            Op::Leave(t, g) if threads > 0 => {
                let left = self.threads[t % threads].on(move |guards| {
                    let guard = *guards.keys().nth(g % guards.len().max(1))?;
                    drop(guards.remove(&guard));
                    Some(guard)
                });
                self.model.threads[t % threads].entered.retain(|(_, guard)| Some(*guard) != left);
            }
            Op::Forget(t, g) if threads > 0 => {
                // The thread stands there until its end; the model's guard is never dropped either.
                self.threads[t % threads].on(move |guards| {
                    if let Some(guard) = guards.keys().nth(g % guards.len().max(1)).copied() {
                        std::mem::forget(guards.remove(&guard));
                    }
                });
            }
            Op::Look(t) if threads > 0 => {
                let node = self.model.here(t % threads);
                let seen = self.threads[t % threads].on(|_| current());
                let known = *self.model.nodes[node].id.get_or_insert(seen.id());
                assert_eq!(seen.id(), known);
                self.keep_handle(Handle::Lineage(seen), node);
            }
            Op::HandleOfParent(h) => {
                let parent = self.handles[h % handles].lineage().parent();
                let node = self.model.nodes[self.model.handles[h % handles].0].parent;
                assert_eq!(parent.is_some(), node.is_some());
                if let (Some(parent), Some(node)) = (parent, node) {
                    self.keep_handle(Handle::Lineage(parent), node);
                }
            }
            Op::HandleOfOwner(m) if held > 0 => {
                let owner = self.held[m % held].owner();
                let node = self.model.managers[self.model.held[m % held]].owner;
                assert_eq!(owner.is_some(), self.model.living().contains(&node));
                if let Some(owner) = owner {
                    self.keep_handle(Handle::Lineage(owner), node);
                }
            }
            Op::CreateHere(t, name, keep) if threads > 0 => {
                let node = self.model.here(t % threads);
                let made = self.threads[t % threads].on(move |_| heirloom::create(namespace(name)));
                let model = self.model.create(node, name);
                self.keep(made, model, keep);
            }
            Op::CreateAt(h, name, keep) => {
                let made = self.handles[h % handles].lineage().create(namespace(name));
                let model = self.model.create(self.model.handles[h % handles].0, name);
                self.keep(made, model, keep);
            }
            Op::GetOrCreateHere(t, name, keep) if threads > 0 => {
                let model = match self.model.find(self.model.nearest(t % threads), name) {
                    Some(found) => found,
                    None => {
                        let node = self.model.here(t % threads);
                        self.model.create(node, name)
                    }
                };
                let made = self.threads[t % threads].on(move |_| heirloom::get_or_create(namespace(name)));
                self.is(&made, model);
                self.keep(made, model, keep);
            }
            Op::GetOrCreateAt(h, name, keep) => {
                let model = self.model.get_or_create(self.model.handles[h % handles].0, name);
                let made = self.handles[h % handles].lineage().get_or_create(namespace(name));
                self.is(&made, model);
                self.keep(made, model, keep);
            }
            Op::KeepFound(h, name) => {
                let found = self.handles[h % handles].lineage().get(namespace(name)).ok();
                let model = self.model.find(self.model.handles[h % handles].0, name);
                assert_eq!(found.is_some(), model.is_some());
                if let (Some(found), Some(model)) = (found, model) {
                    self.is(&found, model);
                    self.keep(found, model, true);
                }
            }
            Op::Remove(h, name, keep) => {
                let removed = self.handles[h % handles].lineage().remove(namespace(name));
                let model = self.model.at(self.model.handles[h % handles].0, name);
                assert_eq!(removed.is_some(), model.is_some());
                if let (Some(removed), Some(model)) = (removed, model) {
                    self.is(&removed, model);
                    self.model.managers[model].linked = false;
                    self.keep(removed, model, keep);
                }
            }
            Op::Start(m) if held > 0 => {
                let model = self.model.held[m % held];
                let ModelManager { owner, running, .. } = self.model.managers[model];
                let ended = self.model.path(owner).any(|node| self.model.nodes[node].closed);
                let started = self.held[m % held].start(PoolConfig::leased(1));
                match started {
                    Ok(()) => assert!(!running && !ended),
                    Err(error)
                        if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::AlreadyRunning)) =>
                    {
                        assert!(running)
                    }
                    Err(error)
                        if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::ScopeEnded { .. })) =>
                    {
                        assert!(!running && ended)
                    }
                    Err(other) => panic!("{other}"),
                }
                self.model.managers[model].running |= !ended;
            }
            Op::Stop(m) if held > 0 => {
                assert!(self.held[m % held].stop().is_ok_and(|report| report.is_complete()));
                self.model.managers[self.model.held[m % held]].running = false;
            }
            Op::CloseScope(h) | Op::StopScope(h) | Op::CancelScope(h) => {
                let Handle::Scope(scope) = &self.handles[h % handles] else { return };
                match op {
                    Op::CloseScope(_) => scope.close(),
                    Op::StopScope(_) => assert!(scope.stop().is_ok_and(|report| report.is_complete())),
                    _ => scope.cancel(),
                }
                self.model.close(self.model.handles[h % handles].0);
            }
            Op::FinishScope(h) => {
                if !matches!(self.handles[h % handles], Handle::Scope(_)) {
                    return;
                }
                if let Handle::Scope(scope) = self.handles.remove(h % handles) {
                    scope.finish();
                }
                let (node, _) = self.model.handles.remove(h % handles);
                self.model.close(node);
            }
            Op::DropHandle(h) if h % handles > 0 => {
                drop(self.handles.remove(h % handles));
                let (node, is_scope) = self.model.handles.remove(h % handles);
                if is_scope {
                    self.model.close(node);
                }
            }
            Op::DropManager(m) if held > 0 => {
                drop(self.held.swap_remove(m % held));
                self.model.held.swap_remove(m % held);
            }
            // On nothing.
            _ => {}
        }
    }

    fn same_answer(&self, node: usize, name: usize, found: Result<PoolManager, heirloom::Error>) {
        match (found, self.model.find(node, name)) {
            (Ok(found), Some(model)) => self.is(&found, model),
            (Err(error), None) => {
                assert_eq!(Some(crate::common::not_found(&error).place_id), self.model.nodes[node].id);
                let linked = self.model.managers.iter().filter(|m| m.linked && m.name == name).count();
                assert_eq!(crate::common::not_found(&error).elsewhere().len(), linked.min(8), "{error}");
            }
            (found, model) => panic!("found {found:?} instead of {model:?}"),
        }
    }

    /// Every place answers as the model, and what lives is what the model says.
    fn compare(&mut self) {
        let living = self.model.settle();
        // The ids of threads that became nodes in this step.
        for node in &living {
            let node = &mut self.model.nodes[*node];
            if let Some(thread) = node.thread {
                let seen = self.family.thread(thread).map(|seen| seen.id());
                assert_eq!(seen, Some(*node.id.get_or_insert_with(|| seen.expect("a node that lives is found"))));
            }
        }
        for thread in self.model.threads.iter().filter(|thread| !thread.looked_at) {
            assert_eq!(self.family.thread(thread.id), None, "nobody looked at it");
        }

        let id = |node: usize| self.model.nodes[node].id.expect("every living node was seen");
        let snapshot = self.family.snapshot();
        let nodes: BTreeSet<NodeId> = snapshot.nodes.iter().map(|node| node.id).collect();
        assert_eq!(nodes, living.iter().map(|node| id(*node)).collect(), "the nodes that live");
        let mut listed = BTreeSet::new();
        for node in &snapshot.nodes {
            assert!(node.parent.is_none_or(|parent| listed.contains(&parent)), "a parent comes before its children");
            listed.insert(node.id);
        }
        for index in &living {
            let model = &self.model.nodes[*index];
            let node = snapshot.node(id(*index)).expect("compared above");
            assert_eq!((node.parent, node.kind), (model.parent.map(id), model.kind));
            assert_eq!((node.closed, node.thread), (model.closed, model.thread));
            let mut managers: Vec<_> = node.managers.iter().map(|m| (m.namespace.to_string(), m.running)).collect();
            let linked = self.model.managers.iter().filter(|m| m.linked && m.owner == *index);
            let mut expected: Vec<_> = linked.map(|m| (namespace(m.name).to_string(), m.running)).collect();
            managers.sort();
            expected.sort();
            assert_eq!(managers, expected);
        }

        let key = |owner: Option<NodeId>, name: &Namespace, running| (owner, name.to_string(), running);
        let mut managers: Vec<_> = self.family.managers();
        let mut seen: Vec<_> =
            managers.drain(..).map(|m| key(m.owner().map(|owner| owner.id()), m.namespace(), m.is_running())).collect();
        let lives = |(index, m): &(usize, &ModelManager)| m.linked || self.model.held.contains(index);
        let mut expected: Vec<_> = self
            .model
            .managers
            .iter()
            .enumerate()
            .filter(lives)
            .map(|(_, m)| key(living.contains(&m.owner).then(|| id(m.owner)), &namespace(m.name), m.running))
            .collect();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected, "the managers that live");

        for (handle, (node, _)) in self.handles.iter().zip(&self.model.handles) {
            for name in 0..NAMES {
                self.same_answer(*node, name, handle.lineage().get(namespace(name)));
            }
            let line: Vec<NodeId> = handle.lineage().ancestors().map(|at| at.id()).collect();
            assert_eq!(line, self.model.path(*node).map(id).collect::<Vec<_>>());
        }
        for (t, thread) in self.threads.iter().enumerate() {
            // Asking makes no node, so it may be done after every step.
            let answers = thread.on(|_| [0, 1, 2].map(|name| heirloom::get(namespace(name))));
            for (name, found) in answers.into_iter().enumerate() {
                self.same_answer(self.model.nearest(t), name, found);
            }
            let own = &self.model.threads[t];
            if own.looked_at || !own.entered.is_empty() {
                assert_eq!(thread.on(|_| current().id()), id(self.model.nearest(t)));
            }
        }
    }

    fn end(mut self) {
        self.threads.drain(..).for_each(Thread::end);
        self.model.threads.clear();
        self.handles.truncate(1);
        for (node, is_scope) in self.model.handles.split_off(1) {
            if is_scope {
                self.model.close(node);
            }
        }
        self.held.clear();
        self.model.held.clear();
        self.compare();
        assert_eq!(self.family.snapshot().nodes.len(), 1, "nothing is left but the root");
    }
}

#[test]
fn every_sequence_of_operations_answers_as_the_model() {
    common::bounded(|| {
        let config = Config { cases: 192, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
        let outcome = TestRunner::new(config).run(&ops(), |ops| {
            let mut pair = Pair::new();
            pair.compare();
            for op in &ops {
                pair.apply(op);
                pair.compare();
            }
            pair.end();
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{error}");
        }
    });
}
