//! Room in a full queue: what was asked to stop and still stands there is thrown out first.
//!
//! A request to stop knows nothing of the queues; what it ends stays where it is until its turn comes, or until
//! somebody finds the queue full. That one ends it as its turn would have, and has its room.
//!
//! # The race to fear
//! A queue is refused as full though something in it was asked to stop. A look need not be repeated before there is
//! [news](Room::news): a request counted since the look, or a task that stood at a place that was asked before, or
//! while, it was pushed. The news is read before the queue; a request is noted before it is counted; a submitter reads
//! the count and looks at its place, pushes, and reads the count again. So what a look does not find is news after it.
//!
//! And whoever finds no news finds the room that the look made: it is given before the look is noted, under the queue's
//! lock.

use crate::error::{SubmitError, TaskError};
use crate::lineage::node::{Place, requests};
use crate::pool::inner::{Memo, Pool};
use crate::pool::queue::Swept;
use crate::pool::room::Room;
use crate::sync::os::{Arc, Ordering};
use crate::task::cell::Claimed;

/// A task that has room in a bounded queue and is not pushed yet.
pub(super) struct Arrival {
    made: u64,
    dead: bool,
}

impl Pool {
    /// Takes room in the queue for a task that is asked for at the place. Nothing to take in one without a limit.
    #[inline]
    pub(super) fn take_room(self: &Arc<Self>, place: &Place) -> Result<Option<Arrival>, SubmitError> {
        let Some(room) = &self.room else { return Ok(None) };
        if room.take() || self.make_room(room) {
            let made = requests().made();
            return Ok(Some(Arrival { made, dead: self.drops(place) }));
        }
        Err(SubmitError::QueueFull {
            namespace: self.namespace.clone(),
            limit: self.config.queue_limit.unwrap_or(usize::MAX),
        })
    }

    /// The task was pushed.
    #[inline]
    pub(super) fn arrived(&self, arrival: &Arrival) {
        if arrival.dead || requests().made() != arrival.made {
            self.arrived_dead();
        }
    }

    #[cold]
    fn arrived_dead(&self) {
        if let Some(room) = &self.room {
            room.note_dead();
        }
    }

    /// Takes room that what was asked to stop has in the full queue, and ends all of that, which drops its closures
    /// here. Where there is no news it costs three loads.
    #[cold]
    fn make_room(self: &Arc<Self>, room: &Room) -> bool {
        let news = room.news();
        if !room.is_news(news) {
            // Somebody else may have looked just now, and made some.
            return room.take();
        }
        let mut queue = self.queue.lock();
        let swept = if room.is_news(news) {
            // SAFETY: `memo_of` takes the memos of this pool's tasks that were claimed and not popped.
            unsafe { queue.claim_if(|memo| self.drops(&memo.place)) }
        } else {
            Swept { claimed: Vec::new(), shells: Vec::new() }
        };
        let made = swept.claimed.len();
        let ours = room.give_and_take(made);
        room.looked(news);
        drop(queue);
        room.tell_some(made.saturating_sub(1));
        self.end_swept(swept);
        ours
    }

    fn end_swept(self: &Arc<Self>, swept: Swept<Memo>) {
        self.stale.fetch_sub(swept.shells.len().cast_signed(), Ordering::Relaxed);
        drop(swept.shells);
        for claimed in swept.claimed {
            self.counters.elsewhere.fetch_add(1, Ordering::Relaxed);
            // It is out of the queue, so nobody else reads it.
            let Some(memo) = claimed.take_memo() else { continue };
            let error = TaskError::cancelled(claimed.task().id(), &self.namespace);
            // Its room is given already.
            self.end_unrun_with(claimed, Memo { queued: false, ..memo }, error);
        }
    }

    /// The memo of a task that was claimed and may still stand in the queue. In a bounded one others read it there,
    /// under this lock.
    pub(super) fn memo_of(&self, claimed: &Claimed<Memo>) -> Option<Memo> {
        let _nobody_reads = self.room.is_some().then(|| self.queue.lock());
        claimed.take_memo()
    }
}
