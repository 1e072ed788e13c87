//! With a place free, a task starts, also when the one that just ended still has the drop of its result to do, and that
//! takes as long as the new task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, Scope};

use crate::common::bounded;

/// As many as there is time for, within [`WHILE`]; the moment that matters is met once in some ten thousand.
const ROUNDS: u32 = 30_000;
const WHILE: Duration = Duration::from_secs(15);

/// A result whose drop on a worker waits for another task, as one that flushes through a channel would.
struct Waits(Arc<AtomicBool>, ThreadId);

impl Drop for Waits {
    fn drop(&mut self) {
        if std::thread::current().id() == self.1 {
            // The task had ended before its handle went: the drop is on the submitter's own thread.
            return;
        }
        let until = Instant::now() + Duration::from_secs(10);
        while !self.0.load(Ordering::Acquire) && Instant::now() < until {
            std::thread::yield_now();
        }
    }
}

#[test]
fn the_next_task_starts_while_a_result_is_dropped() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("two");
        pool.start(PoolConfig::leased(2)).expect("starts");
        let until = Instant::now() + WHILE;
        for round in (0..ROUNDS).take_while(|_| Instant::now() < until) {
            let turn = Arc::new(AtomicU32::new(0));
            let came = Arc::new(AtomicBool::new(false));
            let (ours, result) = (turn.clone(), Waits(came.clone(), std::thread::current().id()));
            let first = pool
                .submit(move || {
                    ours.store(1, Ordering::Release);
                    while ours.load(Ordering::Acquire) != 2 {
                        std::hint::spin_loop();
                    }
                    result
                })
                .expect("accepted");
            while turn.load(Ordering::Acquire) != 1 {
                std::thread::yield_now();
            }
            turn.store(2, Ordering::Release);
            // Every moment of the first task's end is met in some round.
            for _ in 0..round % 300 {
                std::hint::spin_loop();
            }
            drop(first);
            let next = pool.submit(move || came.store(true, Ordering::Release)).expect("accepted");
            assert!(next.join_timeout(Duration::from_secs(5)).is_ok(), "left behind in round {round}");
        }
    });
}
