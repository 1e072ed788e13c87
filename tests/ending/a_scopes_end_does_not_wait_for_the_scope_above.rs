//! What a task leaves behind, a scope's end too, is a part of the scopes that count the task still.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use heirloom::{Heirloom, PoolConfig, Scope, StopError};

use crate::common::bounded;
use crate::common::pools::started;

/// A value whose end stops another scope.
struct Stops(Arc<Scope>, Sender<Result<(), heirloom::Error>>);

impl Drop for Stops {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.stop().map(drop));
    }
}

static STOPS: Heirloom<Stops> = Heirloom::new("stops");

#[test]
fn the_last_task_ends_a_scope_whose_value_stops_the_one_above() {
    bounded(|| {
        for cancels in [false, true] {
            let outer = Arc::new(Scope::new("outer"));
            let inner = Scope::new_in(&outer, "inner");
            let (says, said) = mpsc::channel();
            STOPS.at(&inner).bind(Stops(Arc::clone(&outer), says)).expect("open");
            let elsewhere = Scope::new("elsewhere");
            let pool = started(&elsewhere, "work", PoolConfig::leased(1));
            let (go, goes) = mpsc::channel::<()>();
            let runs = elsewhere.run(|| pool.submit(move || goes.recv().is_ok())).expect("accepted");
            let task = inner.run(|| pool.submit(|| ())).expect("accepted");
            inner.close();
            if cancels {
                task.cancel();
                assert!(task.is_finished());
            } else {
                go.send(()).expect("it waits");
                assert!(task.join().is_ok());
            }
            // The task is counted by the outer one until the inner one has ended.
            let told = said.recv().expect("it says").expect_err("one of its own tasks");
            assert!(matches!(told.as_stop(), Some(StopError::FromOwnTask { .. })));
            drop(go);
            assert!(runs.join().is_ok());
            assert!(outer.stop().expect("from outside").is_complete());
        }
    });
}
