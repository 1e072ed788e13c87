//! The origin: the process that sent jobs, and the one record of them.
//!
//! The engine may lose what it has, deliver twice, and repeat requests. The origin keeps each accepted job until it has ended, and
//! decides on each begin. So each job ends once, and one that is not repeatable begins at most once.
//!
//! # The life of a record
//! ```text
//!  send ──► WAITS ──grant──► BEGUN ──the worker tells its end──► ended
//!             ▲ │              │
//!             │ cancel         ├─ its worker is lost: ended as WorkerLost,
//!             │ ▼              │
//!             │ ended          │
//!             └────────────────┴─ or, if repeatable with attempts left, or not run: waits again
//! ```
//!
//! # The worker's death
//! The engine delivers the same message again after the worker was silent for a lease: the next worker asks to begin with the
//! receipt that the grant names, and so proves the death. A job that was published twice has two receipts; an ask with another
//! one is for a copy, and is told that the job is over. Where the engine has lost the message, the missing signs of the worker
//! prove it (`tick`).
//!
//! # Locks
//! The table's lock is held for look-ups and changes of records alone. Promises, hooks and the engine are called without it:
//! they run code of other parts, and some of the user's.

pub(crate) mod kept;
mod record;
mod requests;
mod scopes;
mod state;
mod time;

use std::time::{Duration, Instant};

use crate::remote::ticker::{self, Ticks};
use crate::sync::os::Arc;
use crate::wire::address::ProcessId;
use crate::wire::engine::Answer;
use crate::wire::link::{Half, Link};

pub(crate) use crate::remote::origin::record::Sent;
pub(crate) use crate::remote::origin::state::Origin;

/// Returns the origin of a link, which is made at the first call.
pub(crate) fn of(link: &Arc<Link>) -> Arc<Origin> {
    let half = link.origin.get_or_init(|| {
        let origin = Arc::new(Origin::new(link));
        let weak = Arc::downgrade(&origin);
        if !ticker::start(weak) {
            tracing::warn!(
                "heirloom: the system refused a thread for the leases of remote jobs; a lost worker is not noticed"
            );
        }
        origin
    });
    match Arc::clone(half).as_any().downcast::<Origin>() {
        Ok(origin) => origin,
        Err(_) => unreachable!("the half that `of` makes is an origin"),
    }
}

impl Half for Origin {
    fn requested(self: Arc<Self>, from: &ProcessId, message: bytes::Bytes, answer: Answer<bytes::Bytes>) {
        requests::answer(&self, from, &message, answer);
    }

    fn connected(self: Arc<Self>, connected: bool) {
        if connected {
            time::connected(&self);
        }
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}

impl Ticks for Origin {
    fn tick(self: Arc<Self>) -> Duration {
        if self.is_connected() {
            time::tick(&self, Instant::now());
        }
        (self.lease / 3).clamp(Duration::from_millis(5), Duration::from_secs(5))
    }
}
