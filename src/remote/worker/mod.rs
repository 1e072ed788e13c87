//! The worker: the process that runs jobs, and tells their ends.
//!
//! ```text
//!  serve ─► pull ─► begin ──────────► task ──────► tell ─► settle
//!                   asks the origin   in the pool  until the origin has it
//! ```
//!
//! The worker decides nothing. It asks before each begin, tells each end until that is confirmed, and signs meanwhile (`signs`); a stop is
//! a broadcast that it follows, and is repeated in the answers to its signs. So a lost message costs time alone.
//!
//! # Threads
//! The engine's threads call `begin`, `tell` and `signs`, and so does the [`Clock`](crate::remote::clock), for repetitions. They run no
//! code of a user, and never block. Jobs run on the threads of the pool, and cancels, whose hooks are user code, on those of
//! [`threads::aside`](crate::threads::aside).
//!
//! # Locks
//! The table's (`state`), each run's (`run`), each serving's counts (`core`) and scopes (`scopes`). None is held in a call of an
//! engine, a pool or a scope, and none but a run's inside the table's.

mod begin;
mod core;
mod declare;
mod give_back;
mod jobs;
pub(crate) mod origin;
pub(crate) mod readiness;
mod ready;
mod refuse;
pub(crate) mod report;
mod run;
mod scopes;
pub(crate) mod serve;
mod signs;
mod soon;
mod state;
mod stop;
mod task;
mod tell;

use std::io;

use bytes::Bytes;

use crate::remote::worker::state::Worker;
use crate::sync::os::{Arc, Ordering};
use crate::wire::address::ProcessId;
use crate::wire::engine::Delivery;
use crate::wire::link::{self, Half, Link};
use crate::wire::message::{self, Call};

/// Returns the worker of a link, which is made at the first call.
///
/// # Errors
/// The system's, when it refuses the thread of the clock.
fn of(link: &Arc<Link>) -> io::Result<Arc<Worker>> {
    link::half(&link.worker, || Worker::new(link), signs::schedule)
}

impl Half for Worker {
    fn broadcast(self: Arc<Self>, origin: &ProcessId, message: Bytes) {
        match message::decode(&message) {
            Some(Call::Stop { scopes, jobs, reason }) => {
                let reason = reason.into();
                signs::stop_scopes(&self, origin, &scopes, reason);
                signs::stop_jobs(&self, origin, &jobs, reason);
            }
            Some(Call::Ended { scopes }) => signs::end_scopes(&self, origin, &scopes),
            // Of a later version; the next sign repeats what it says.
            None => {}
        }
    }

    fn delivered(self: Arc<Self>, delivery: Delivery) {
        begin::delivered(&self, delivery);
    }

    fn absent(self: Arc<Self>, queue: &str) {
        declare::absent(&self, queue);
    }

    fn connected(self: Arc<Self>, connected: bool) {
        self.connects.fetch_add(1, Ordering::SeqCst);
        declare::connected(&self, connected);
        if connected {
            self.forget_misses();
            let runs = self.runs();
            tell::tell_again(&self, &runs);
            runs.iter().for_each(|run| begin::ask_again(&self, run));
            signs::send(&self);
        }
    }
}
