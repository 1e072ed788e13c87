//! The gate: one holder at a time, no waiter is forgotten, and a waiter that gives up just as it enters leaves the
//! gate.

use std::time::Duration;

use loom::cell::UnsafeCell;

use crate::error::Error;
use crate::gate::Gate;
use crate::model::{model, start};
use crate::pool::config::PoolConfig;
use crate::pool::config::gate::{Admission, Denied, GateMode, Gated};
use crate::pool::core::pool::Pool;
use crate::pool::handle::submit;
use crate::sync::os::{Arc, thread};

/// A number that only the holder may change: loom sees two at once.
struct Room {
    gate: Gate,
    visits: UnsafeCell<u32>,
}

// SAFETY: the number is used inside the gate only, and the models check that the gate is exclusive.
unsafe impl Send for Room {}
// SAFETY: as above.
unsafe impl Sync for Room {}

impl Room {
    fn new() -> Arc<Self> {
        Arc::new(Self { gate: Gate::new("room"), visits: UnsafeCell::new(0) })
    }

    /// `Duration::MAX` waits for ever; any other timeout has passed at the first look.
    fn visit(&self, wait: Duration) -> Result<(), Error> {
        let _in = self.gate.enter_timeout(wait)?;
        // SAFETY: this thread holds the gate.
        self.visits.with_mut(|visits| unsafe { *visits += 1 });
        Ok(())
    }

    fn visits(&self) -> u32 {
        assert!(!self.gate.is_held());
        // SAFETY: the others have been joined.
        self.visits.with(|visits| unsafe { *visits })
    }
}

const FOR_EVER: Duration = Duration::MAX;
const A_MOMENT: Duration = Duration::from_millis(1);

fn visitor(room: &Arc<Room>, wait: Duration) -> loom::thread::JoinHandle<bool> {
    let room = Arc::clone(room);
    thread::spawn(move || room.visit(wait).is_ok())
}

#[test]
fn everybody_who_waits_is_let_in_and_alone() {
    model(3, || {
        let room = Room::new();
        let others = [visitor(&room, FOR_EVER), visitor(&room, FOR_EVER)];
        room.visit(FOR_EVER).unwrap();
        for other in others {
            assert!(other.join().unwrap());
        }
        assert_eq!(room.visits(), 3);
    });
}

#[test]
fn whoever_gives_up_as_it_is_let_in_keeps_nobody_out() {
    model(3, || {
        let room = Room::new();
        let held = room.gate.enter_timeout(FOR_EVER).unwrap();
        let hasty = visitor(&room, A_MOMENT);
        let patient = visitor(&room, FOR_EVER);
        drop(held);
        let hasty = hasty.join().unwrap();
        assert!(patient.join().unwrap());
        assert_eq!(room.visits(), 1 + u32::from(hasty));
    });
}

#[test]
fn it_is_let_go_by_the_last_guard_in_whatever_order_they_go() {
    model(3, || {
        let room = Room::new();
        let outer = room.gate.enter_timeout(FOR_EVER).unwrap();
        let inner = room.gate.enter_timeout(FOR_EVER).unwrap();
        let other = visitor(&room, FOR_EVER);
        drop(outer);
        // SAFETY: this thread still holds the gate.
        room.visits.with_mut(|visits| unsafe { *visits += 1 });
        drop(inner);
        assert!(other.join().unwrap());
        assert_eq!(room.visits(), 2);
    });
}

#[test]
fn a_task_that_waits_for_it_holds_up_no_other() {
    model(1, || {
        let room = Room::new();
        let pool = start(PoolConfig::leased(1));
        let held = room.gate.enter_timeout(FOR_EVER).unwrap();
        let visits = {
            let room = Arc::clone(&room);
            submit::submit_static(&pool, None, move || room.visit(FOR_EVER).is_ok()).ok().unwrap()
        };
        let next = submit::submit_static(&pool, None, || 7).ok().unwrap();
        assert_eq!(next.join().unwrap(), 7);
        drop(held);
        assert!(visits.join().unwrap());
        assert_eq!(room.visits(), 1);
    });
}

impl Admission for Room {
    fn name(&self) -> &'static str {
        self.gate.name()
    }

    fn let_in(&self, _mode: GateMode, body: &mut dyn FnMut()) -> Result<(), Denied> {
        self.gate.around(body).map_err(Denied::Busy)
    }
}

/// A pool whose tasks hold the gate. The number lives as long as the model.
fn gated(limit: usize, wait: Duration) -> (&'static Room, Arc<Pool>) {
    let gate = Gate::new("room").default_wait(wait);
    let room = Box::leak(Box::new(Room { gate, visits: UnsafeCell::new(0) }));
    let mut config = PoolConfig::leased(limit);
    config.set_gate(Gated { key: room, mode: GateMode::Require });
    (room, start(config))
}

#[test]
fn tasks_under_a_gate_run_one_at_a_time() {
    model(1, || {
        let (room, pool) = gated(2, FOR_EVER);
        // SAFETY: a task of this pool holds the gate.
        let visit = || room.visits.with_mut(|visits| unsafe { *visits += 1 });
        let [first, second] = [(); 2].map(|()| submit::submit_static(&pool, None, visit).ok().unwrap());
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(room.visits(), 2);
    });
}

#[test]
fn a_task_that_is_cancelled_before_it_is_let_in_never_starts() {
    model(2, || {
        let (room, pool) = gated(1, FOR_EVER);
        let held = room.gate.try_enter().unwrap();
        // SAFETY: the task holds the gate.
        let visit = || room.visits.with_mut(|visits| unsafe { *visits += 1 });
        let task = submit::submit_static(&pool, None, visit).ok().unwrap();
        task.cancel();
        drop(held);
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(room.visits(), 0);
    });
}

#[test]
fn a_task_that_finds_it_busy_fails_or_is_let_in() {
    model(1, || {
        let (room, pool) = gated(1, A_MOMENT);
        let held = room.gate.try_enter().unwrap();
        // SAFETY: the task holds the gate.
        let visit = || room.visits.with_mut(|visits| unsafe { *visits += 1 });
        let task = submit::submit_static(&pool, None, visit).ok().unwrap();
        drop(held);
        let outcome = task.join();
        let visited = outcome.is_ok();
        assert!(visited || outcome.unwrap_err().as_busy().is_some());
        assert_eq!(room.visits(), u32::from(visited));
    });
}
