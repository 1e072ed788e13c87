//! [`Kept`]: the promise of one job, for every type of output.

use bytes::Bytes;

use crate::cancel::OnCancel;
use crate::error::remote::RemoteFailure;
use crate::error::{CancelReason, TaskError};
use crate::lineage::handle::Lineage;
use crate::pool::handle::promise::Promise;
use crate::remote::job::{self, Job};
use crate::sync::os::Mutex;
use crate::sync::unwind::swallow;
use crate::wire::address::ProcessId;
use crate::wire::fault::Fault;

/// Code that runs once.
type Once = Box<dyn FnOnce() + Send>;

/// The promise of one job. Each end counts once, and the later ones do nothing.
pub(crate) trait Kept: Send + Sync {
    /// Calls the first code when the task ends before it begins, and the second one at its cancel.
    fn watch(&self, at_end: Once, at_cancel: Once);

    /// Begins the task. False if it has ended.
    fn begin(&self) -> bool;

    fn is_cancelled(&self) -> bool;

    /// Returns why the task was cancelled; a request where no cancel reaches it.
    fn cancel_reason(&self) -> CancelReason;

    /// Ends the task with the bytes of its output, which are decoded here.
    fn complete(&self, output: &Bytes, worker: &ProcessId);

    fn panic(&self, text: String);

    fn cancel(&self);

    fn refuse(&self, fault: &Fault);

    fn fail(&self, failure: RemoteFailure);
}

pub(crate) struct Promised<J: Job> {
    promise: Mutex<Option<Promise<J::Output>>>,
    at: Lineage,
    on_cancel: Mutex<Option<OnCancel>>,
}

impl<J: Job> Promised<J> {
    pub(crate) fn new(promise: Promise<J::Output>) -> Self {
        Self { at: promise.lineage(), promise: Mutex::new(Some(promise)), on_cancel: Mutex::new(None) }
    }

    /// Ends the task, once, without a lock.
    fn end(&self, end: impl FnOnce(Promise<J::Output>)) {
        let promise = self.promise.lock().take();
        let hook = self.on_cancel.lock().take();
        drop(hook);
        if let Some(promise) = promise {
            swallow(|| end(promise));
        }
    }
}

impl<J: Job> Kept for Promised<J> {
    fn watch(&self, at_end: Once, at_cancel: Once) {
        let hook = self.at.on_cancel(at_cancel);
        let unused = {
            // The order of `end`: a promise that is there is ended after this, and its end takes the hook.
            let promise = self.promise.lock();
            match &*promise {
                Some(_) => self.on_cancel.lock().replace(hook),
                None => Some(hook),
            }
        };
        drop(unused);
        // Runs the code at once where the task has ended.
        if let Some(promise) = &*self.promise.lock() {
            promise.on_end(at_end);
        }
    }

    fn begin(&self) -> bool {
        self.promise.lock().as_ref().is_some_and(Promise::begin)
    }

    fn is_cancelled(&self) -> bool {
        self.at.is_cancelled()
    }

    fn cancel_reason(&self) -> CancelReason {
        self.at.0.node().cause().map_or(CancelReason::Request, |cause| cause.reason())
    }

    fn complete(&self, output: &Bytes, worker: &ProcessId) {
        self.end(|promise| match job::decode(output) {
            Ok(output) => promise.complete(output),
            Err(why) => {
                end_failed(promise, RemoteFailure::NotUnderstood { worker: worker.to_string(), why, ran: true })
            }
        });
    }

    fn panic(&self, text: String) {
        self.end(|promise| promise.panic(Box::new(text)));
    }

    fn cancel(&self) {
        self.end(Promise::cancel);
    }

    fn refuse(&self, fault: &Fault) {
        self.fail(RemoteFailure::Refused { kind: fault.kind(), why: fault.to_string() });
    }

    fn fail(&self, failure: RemoteFailure) {
        self.end(|promise| end_failed(promise, failure));
    }
}

fn end_failed<T: Send + 'static>(promise: Promise<T>, failure: RemoteFailure) {
    let error = TaskError::remote(promise.id(), promise.namespace(), failure);
    promise.complete_with(Err(error));
}
