//! [`heirloom::Busy`] says who is in: the task with its pool's name, or the thread; since when; and what to do.

use std::time::Duration;

use heirloom::{Busy, Gate, PoolConfig, Scope};

use crate::common::pools::{started, this_thread};
use crate::common::{self, bounded, busy_gate};

#[test]
fn a_task_that_is_in_is_named_with_its_id_pool_and_thread() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let config = PoolConfig::dedicated(1).thread_name_prefix("optics");
        let pool = started(&scope, "camera", config);
        let (leave, told) = std::sync::mpsc::channel::<()>();
        let (entered, is_in) = std::sync::mpsc::channel();
        let exposes = move || {
            let _in = GATE.enter().expect("it is free");
            entered.send(this_thread()).expect("the test listens");
            let _ = told.recv();
        };
        let task = pool.submit(exposes).expect("accepted");
        let thread = is_in.recv().expect("it goes in");
        let busy = GATE.enter_timeout(Duration::from_millis(5)).expect_err("a task is in");
        let holder = GATE.holder().expect("a task is in");
        assert_eq!(
            (holder.task, holder.thread, holder.thread_name.as_deref()),
            (Some(task.id()), thread, Some("optics-0"))
        );
        assert_eq!(holder.namespace.as_ref(), Some(pool.namespace()));
        assert!(
            holder.held_for >= busy_gate(&busy).holder.held_for
                && busy_gate(&busy).holder.held_for >= Duration::from_millis(5)
        );
        assert_eq!(
            (busy_gate(&busy).gate, busy_gate(&busy).holder.task, busy_gate(&busy).would_deadlock),
            ("stage", holder.task, false)
        );
        let text = busy.to_string();
        let begins = format!("gate \"stage\" is held by task {} of \"camera\" on thread \"optics-0\", for ", task.id());
        assert!(text.starts_with(&begins), "{text}");
        assert!(text.contains("wait longer with `enter_timeout`"), "{text}");
        leave.send(()).expect("it listens");
        task.join().expect("runs");
    });
}

#[test]
fn a_thread_that_is_in_outside_of_any_task_is_named() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let _in = GATE.enter().expect("it is free");
        let named = std::thread::Builder::new().name("asks".into()).spawn(|| GATE.try_enter().map(drop));
        let busy = named.expect("starts").join().expect("ends").expect_err("a thread is in");
        assert_eq!((busy_gate(&busy).holder.task, &busy_gate(&busy).holder.namespace), (None, &None));
        assert_eq!(busy_gate(&busy).holder.thread, this_thread());
        let text = busy.to_string();
        assert!(text.contains("is held by a thread without a name"), "{text}");
        assert!(text.contains("this call does not wait"), "{text}");
    });
}

#[test]
fn a_hand_over_changes_who_is_in() {
    static GATE: Gate = Gate::new("stage");
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let held = GATE.enter().expect("it is free");
        let (leave, told) = std::sync::mpsc::channel::<()>();
        let next = pool.submit(move || {
            let _in = GATE.enter_timeout(Duration::MAX).expect("let in");
            let _ = told.recv();
        });
        let next = next.expect("accepted");
        common::eventually("it waits at the gate", || pool.stats().waiting == 1);
        drop(held);
        // In the same step: it is never free in between.
        assert_eq!(GATE.holder().and_then(|holder| holder.task), Some(next.id()));
        leave.send(()).expect("it listens");
        next.join().expect("runs");
    });
}

#[test]
fn it_is_an_error_like_any_other() {
    fn is_error<E: std::error::Error + Clone + Send + Sync + 'static>() {}
    is_error::<Busy>();
}
