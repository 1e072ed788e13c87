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
//! A repeatable job begins without a grant, and its worker asks for one only if the job runs for more than a moment. The end of a
//! short one leads from WAITS to ended at once.
//!
//! # The worker's death
//! The engine delivers the same message again after the worker was silent for a lease. The next worker asks to begin with the
//! receipt that the grant names, and with a later delivery: that proves the death. A request with an earlier delivery is stale,
//! and proves nothing. A job that was published twice has two receipts. A request with another receipt than the grant's is for a
//! copy, whose delivery is done. Where the engine has lost the message, the missing signs of the worker prove the death (`time`).
//!
//! # One message
//! A job that waits has one message in the engine (`look`). Where the engine has lost that one, the origin publishes another.
//!
//! # Locks
//! The table's lock is held for look-ups and changes of records alone. Promises, hooks and the engine are called without it:
//! they run code of other parts, and some of the user's.

pub(crate) mod kept;
mod look;
mod record;
mod requests;
mod scopes;
mod state;
mod time;

use std::io;

use crate::error::travelled::FOUND_AT;
use crate::registry::find::with;
use crate::sync::os::Arc;
use crate::wire::address::ProcessId;
use crate::wire::engine::Answer;
use crate::wire::link::{self, Half, Link};

pub(crate) use crate::remote::origin::record::Sent;
pub(crate) use crate::remote::origin::state::Origin;

/// Returns the origin of a link, which is made at the first call.
///
/// # Errors
/// The system's, when it refuses the thread of the clock: a lost worker would not be noticed.
pub(crate) fn of(link: &Arc<Link>) -> io::Result<Arc<Origin>> {
    // Idempotent. For an error of a job that names a manager which this process has.
    let _ = FOUND_AT.set(|name| with(name.to_string(), |manager| manager.owner()).ok()?.map(|owner| owner.to_string()));
    link::half(&link.origin, || Origin::new(link), time::schedule)
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
}
