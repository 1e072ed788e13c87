//! How often each page was read: state of the asynchronous half of the server, kept by a task of its runtime.

use std::collections::HashMap;

use heirloom::Heirloom;
use tokio::sync::{mpsc, oneshot};

/// Bound at the process, so no function takes it as an argument.
pub(crate) static VISITS: Heirloom<Visits> = Heirloom::new("visits");

#[derive(Clone)]
pub(crate) struct Visits(mpsc::Sender<(usize, oneshot::Sender<u64>)>);

impl Visits {
    /// Call it on the runtime. The task ends with the last clone.
    pub(crate) fn start() -> Result<Visits, heirloom::Error> {
        let (ask, mut asked) = mpsc::channel::<(usize, oneshot::Sender<u64>)>(64);
        let counts = heirloom::spawn(async move {
            let mut counts = HashMap::new();
            while let Some((page, answer)) = asked.recv().await {
                let count = counts.entry(page).or_insert(0);
                *count += 1;
                // The asking task may have been dropped.
                let _ = answer.send(*count);
            }
        })?;
        drop(counts); // detached
        Ok(Visits(ask))
    }

    /// Counts one more visit. None when the runtime is about to end.
    pub(crate) async fn count(self, page: usize) -> Option<u64> {
        let (answer, answered) = oneshot::channel();
        self.0.send((page, answer)).await.ok()?;
        answered.await.ok()
    }
}
