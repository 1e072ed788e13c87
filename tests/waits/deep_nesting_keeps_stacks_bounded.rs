//! Tasks that wait for tasks that wait for tasks do not overflow a stack, also in a pool of one, and where stacks do not
//! grow: there a deep one leaves the next task to another thread.

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::common::bounded;

/// Far deeper than one thread's stack holds, less than the bounds on waiting tasks allow.
const DEPTH: u32 = 3000;

fn pool_of_one(scope: &Scope) -> PoolManager {
    let pool = scope.create("one");
    pool.start(PoolConfig::leased(1)).expect("starts");
    pool
}

#[test]
fn nested_joins_keep_stacks_bounded() {
    fn deep(pool: &PoolManager, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let next = pool.clone();
        pool.submit(move || deep(&next, n - 1)).expect("accepted").join().expect("ends") + 1
    }
    bounded(|| {
        let scope = Scope::new("test");
        assert_eq!(deep(&pool_of_one(&scope), DEPTH), DEPTH);
    });
}

#[test]
fn nested_borrowing_scopes_keep_stacks_bounded() {
    fn deep(pool: &PoolManager, n: u32) -> u32 {
        let mut below = 0;
        if n > 0 {
            pool.scope(|s| drop(s.submit(|| below = deep(pool, n - 1) + 1).expect("accepted")));
        }
        below
    }
    bounded(|| {
        let scope = Scope::new("test");
        assert_eq!(deep(&pool_of_one(&scope), DEPTH), DEPTH);
    });
}
