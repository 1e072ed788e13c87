//! A key of a `HeirloomMap`, or an error that it remembers, whose `Drop` panics when its place ends: the panic goes no
//! further. The pool whose task stood there goes on, and what else was bound there is let go.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heirloom::{Heirloom, HeirloomMap, OnFailure, PoolConfig, Scope};

use crate::common::bounded;
use crate::common::pools::started;

/// Panics when it is dropped, once that is switched on.
#[derive(Clone, Debug)]
struct Bad(Arc<AtomicBool>);

impl Bad {
    fn new() -> (Self, Arc<AtomicBool>) {
        let on = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&on)), on)
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        assert!(!self.0.load(Ordering::SeqCst), "a drop that panics");
    }
}

impl PartialEq for Bad {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Bad {}

impl std::hash::Hash for Bad {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad")
    }
}

impl Error for Bad {}

#[test]
fn the_pool_whose_task_stood_there_goes_on() {
    bounded(|| {
        static MAP: HeirloomMap<Bad, u32> = HeirloomMap::new("map");
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        for _ in 0..2 {
            let binds = pool.submit(|| {
                let (key, on) = Bad::new();
                MAP.bind(key, 1_u32).expect("binds");
                on.store(true, Ordering::SeqCst);
            });
            binds.expect("accepted").join().expect("runs");
        }
        assert_eq!(pool.stop().expect("from outside").completed, 2);
    });
}

#[test]
fn what_else_was_bound_there_is_let_go() {
    bounded(|| {
        static KEYS: HeirloomMap<Bad, u32> = HeirloomMap::new("keys");
        static FAILURES: HeirloomMap<u32, u32> = HeirloomMap::new("failures").on_failure(OnFailure::Sticky);
        static LAST: Heirloom<Arc<()>> = Heirloom::new("last");
        let scope = Scope::new("test");
        let (bad, on) = Bad::new();
        KEYS.at(&scope).bind(bad.clone(), 1_u32).expect("binds");
        let failed = scope.run(|| FAILURES.at(&scope).get_or_try_init(&1, || Err(bad)));
        drop(failed.expect_err("it is remembered"));
        let witness = Arc::new(());
        LAST.at(&scope).bind(Arc::clone(&witness)).expect("binds");
        on.store(true, Ordering::SeqCst);
        let _ = scope.stop();
        assert_eq!(Arc::strong_count(&witness), 1);
    });
}
