//! Whoever waits at a gate and is asked to stop waits no longer: code gets `Busy`, a task that waits for its pool's
//! gate ends as cancelled, and its body never runs.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Gate, GateMode, Heirloom, PoolConfig, Scope, thread};

use crate::common::pools::started;
use crate::common::{bounded, busy_gate, eventually};

#[test]
fn an_entry_that_is_asked_to_stop_is_told_and_the_gate_goes_on() {
    bounded(|| {
        static GATE: Gate = Gate::new("gate").default_wait(Duration::MAX);
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let held = GATE.enter().expect("free");
        // A task that is no node, one that is, and a thread.
        let plain = pool.submit(|| GATE.enter().map(drop)).expect("accepted");
        let node = pool.submit(|| {
            let _ = heirloom::current();
            GATE.enter().map(drop)
        });
        let node = node.expect("accepted");
        let (says, said) = mpsc::channel();
        let thread = thread::spawn(move || {
            says.send(()).expect("the test listens");
            GATE.enter().map(drop)
        })
        .expect("a thread starts");
        said.recv().expect("it runs");
        eventually("both tasks wait", || pool.stats().waiting == 2);
        plain.cancel();
        node.cancel();
        thread.cancel();
        // Looked at without a wait: a join by the holder would end their waits too.
        eventually("all are told", || plain.is_finished() && node.is_finished() && thread.is_finished());
        for refused in [plain.join().expect("runs"), node.join().expect("runs"), thread.join().expect("ends")] {
            let busy = refused.expect_err("it is held");
            assert!(busy_gate(&busy).cancelled.is_some() && !busy_gate(&busy).would_deadlock, "{busy}");
        }
        drop(held);
        GATE.try_enter().map(drop).expect("nobody is left in line");
    });
}

#[test]
fn a_task_at_its_pools_gate_ends_as_cancelled() {
    bounded(|| {
        static KEY: Heirloom<Gate> = Heirloom::new("gate");
        let asks: [fn(&Scope, &heirloom::PoolManager, &heirloom::TaskHandle<()>); 3] =
            [|_, _, task| _ = task.cancel(), |_, pool, _| pool.cancel(), |scope, _, _| scope.cancel()];
        for ask in asks {
            let owner = Scope::new("owner");
            KEY.at(&owner).bind(Gate::new("gate").default_wait(Duration::MAX)).expect("open");
            let scope = Scope::new_in(&owner, "scope");
            let pool = started(&owner, "pool", PoolConfig::leased(1).gate(&KEY, GateMode::Require));
            let gate = owner.run(|| KEY.get()).expect("bound");
            let held = gate.enter().expect("free");
            let task = scope.run(|| pool.submit(|| unreachable!("it was cancelled"))).expect("accepted");
            eventually("it waits", || pool.stats().waiting == 1);
            ask(&scope, &pool, &task);
            assert!(task.join().expect_err("its body did not run").is_cancelled());
            assert!(pool.stop().expect("from outside").is_complete(), "it waits for no holder");
            drop(held);
            assert!(!gate.is_held());
        }
    });
}
