//! A pool with priorities or fair turns counts its running and queued tasks by level and tenant.

use heirloom::{Heirloom, PoolConfig, PoolManager, Registry, Scope, ShareStats, TaskHandle};

use crate::common::pools::{Busy, started};
use crate::common::{bounded, eventually};

static TENANT: Heirloom<u32> = Heirloom::new("tenant");

fn queue(at: &Scope, pool: &PoolManager, tasks: usize) -> Vec<TaskHandle<()>> {
    at.run(|| (0..tasks).map(|_| pool.submit(|| ()).expect("accepted")).collect())
}

/// Level, tenant, running, queued.
fn shares(pool: &PoolManager) -> Vec<(u8, u64, usize, usize)> {
    pool.stats()
        .shares
        .iter()
        .map(|share: &ShareStats| (share.level, share.tenant, share.running, share.queued))
        .collect()
}

#[test]
fn of_scopes_and_levels() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "work", PoolConfig::leased(2).fair().priorities(2));
        let [a, b] = ["a", "b"].map(|name| Scope::new_in(&app, name));
        b.priority(1);
        let [of_a, of_b] = [&a, &b].map(|scope| scope.id().as_u64());
        let busy = [a.run(|| Busy::on(&pool)), b.run(|| Busy::on(&pool))];
        assert_eq!(shares(&pool), [(0, of_a, 1, 0), (1, of_b, 1, 0)]);
        let mut queued = [queue(&a, &pool, 3), queue(&b, &pool, 5), queue(&app, &pool, 1)];
        assert_eq!(shares(&pool), [(1, of_b, 1, 5), (0, of_a, 1, 3), (0, 0, 0, 1)]);
        // A worker sorts the queue.
        let [of_tenant_a, of_tenant_b] = busy;
        of_tenant_a.end();
        eventually("the first level has run", || shares(&pool).iter().all(|share| share.0 == 1 && share.1 == of_b));
        of_tenant_b.end();
        queued.iter_mut().flat_map(std::mem::take).for_each(|task| task.join().expect("runs"));
        eventually("the last worker has noted its end", || shares(&pool).is_empty());
    });
}

#[test]
fn of_sorted_tasks_and_in_snapshots() {
    bounded(|| {
        let family = Registry::new();
        let app = Scope::new_in(&family.root(), "test");
        let pool = started(&app, "work", PoolConfig::leased(1).fair_by(&TENANT));
        let request = Scope::new_in(&app, "request");
        TENANT.at(request.lineage()).bind(7_u32).expect("the first");
        let first = Busy::on(&pool);
        // The next one of the same tenant is busy, too, once a worker has sorted the others.
        let (tell, told) = std::sync::mpsc::channel();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let second = pool.submit(move || (tell.send(()), gate.recv())).expect("accepted");
        let queued = queue(&request, &pool, 4);
        first.end();
        told.recv().expect("it runs");
        let seen = shares(&pool);
        assert_eq!(seen.iter().map(|share| (share.2, share.3)).collect::<Vec<_>>(), [(0, 4), (1, 0)]);
        let [tenant, other] = [seen[0].1, seen[1].1];
        assert!(tenant != other && tenant != 0);
        let snapshot = family.snapshot();
        let node = snapshot.node(app.id()).expect("it is alive");
        assert_eq!(node.managers[0].stats.shares, pool.stats().shares);
        go.send(()).expect("it waits");
        drop((second, queued));
    });
}

#[test]
fn of_the_largest_tenants_only() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "work", PoolConfig::leased(1).fair());
        let busy = Busy::on(&pool);
        let tenants: Vec<Scope> = (1..=40).map(|n| Scope::new_in(&app, format!("tenant {n}"))).collect();
        let tasks: Vec<_> = tenants.iter().zip(1..).map(|(tenant, tasks)| queue(tenant, &pool, tasks)).collect();
        let seen = shares(&pool);
        assert_eq!(seen.iter().map(|share| share.3).collect::<Vec<_>>(), (25..=40).rev().collect::<Vec<_>>());
        assert_eq!(seen[0].1, tenants[39].id().as_u64());
        busy.end();
        drop(tasks);
    });
}

#[test]
fn not_where_tasks_start_first_in_first_out() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let tasks = queue(&app, &pool, 3);
        assert!(shares(&pool).is_empty());
        busy.end();
        drop(tasks);
    });
}
