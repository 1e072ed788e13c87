//! The main thread stands *at* the process node: what `main` creates, everyone finds. Without the test harness, because
//! that runs tests on threads of its own.

use heirloom::{Lineage, NodeKind, PoolConfig, Registry, Scope};

use crate::check::Check;
use crate::common::bounded;

pub(crate) static CHECKS: &[Check] = &[
    Check::passes("main_stands_at_the_process", main_stands_at_the_process),
    Check::passes("what_main_creates_everyone_finds", what_main_creates_everyone_finds),
    Check::passes("main_comes_back_to_the_process", main_comes_back_to_the_process),
    Check::passes("a_task_of_main_stands_below_the_process", a_task_of_main_stands_below_the_process),
    Check::passes("main_is_not_a_thread_node", main_is_not_a_thread_node),
    Check::passes("another_thread_does_not_stand_at_the_process", || {
        bounded(another_thread_does_not_stand_at_the_process)
    }),
];

fn main_stands_at_the_process() {
    assert_eq!(heirloom::current(), Lineage::process());
    assert_eq!(heirloom::current().kind(), NodeKind::Process);
    assert_eq!(heirloom::current().parent(), None);
    assert_eq!(heirloom::current().ancestors().count(), 1);
}

fn what_main_creates_everyone_finds() {
    let made = heirloom::create("of main");
    made.start(PoolConfig::leased(2)).expect("starts");
    assert_eq!(made.owner(), Some(Lineage::process()));

    let foreign = std::thread::spawn(|| heirloom::get("of main")).join().expect("ends");
    assert!(foreign.expect("a foreign thread finds it").is_same(&made));
    let child = heirloom::thread::spawn(|| heirloom::get("of main")).expect("a thread starts").join().expect("ends");
    assert!(child.expect("a child finds it").is_same(&made));
    let task = made.submit(|| heirloom::get("of main")).expect("open").join().expect("ends");
    assert!(task.expect("a task finds it").is_same(&made));
    let scoped = Scope::run("request", |_| heirloom::get("of main"));
    assert!(scoped.expect("a scope finds it").is_same(&made));
    let detached = heirloom::thread::Builder::new().detached().spawn(|| heirloom::get("of main")).expect("starts");
    assert!(detached.join().expect("ends").expect("a detached thread finds it").is_same(&made));
    assert!(Lineage::process().remove("of main").is_some());
}

fn main_comes_back_to_the_process() {
    let scope = Scope::new("request");
    let guard = scope.enter();
    assert_eq!(heirloom::current(), *scope);
    drop(guard);
    assert_eq!(heirloom::current(), Lineage::process());
}

fn a_task_of_main_stands_below_the_process() {
    let pool = heirloom::create("work");
    pool.start(PoolConfig::leased(1)).expect("starts");
    let task = pool.submit(heirloom::current).expect("open").join().expect("ends");
    assert_eq!(task.parent(), Some(Lineage::process()));
    assert!(Lineage::process().remove("work").is_some());
}

fn main_is_not_a_thread_node() {
    let nodes = Registry::global().snapshot().nodes;
    assert!(nodes.iter().all(|node| node.thread != Some(std::thread::current().id())));
}

fn another_thread_does_not_stand_at_the_process() {
    let here = heirloom::current();
    assert_eq!(here.kind(), NodeKind::Thread);
    assert_eq!(here.parent(), Some(Lineage::process()));
}
