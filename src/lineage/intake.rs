//! [`Intake`]: a source of tasks from outside of the process, such as a serving, which a family's end closes.

use crate::sync::fork;
use crate::sync::os::{Arc, Mutex, Weak};

/// A source of tasks from outside of the process.
pub(crate) trait Intake: Send + Sync {
    /// Takes in no task any more. Runs no user code, and does not wait.
    fn close(self: Arc<Self>);

    /// Gives up the tasks that are left, because the process ends: their senders learn it. Runs user code.
    fn give_up(self: Arc<Self>);
}

/// The intakes of one family. The list keeps none of them.
#[derive(Default)]
pub(crate) struct Intakes(Mutex<Vec<Weak<dyn Intake>>>);

impl Intakes {
    #[cfg(feature = "remote")]
    pub(crate) fn add(&self, intake: Weak<dyn Intake>) {
        let mut intakes = self.0.lock();
        intakes.retain(|intake| intake.strong_count() > 0);
        intakes.push(intake);
    }

    /// Closes all intakes.
    pub(crate) fn close(&self) {
        self.live().into_iter().for_each(Intake::close);
    }

    /// Gives up what is left in all of them. Runs user code.
    pub(crate) fn give_up(&self) {
        self.live().into_iter().for_each(Intake::give_up);
    }

    fn live(&self) -> Vec<Arc<dyn Intake>> {
        // A lock that was held when the process forked is never released here, and the jobs are the parent's.
        if fork::is_fork() {
            return Vec::new();
        }
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }
}
