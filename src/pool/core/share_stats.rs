//! The running and queued tasks of a pool by level and tenant, for its reports.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::HashMap;

use crate::pool::core::pool::Pool;
use crate::pool::report::ShareStats;

/// So many shares are reported.
const MOST: usize = 16;
/// So many tasks are looked at that no worker has sorted in yet.
const MOST_UNSORTED: usize = 10_000;

/// Returns the largest shares of a pool whose queue has an order. Costs one lock of the queue, during which it looks at each tenant
/// that has queued tasks.
pub(crate) fn of(pool: &Pool) -> Vec<ShareStats> {
    if pool.config.rare().order.is_none() {
        return Vec::new();
    }
    // By level and tenant: running and queued.
    let counts: RefCell<HashMap<(usize, usize), (usize, usize)>> = RefCell::default();
    pool.queue.by_rank(
        MOST_UNSORTED,
        &mut |level, tenant, tasks| counts.borrow_mut().entry((level, tenant)).or_default().1 += tasks,
        &mut |stats| {
            let mut counts = counts.borrow_mut();
            stats.ranks().for_each(|rank| counts.entry((rank.level(), rank.tenant())).or_default().0 += 1);
        },
    );
    let share = |((level, tenant), (running, queued))| ShareStats {
        level: level as u8,
        tenant: tenant as u64,
        running,
        queued,
    };
    let mut shares: Vec<ShareStats> = counts.into_inner().into_iter().map(share).collect();
    shares.sort_unstable_by_key(|share| (Reverse(share.running + share.queued), share.level, share.tenant));
    shares.truncate(MOST);
    shares
}
