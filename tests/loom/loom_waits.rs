//! The graph of waits: a wait that closes a circle finds it, in any order, and one wait is refused.

use std::task::{Wake, Waker};

use crate::graph::{
    Begin, Ends, Graph, IsQueued, Label, Obligation, Permit, Record, Several, Stack, Target, Task, Waiting,
};
use crate::model::model;
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::sync::os::{Arc, AtomicBool, Mutex, Ordering, thread};

/// Wakes a thread of the model.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

/// The models look for tasks, permits and owners alone.
fn record(graph: &Graph) -> Arc<Record> {
    graph.record(&std::thread::current())
}

fn in_task(id: TaskId) -> Stack {
    Stack { tasks: [(id, Namespace::DEFAULT)].into_iter().collect(), ..Stack::default() }
}

fn task(id: TaskId) -> Target {
    Target::Task(Task { id, pool: 0, queued: None })
}

fn begin(on: Target, stack: Stack, ends: Ends) -> Begin {
    Begin { on, label: Label::Task, stack, ends, waker }
}

fn join(on: Target, stack: Stack) -> Begin {
    begin(on, stack, Ends::WhenTold)
}

fn ask(by: Arc<Record>, stack: Stack) -> Begin {
    begin(Target::Obligation(Obligation::new(by)), stack, Ends::Asks)
}

/// A wait that only a refusal ends.
fn wait_until_told(waiting: &Waiting<'_>) {
    while !waiting.is_refused() {
        thread::park(); // for ever, unless it is woken
    }
    assert!(waiting.refusal().is_some());
}

/// Both wait on, as long as their targets wait.
fn is_refused<E>(wait: Result<Waiting<'_>, E>) -> bool {
    let refused = wait.is_err();
    std::mem::forget(wait);
    refused
}

#[test]
fn of_two_that_join_each_other_one_is_refused() {
    model(3, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let (one, two) = (TaskId::next(), TaskId::next());
        let other = thread::spawn(move || is_refused(graph.begin(record(graph), join(task(one), in_task(two)))));
        let mine = is_refused(graph.begin(record(graph), join(task(two), in_task(one))));
        assert_ne!(other.join().unwrap(), mine, "both wait for ever, or both are refused");
    });
}

#[test]
fn of_three_in_a_ring_one_is_refused() {
    model(2, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let ids = [TaskId::next(), TaskId::next(), TaskId::next()];
        let joins =
            move |at: usize| is_refused(graph.begin(record(graph), join(task(ids[(at + 1) % 3]), in_task(ids[at]))));
        let others = [1, 2].map(|at| thread::spawn(move || joins(at)));
        let refused = usize::from(joins(0));
        let refused = others.map(|other| usize::from(other.join().unwrap())).iter().sum::<usize>() + refused;
        assert_eq!(refused, 1);
    });
}

#[test]
fn an_asker_whom_the_owner_joins_never_waits_for_ever() {
    model(3, || {
        let graph = Arc::new(Graph::new());
        let (owner, child) = (record(&graph), record(&graph));
        let id = TaskId::next();
        let asks = {
            let (graph, owner) = (Arc::clone(&graph), Arc::clone(&owner));
            thread::spawn(move || {
                // The task runs here, and asks for the owner's result.
                if let Ok(asking) = graph.begin(child, ask(owner, in_task(id))) {
                    wait_until_told(&asking);
                }
            })
        };
        // The owner joins the task before it delivers its result; that is not refused.
        let joining = graph.begin(owner, join(task(id), Stack::default()));
        assert!(joining.as_ref().is_ok_and(|joining| !joining.is_refused()));
        asks.join().unwrap();
        drop(joining);
    });
}

#[test]
fn a_wait_that_cannot_fail_has_the_other_one_told() {
    model(3, || {
        let graph = Arc::new(Graph::new());
        let (one, two) = (TaskId::next(), TaskId::next());
        let joins = {
            let graph = Arc::clone(&graph);
            thread::spawn(move || {
                if let Ok(joining) = graph.begin(record(&graph), join(task(one), in_task(two))) {
                    wait_until_told(&joining);
                }
            })
        };
        let waits = graph.begin(record(&graph), begin(task(two), in_task(one), Ends::Never));
        assert!(waits.as_ref().is_ok_and(|waits| !waits.is_refused()));
        joins.join().unwrap();
        drop(waits);
    });
}

/// Neither of the outer waits can be refused, so their circle stays. The inner one closes a circle too, and is refused.
#[test]
fn a_refused_wait_within_one_whose_circle_stays_comes_back() {
    model(2, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let (one, two) = (TaskId::next(), TaskId::next());
        let (mine, others) = (record(graph), record(graph));
        let never = |on, of| begin(task(on), in_task(of), Ends::Never);
        let other = thread::spawn(move || std::mem::forget(graph.begin(others, never(one, two))));
        let outer = graph.begin(Arc::clone(&mine), never(two, one));
        other.join().unwrap();
        assert!(graph.begin(mine, join(task(two), in_task(one))).is_err());
        assert!(outer.is_ok_and(|outer| !outer.is_refused()));
    });
}

#[test]
fn of_two_who_ask_each_other_one_is_told() {
    model(3, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let (one, two) = (record(graph), record(graph));
        let told = {
            let (one, two) = (Arc::clone(&one), Arc::clone(&two));
            thread::spawn(move || is_refused(graph.begin(two, ask(one, Stack::default()))))
        };
        let asked = is_refused(graph.begin(one, ask(two, Stack::default())));
        assert_ne!(told.join().unwrap(), asked, "both wait for ever, or both are refused");
    });
}

#[test]
fn one_who_has_paid_may_ask_whoever_has_not_noticed() {
    model(3, || {
        let graph = Arc::new(Graph::new());
        let (payer, other) = (record(&graph), record(&graph));
        let owed = Obligation::new(Arc::clone(&payer));
        let asks = {
            let (graph, owed, other) = (Arc::clone(&graph), Arc::clone(&owed), Arc::clone(&other));
            thread::spawn(move || {
                // It may be refused no more than the payer: one waits, the other has paid.
                let asked = graph.begin(other, begin(Target::Obligation(owed), Stack::default(), Ends::Asks));
                assert!(asked.as_ref().is_ok_and(|asking| !asking.is_refused()));
                std::mem::forget(asked); // it has not woken yet
            })
        };
        owed.fulfil();
        let asked = graph.begin(payer, ask(other, Stack::default()));
        assert!(asked.is_ok_and(|asking| !asking.is_refused()));
        asks.join().unwrap();
    });
}

#[test]
fn a_join_in_the_middle_closes_the_circle_as_well() {
    model(2, || {
        let graph = Arc::new(Graph::new());
        let (owner, middle, last) = (record(&graph), record(&graph), record(&graph));
        let (first, second) = (TaskId::next(), TaskId::next());
        // The owner waits for the first task from the beginning.
        let joining = graph.begin(Arc::clone(&owner), join(task(first), Stack::default()));
        let asks = {
            let graph = Arc::clone(&graph);
            thread::spawn(move || {
                if let Ok(asking) = graph.begin(last, ask(owner, in_task(second))) {
                    wait_until_told(&asking);
                }
            })
        };
        // The first task, on its thread, joins the second.
        let between = graph.begin(middle, join(task(second), in_task(first)));
        assert!(between.is_ok());
        asks.join().unwrap();
        drop((joining, between));
    });
}

#[test]
fn a_wait_that_ended_is_no_part_of_a_circle() {
    model(3, || {
        let graph = Arc::new(Graph::new());
        let (one, two) = (record(&graph), record(&graph));
        let id = TaskId::next();
        let joins = {
            let (graph, one) = (Arc::clone(&graph), Arc::clone(&one));
            thread::spawn(move || drop(graph.begin(one, join(task(id), Stack::default()))))
        };
        joins.join().unwrap();
        let asked = graph.begin(two, ask(one, in_task(id)));
        assert!(asked.is_ok_and(|asking| !asking.is_refused()));
    });
}

#[test]
fn waits_that_were_never_there_at_once_are_no_circle() {
    model(3, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let [first, second, third] = [(); 3].map(|()| record(graph));
        let id = TaskId::next();
        // The second waits for the first's result, and gives up; only then the first joins the third's task.
        let gives_up = graph.begin(Arc::clone(&second), ask(Arc::clone(&first), Stack::default()));
        let gives_up = gives_up.unwrap_or_else(|_| unreachable!("nobody else waits"));
        let changes = thread::spawn(move || {
            drop(gives_up);
            is_refused(graph.begin(first, join(task(id), Stack::default())))
        });
        // The third's task waits for the second's result, which goes on.
        let asks = graph.begin(third, ask(second, in_task(id)));
        assert!(!changes.join().unwrap());
        assert!(asks.is_ok_and(|asks| !asks.is_refused()));
    });
}

struct Both(Mutex<[TaskId; 2]>);

struct NotQueued;

impl IsQueued for NotQueued {
    fn is_queued(&self) -> bool {
        false
    }
}

impl Several for Both {
    fn show(&self, more: &mut dyn FnMut(TaskId, usize, &dyn IsQueued) -> bool) {
        let ids = self.0.lock();
        let _ = ids.iter().all(|id| more(*id, 0, &NotQueued));
    }
}

#[test]
fn of_askers_who_are_those_whose_first_the_owner_waits_for_one_is_told() {
    model(3, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let owner = record(graph);
        let ids = [TaskId::next(), TaskId::next()];
        let asks = ids.map(|id| {
            let owner = Arc::clone(&owner);
            // Both keep waiting, until all have begun.
            thread::spawn(move || graph.begin(record(graph), ask(owner, in_task(id))))
        });
        let joining = graph.begin(owner, join(Target::FirstOf(Arc::new(Both(Mutex::new(ids)))), Stack::default()));
        let asks = asks.map(|asks| asks.join().unwrap());
        assert!(asks.iter().any(|asks| asks.as_ref().map_or(true, |asks| asks.is_refused())));
        drop((asks, joining));
    });
}

/// A task in a queue, until a thread takes it out.
struct InQueue(AtomicBool);

impl IsQueued for InQueue {
    fn is_queued(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

const POOL: usize = 7;

/// A wait that holds the only permit of the pool.
fn keeping(id: TaskId) -> Stack {
    let permit = Permit { pool: POOL, name: Namespace::DEFAULT, of: 1 };
    Stack { permits: vec![permit], ..in_task(id) }
}

#[test]
fn a_task_that_is_queued_behind_the_joiner_is_a_link() {
    model(3, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let (joins, keeps, behind) = (TaskId::next(), TaskId::next(), TaskId::next());
        let queued =
            Target::Task(Task { id: behind, pool: POOL, queued: Some(Arc::new(InQueue(AtomicBool::new(true)))) });
        let other = thread::spawn(move || is_refused(graph.begin(record(graph), join(task(joins), keeping(keeps)))));
        let mine = is_refused(graph.begin(record(graph), join(queued, in_task(joins))));
        assert_ne!(other.join().unwrap(), mine, "both wait for ever, or both are refused");
    });
}

#[test]
fn a_task_that_was_queued_and_runs_is_none() {
    model(3, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let (joins, keeps, behind) = (TaskId::next(), TaskId::next(), TaskId::next());
        let queue = Arc::new(InQueue(AtomicBool::new(true)));
        let queued = Target::Task(Task { id: behind, pool: POOL, queued: Some(Arc::clone(&queue) as _) });
        let other = thread::spawn(move || {
            // The permit goes to the queued task, and comes back when that has ended; then its next holder waits.
            queue.0.store(false, Ordering::SeqCst);
            is_refused(graph.begin(record(graph), join(task(joins), keeping(keeps))))
        });
        let mine = is_refused(graph.begin(record(graph), join(queued, in_task(joins))));
        assert!(!mine && !other.join().unwrap());
    });
}
