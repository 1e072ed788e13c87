//! The rank of a task in a pool whose queue has an order, from the submitter's place.

use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::node::{Node, NodeRef, ScopeTrackers};
use crate::pool::config::order::{Fairness, Order};
use crate::pool::core::pool::Pool;
use crate::sync::unwind::swallow;
use crate::task::rank::Rank;

/// Returns the rank of a task that is submitted at `place`, with its own priority, if it has one. `None` for a pool that
/// starts its tasks first in, first out. Runs the user's function of [`fair_by`](crate::PoolConfig::fair_by).
#[inline]
pub(super) fn of(pool: &Pool, place: &NodeRef, priority: Option<u8>) -> Option<Rank> {
    let order = pool.config.rare().order.as_ref()?;
    Some(if pool.config.rare().detached {
        in_order(pool, order, &current::nearest(), priority)
    } else {
        in_order(pool, order, place, priority)
    })
}

/// As [`of`], for a task that will be submitted at `place` by code that stands there.
pub(crate) fn at(pool: &Pool, place: &NodeRef) -> Option<Rank> {
    Some(in_order(pool, pool.config.rare().order.as_ref()?, place, None))
}

#[inline(never)]
fn in_order(pool: &Pool, order: &Order, at: &NodeRef, priority: Option<u8>) -> Rank {
    let node = at.node();
    let level = match priority {
        _ if order.levels == 1 => 0,
        Some(level) => level,
        None => node.scopes().find_map(|scope| scope.share.priority()).unwrap_or(0),
    };
    let (tenant, weight) = match &order.fair {
        Fairness::Off => (0, None),
        Fairness::Scopes => with_outermost_scope(pool, node, |outermost| match outermost {
            Some((scope, trackers)) => (scope.id().as_u64(), trackers.share.weight()),
            None => (0, None),
        }),
        Fairness::By(tenant) => {
            let tenant = swallow(|| tenant.tenant(&Lineage(at.clone())));
            (tenant.unwrap_or(0), node.scopes().find_map(|scope| scope.share.weight()))
        }
    };
    Rank::new(level.min(order.levels - 1), weight.unwrap_or(1), tenant)
}

/// Lends the outermost scope at or above the node and below the pool's owner.
fn with_outermost_scope<R>(pool: &Pool, node: &Node, f: impl FnOnce(Option<(&Node, &ScopeTrackers)>) -> R) -> R {
    let owner = pool.owner.upgrade().unwrap_or(NodeRef::PROCESS);
    let out = f(node.scopes_beside(owner.node()).last());
    swallow(|| drop(owner));
    out
}

/// Returns the tenant of a submitter at `place`, for an error. `None` in a pool without tenants.
#[cold]
pub(super) fn tenant_in_words(pool: &Pool, place: &NodeRef) -> Option<String> {
    let order = pool.config.rare().order.as_ref()?;
    let nearest = pool.config.rare().detached.then(current::nearest);
    let at = nearest.as_ref().unwrap_or(place);
    match order.fair {
        Fairness::Off => None,
        Fairness::Scopes => Some(with_outermost_scope(pool, at.node(), |outermost| match outermost {
            Some((scope, _)) => scope.to_string(),
            None => String::from("code outside of all tenants' scopes"),
        })),
        Fairness::By(_) => Some(format!("the tenant of {}", at.node())),
    }
}
