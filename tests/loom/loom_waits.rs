//! The graph of who waits for whom: a cycle is found by one of those who close it, whoever comes last.

use std::task::{Wake, Waker};
use std::thread::ThreadId;

use crate::graph::{Debt, Graph, Part, Parts, Target};
use crate::id::TaskId;
use crate::model::model;
use crate::sync::os::{Arc, thread};

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

/// The models look for tasks and owners alone.
fn no_thread() -> ThreadId {
    std::thread::current().id()
}

fn parts(task: TaskId) -> Parts {
    Parts::from_iter([Part::Task(task)])
}

#[test]
fn an_asker_whom_the_owner_joins_never_waits_for_ever() {
    model(3, || {
        let graph = Arc::new(Graph::new());
        let (owner, child) = (graph.record(no_thread()), graph.record(no_thread()));
        let task = TaskId::next();
        let asks = {
            let (graph, owner) = (Arc::clone(&graph), Arc::clone(&owner));
            thread::spawn(move || {
                // The task runs here, and asks for what the owner owes.
                if let Ok(asking) = graph.ask(child, Target::Debt(Debt::new(owner)), parts(task), waker()) {
                    while !asking.is_broken() {
                        thread::park(); // for ever, unless it is woken
                    }
                }
            })
        };
        // The owner joins the task before it gives what it owes.
        let joining = graph.join(owner, Target::Task(task), Parts::new());
        asks.join().unwrap();
        drop(joining);
    });
}

#[test]
fn of_two_who_ask_each_other_one_is_told() {
    model(3, || {
        let graph = Arc::new(Graph::new());
        let (one, two) = (graph.record(no_thread()), graph.record(no_thread()));
        let told = {
            let (graph, one, two) = (Arc::clone(&graph), Arc::clone(&one), Arc::clone(&two));
            thread::spawn(move || {
                let asked = graph.ask(two, Target::Debt(Debt::new(one)), Parts::new(), waker());
                let told = asked.is_err();
                std::mem::forget(asked); // it waits on
                told
            })
        };
        let asked = graph.ask(one, Target::Debt(Debt::new(two)), Parts::new(), waker());
        assert_ne!(told.join().unwrap(), asked.is_err(), "both wait for ever, or both are refused");
        std::mem::forget(asked);
    });
}

#[test]
fn one_who_has_paid_may_ask_whoever_has_not_noticed() {
    model(3, || {
        let graph = Arc::new(Graph::new());
        let (payer, other) = (graph.record(no_thread()), graph.record(no_thread()));
        let owed = Debt::new(Arc::clone(&payer));
        let asks = {
            let (graph, owed, other) = (Arc::clone(&graph), Arc::clone(&owed), Arc::clone(&other));
            thread::spawn(move || {
                // It may be refused no more than the payer: one waits, the other has paid.
                let asked = graph.ask(other, Target::Debt(owed), Parts::new(), waker());
                assert!(asked.as_ref().is_ok_and(|asking| !asking.is_broken()));
                std::mem::forget(asked); // it has not woken yet
            })
        };
        owed.pay();
        let asked = graph.ask(payer, Target::Debt(Debt::new(other)), Parts::new(), waker());
        assert!(asked.is_ok_and(|asking| !asking.is_broken()));
        asks.join().unwrap();
    });
}

#[test]
fn a_join_in_the_middle_closes_the_cycle_as_well() {
    model(2, || {
        let graph = Arc::new(Graph::new());
        let (owner, middle, last) = (graph.record(no_thread()), graph.record(no_thread()), graph.record(no_thread()));
        let (first, second) = (TaskId::next(), TaskId::next());
        // The owner waits for the first task from the beginning.
        let joining = graph.join(Arc::clone(&owner), Target::Task(first), Parts::new());
        let asks = {
            let graph = Arc::clone(&graph);
            thread::spawn(move || {
                if let Ok(asking) = graph.ask(last, Target::Debt(Debt::new(owner)), parts(second), waker()) {
                    while !asking.is_broken() {
                        thread::park();
                    }
                }
            })
        };
        // The first task, on its thread, joins the second.
        let between = graph.join(middle, Target::Task(second), parts(first));
        asks.join().unwrap();
        drop((joining, between));
    });
}

#[test]
fn a_wait_that_ended_is_no_part_of_a_cycle() {
    model(3, || {
        let graph = Arc::new(Graph::new());
        let (one, two) = (graph.record(no_thread()), graph.record(no_thread()));
        let task = TaskId::next();
        let joins = {
            let (graph, one) = (Arc::clone(&graph), Arc::clone(&one));
            thread::spawn(move || drop(graph.join(one, Target::Task(task), Parts::new())))
        };
        joins.join().unwrap();
        let asked = graph.ask(two, Target::Debt(Debt::new(one)), parts(task), waker());
        assert!(asked.is_ok_and(|asking| !asking.is_broken()));
    });
}

#[test]
fn waits_that_were_never_there_at_once_are_no_cycle() {
    model(3, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let [first, second, third] = [(); 3].map(|()| graph.record(no_thread()));
        let task = TaskId::next();
        // The second waits for what the first owes, and gives up; only then the first joins the third's task.
        let gives_up =
            graph.ask(Arc::clone(&second), Target::Debt(Debt::new(Arc::clone(&first))), Parts::new(), waker());
        let gives_up = gives_up.unwrap();
        let changes = thread::spawn(move || {
            drop(gives_up);
            graph.join(first, Target::Task(task), Parts::new())
        });
        // The third's task waits for what the second owes, which goes on.
        let asks = graph.ask(third, Target::Debt(Debt::new(second)), parts(task), waker());
        let joins = changes.join().unwrap();
        assert!(asks.is_ok_and(|asks| !asks.is_broken()));
        drop(joins);
    });
}

#[test]
fn of_askers_who_are_those_whose_first_the_owner_waits_for_one_is_told() {
    model(3, || {
        let graph: &'static Graph = Box::leak(Box::new(Graph::new()));
        let owner = graph.record(no_thread());
        let debt = Debt::new(Arc::clone(&owner));
        let tasks = [TaskId::next(), TaskId::next()];
        let asks = tasks.map(|task| {
            let (debt, child) = (Arc::clone(&debt), graph.record(no_thread()));
            // Both keep waiting, until all have begun.
            thread::spawn(move || graph.ask(child, Target::Debt(debt), parts(task), waker()))
        });
        let joining = graph.join(owner, Target::FirstOf(Arc::new(tasks)), Parts::new());
        let asks = asks.map(|asks| asks.join().unwrap());
        assert!(asks.iter().any(|asks| asks.as_ref().map_or(true, |asks| asks.is_broken())));
        drop((asks, joining));
    });
}
