//! The error of a worker's initialiser panics when it is dropped: whoever was told of it takes that panic, and no
//! worker does.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use heirloom::{PoolConfig, Scope};

use crate::common::{bounded, eventually};

#[derive(Debug)]
struct Bad;

impl Drop for Bad {
    fn drop(&mut self) {
        panic!("a drop that panics");
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad")
    }
}

impl Error for Bad {}

#[test]
fn the_pool_works_once_an_initialiser_succeeds() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        let fails = AtomicBool::new(true);
        let config = PoolConfig::dedicated(1);
        let config =
            config.on_worker_start(move |_| if fails.swap(false, Ordering::SeqCst) { Err(Bad) } else { Ok(()) });
        pool.start(config).expect("no thread is there yet");
        eventually("a worker is ready", || {
            let ran = pool.submit(|| 7).map(|task| task.join());
            let seven = matches!(ran, Ok(Ok(7)));
            // The error may be the last to hold the initialiser's.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(ran)));
            seven
        });
        assert_eq!(pool.stop().expect("from outside").completed, 1);
    });
}
