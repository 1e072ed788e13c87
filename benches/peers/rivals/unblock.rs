//! blocking: `unblock` and `block_on`, on its one pool of the process.

use std::num::NonZeroUsize;

use blocking::{set_max_blocking_threads, unblock};
use futures::executor::block_on;

use crate::suite::pool::{Pool, WORKERS, noop};

pub(crate) struct Blocking;

impl Pool for Blocking {
    const NAME: &'static str = "blocking";

    fn start() -> Self {
        set_max_blocking_threads(NonZeroUsize::new(WORKERS).expect("some workers"));
        Self
    }

    fn round_trip(&self) {
        block_on(unblock(noop));
    }

    fn flood(&self, tasks: usize) {
        let handles: Vec<_> = (0..tasks).map(|_| unblock(noop)).collect();
        block_on(async {
            for handle in handles {
                handle.await;
            }
        });
    }

    fn stop(self) {
        // The pool of the process never ends, so no row measures its end.
    }
}
