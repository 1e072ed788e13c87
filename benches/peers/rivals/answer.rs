//! How a pool without handles of its own gives a result back: the quickest one-value channel among those of `std`,
//! `tokio` and `futures`.

use tokio::sync::oneshot::{Receiver, Sender, channel};

/// Waits for one result.
pub(super) struct Answer(Receiver<()>);

/// Gives one result.
pub(super) struct Reply(Sender<()>);

pub(super) fn answer() -> (Reply, Answer) {
    let (sender, receiver) = channel();
    (Reply(sender), Answer(receiver))
}

impl Reply {
    pub(super) fn give(self) {
        // The waiter may have been dropped.
        let _ = self.0.send(());
    }
}

impl Answer {
    pub(super) fn wait(self) {
        self.0.blocking_recv().expect("the task replies");
    }
}
