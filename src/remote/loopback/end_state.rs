//! [`EndState`]: one end as the broker sees it.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use super::op::{Action, Op};
use crate::sync::os::Arc;
use crate::wire::address::ProcessId;
use crate::wire::engine::Inbox;

/// One end as the broker sees it.
#[derive(Default)]
pub(super) struct EndState {
    pub(super) inbox: Option<Arc<dyn Inbox>>,
    pub(super) name: Option<ProcessId>,
    pub(super) paused: bool,
    pub(super) away: bool,
    pub(super) dead: bool,
    /// Since when the end is paused, away or dead.
    pub(super) silent_since: Option<Instant>,
    pub(super) inbound: VecDeque<Action>,
    /// Calls that go out when the end is neither paused nor away.
    pub(super) held: Vec<Op>,
    pub(super) follows: HashSet<ProcessId>,
}

impl EndState {
    pub(super) fn is_there(&self) -> bool {
        !self.dead && !self.away
    }

    pub(super) fn push(&mut self, action: impl FnOnce(&dyn Inbox) + Send + 'static) {
        if let Some(inbox) = self.inbox.clone().filter(|_| !self.dead) {
            self.inbound.push_back(Box::new(move || action(&*inbox)));
        }
    }
}
