//! [`Kept`]: the promise of one job, for every type of output.
//!
//! The origin is called on the engine's thread, which carries the messages of all jobs. User code does not hold them up: the code
//! that joins the job decodes the output, and a task that is the last of a closed scope ends on another thread, with the values of
//! that scope.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::cancel::OnCancel;
use crate::error::remote::RemoteFailure;
use crate::error::task::payload_text;
use crate::error::{CancelReason, TaskError};
use crate::lineage::handle::Lineage;
use crate::names::id::TaskId;
use crate::names::namespace::Namespace;
use crate::pool::handle::promise::Promise;
use crate::remote::job::{self, Job};
use crate::sync::os::Mutex;
use crate::sync::unwind::{swallow, swallow_drop};
use crate::task::stored::Late;
use crate::threads::aside;
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

    /// Ends the task with the bytes of its output.
    fn complete(&self, output: Bytes, worker: &ProcessId);

    fn panic(&self, text: String);

    fn cancel(&self);

    fn refuse(&self, fault: &Fault);

    fn fail(&self, failure: RemoteFailure);
}

/// The output of a job as it came, and the names that an error about it has.
pub(crate) struct Came {
    bytes: Bytes,
    worker: ProcessId,
    task: TaskId,
    namespace: Namespace,
}

/// The output of a job, which is decoded when the handle takes it.
pub(crate) type Encoded<J> = Late<Came, <J as Job>::Output>;

pub(crate) struct Promised<J: Job> {
    promise: Mutex<Option<Promise<Encoded<J>>>>,
    at: Lineage,
    on_cancel: Mutex<Option<OnCancel>>,
}

impl<J: Job> Promised<J> {
    pub(crate) fn new(promise: Promise<Encoded<J>>) -> Self {
        Self { at: promise.lineage(), promise: Mutex::new(Some(promise)), on_cancel: Mutex::new(None) }
    }

    /// Ends the task, once, without a lock.
    fn end(&self, end: impl FnOnce(Promise<Encoded<J>>) + Send + 'static) {
        let promise = self.promise.lock().take();
        let hook = self.on_cancel.lock().take();
        drop(hook);
        let Some(promise) = promise else { return };
        if self.at.0.node().scope_nodes().any(|(_, scope)| scope.is_closed()) {
            aside::run(move || end(promise));
        } else {
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

    fn complete(&self, output: Bytes, worker: &ProcessId) {
        let worker = worker.clone();
        self.end(move |promise| {
            let (task, namespace) = (promise.id(), promise.namespace().clone());
            let came = Came { bytes: output, worker, task, namespace };
            promise.complete(Late::new(came, decode::<J>));
        });
    }

    fn panic(&self, text: String) {
        self.end(move |promise| promise.panic(Box::new(text)));
    }

    fn cancel(&self) {
        self.end(Promise::cancel);
    }

    fn refuse(&self, fault: &Fault) {
        self.fail(RemoteFailure::Refused { kind: fault.kind(), why: fault.to_string() });
    }

    fn fail(&self, failure: RemoteFailure) {
        self.end(move |promise| end_failed(promise, failure));
    }
}

/// Decodes an output, on the thread that takes it.
fn decode<J: Job>(came: Came) -> Result<J::Output, TaskError> {
    let why = match catch_unwind(AssertUnwindSafe(|| job::decode(&came.bytes))) {
        Ok(Ok(output)) => return Ok(output),
        Ok(Err(why)) => why,
        Err(payload) => {
            let text = payload_text(&*payload).unwrap_or("(a payload that is no text)").to_string();
            swallow_drop(payload);
            format!("decoding it panicked: {text}")
        }
    };
    let failure = RemoteFailure::NotUnderstood { worker: came.worker.to_string(), why, ran: true };
    Err(TaskError::remote(came.task, &came.namespace, failure))
}

fn end_failed<T: Send + 'static>(promise: Promise<T>, failure: RemoteFailure) {
    let error = TaskError::remote(promise.id(), promise.namespace(), failure);
    promise.complete_with(Err(error));
}
