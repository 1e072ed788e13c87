//! Queues: submitting, joining, cancelling queued tasks, refusals.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use heirloom::{LocalPool, PoolConfig, PoolManager, Registry, Scope, TaskHandle, TaskSet};

use super::super::judge::Row;
use super::super::measure::{best, of};
use super::tree::{chain, siblings};
use super::{at_most, constant, linear};

pub(super) const ROWS: &[Row] = &[
    constant("submit and join beside so many queued tasks", submit_beside),
    linear("submit so many tasks, then join them", flood),
    linear("submit and join below so many scopes", submit_below),
    linear("join a set of so many tasks", set),
    linear("join a set of so many tasks, each as it ends", set_of_work),
    linear("map so many items", map),
    linear("tasks of so many tenants in a fair pool", tenants),
    constant("cancel one task beside so many queued tasks", cancel_beside),
    constant("cancel the scope of one task beside so many queued tasks", cancel_scope_beside),
    linear("cancel so many tasks one by one, the oldest first", cancel_oldest_first),
    linear("cancel so many tasks one by one, the newest first", cancel_newest_first),
    linear("cancel a scope with so many queued tasks", cancel_scope),
    linear("cancel a scope above so many with a queued task each", cancel_above),
    constant("cancel one of so many scopes with a queued task each", cancel_sibling),
    constant("a full queue of so many refuses after a cancel", refuse_after_cancel),
    at_most(200, linear("so many running tasks give themselves names", names)),
];

/// A pool of the scope whose queue stays as it is: no thread runs it.
fn still(scope: &Scope, name: &'static str, config: PoolConfig) -> (PoolManager, LocalPool) {
    let pool = scope.create(name);
    let local = pool.start_local(config).expect("it starts");
    (pool, local)
}

fn started(scope: &Scope, config: PoolConfig) -> PoolManager {
    let pool = scope.create("pool");
    pool.start(config).expect("it starts");
    pool
}

fn fill(pool: &PoolManager, tasks: usize) -> Vec<TaskHandle<()>> {
    (0..tasks).map(|_| pool.submit(|| ()).expect("it is accepted")).collect()
}

fn submit_beside(tasks: usize) -> f64 {
    let scope = Scope::new("scope");
    let (queue, _local) = still(&scope, "still", PoolConfig::local());
    let pool = started(&scope, PoolConfig::leased(1));
    scope.run(|| {
        let _queued = fill(&queue, tasks);
        best(200, |_| pool.submit(|| ()).expect("it is accepted").join().expect("it ends well"))
    })
}

fn flood(tasks: usize) -> f64 {
    let scope = Scope::new("scope");
    let pool = started(&scope, PoolConfig::leased(1));
    let join_all = || fill(&pool, tasks).into_iter().for_each(|handle| handle.join().expect("it ends well"));
    of(join_all) / tasks as f64
}

fn submit_below(scopes: usize) -> f64 {
    let mut chain = chain(&Registry::new(), scopes);
    let pool = started(&chain[0], PoolConfig::leased(1));
    let round_trip = || pool.submit(|| ()).expect("it is accepted").join().expect("it ends well");
    let cost = chain[scopes].run(|| best(1.max(1_000 / scopes), |_| round_trip()));
    while chain.pop().is_some() {}
    cost / scopes as f64
}

fn set(tasks: usize) -> f64 {
    join_set(tasks, || ())
}

/// The joiner parks for most of the tasks.
fn set_of_work(tasks: usize) -> f64 {
    join_set(tasks, || {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_micros(10) {}
    })
}

fn join_set(tasks: usize, work: fn()) -> f64 {
    let scope = Scope::new("scope");
    let pool = started(&scope, PoolConfig::leased(1));
    let join_all = || {
        let mut set = TaskSet::new();
        (0..tasks).for_each(|_| set.push(pool.submit(work).expect("it is accepted")));
        while let Some(ended) = set.join_next() {
            drop(black_box(ended));
        }
    };
    of(join_all) / tasks as f64
}

fn map(items: usize) -> f64 {
    let scope = Scope::new("scope");
    let pool = started(&scope, PoolConfig::leased(1));
    of(|| assert_eq!(pool.map(0..items, |item| item).expect("it runs").count(), items)) / items as f64
}

fn tenants(tenants: usize) -> f64 {
    let family = Registry::new();
    let scope = Scope::new_in(&family.root(), "scope");
    let pool = started(&scope, PoolConfig::leased(1).fair());
    let tenants = siblings(&family, tenants);
    let (open, gate) = mpsc::channel::<()>();
    drop(pool.submit(move || gate.recv()).expect("it is accepted"));
    let of_each = |tenant: &Scope| tenant.run(|| pool.submit(|| ()).expect("it is accepted"));
    let all = || {
        let handles: Vec<_> = tenants.iter().map(of_each).collect();
        drop(open);
        handles.into_iter().for_each(|handle| handle.join().expect("it ends well"));
    };
    of(all) / tenants.len() as f64
}

fn cancel_beside(tasks: usize) -> f64 {
    let scope = Scope::new("scope");
    let (queue, _local) = still(&scope, "still", PoolConfig::local());
    let _queued = fill(&queue, tasks);
    best(5, |_| {
        let _ = queue.submit(|| ()).expect("it is accepted").cancel();
    })
}

fn cancel_scope_beside(tasks: usize) -> f64 {
    let scope = Scope::new("scope");
    let (queue, _local) = still(&scope, "still", PoolConfig::local());
    let _queued = fill(&queue, tasks);
    best(5, |_| {
        let request = Scope::new("request");
        drop(request.run(|| queue.submit(|| ())).expect("it is accepted"));
    })
}

fn cancel_all<'a>(handles: impl Iterator<Item = &'a TaskHandle<()>>) -> f64 {
    of(|| {
        for handle in handles {
            let _ = handle.cancel();
        }
    })
}

fn cancel_oldest_first(tasks: usize) -> f64 {
    let scope = Scope::new("scope");
    let (queue, _local) = still(&scope, "still", PoolConfig::local());
    let queued = fill(&queue, tasks);
    cancel_all(queued.iter()) / tasks as f64
}

fn cancel_newest_first(tasks: usize) -> f64 {
    let scope = Scope::new("scope");
    let (queue, _local) = still(&scope, "still", PoolConfig::local());
    let queued = fill(&queue, tasks);
    cancel_all(queued.iter().rev()) / tasks as f64
}

fn cancel_scope(tasks: usize) -> f64 {
    let scope = Scope::new("scope");
    let (queue, _local) = still(&scope, "still", PoolConfig::local());
    let request = Scope::new("request");
    let _queued = request.run(|| fill(&queue, tasks));
    of(|| request.cancel()) / tasks as f64
}

/// So many scopes below one, each with a queued task.
fn requests(queue: &PoolManager, above: &Scope, scopes: usize) -> Vec<Scope> {
    let request = |_| {
        let request = Scope::new_in(above, "request");
        drop(request.run(|| queue.submit(|| ())).expect("it is accepted"));
        request
    };
    (0..scopes).map(request).collect()
}

fn cancel_above(scopes: usize) -> f64 {
    let scope = Scope::new("scope");
    let (queue, _local) = still(&scope, "still", PoolConfig::local());
    let above = Scope::new("above");
    let _requests = requests(&queue, &above, scopes);
    of(|| above.cancel()) / scopes as f64
}

fn cancel_sibling(scopes: usize) -> f64 {
    let scope = Scope::new("scope");
    let (queue, _local) = still(&scope, "still", PoolConfig::local());
    let above = Scope::new("above");
    let mut requests = requests(&queue, &above, scopes + 50);
    best(5, |_| drop(requests.pop()))
}

fn refuse_after_cancel(tasks: usize) -> f64 {
    let scope = Scope::new("scope");
    let (queue, _local) = still(&scope, "still", PoolConfig::local().queue_limit(tasks));
    let mut queued = VecDeque::from(fill(&queue, tasks));
    best(5, |_| {
        let _ = queued.pop_back().expect("one is left").cancel();
        queued.push_front(queue.submit(|| ()).expect("the cancelled task left its capacity"));
        assert!(queue.submit(|| ()).is_err());
    })
}

fn names(tasks: usize) -> f64 {
    let scope = Scope::new("scope");
    let pool = started(&scope, PoolConfig::leased(tasks));
    let (named, all_named) = mpsc::channel();
    let barrier = Arc::new(Barrier::new(tasks));
    let handles: Vec<_> = (0..tasks)
        .map(|number| {
            let (named, barrier) = (named.clone(), Arc::clone(&barrier));
            let task = move || {
                barrier.wait();
                let cost = of(|| (0..10).for_each(|_| heirloom::name_task(format!("task {number}"))));
                named.send(cost / 10.0).expect("the bench listens");
                barrier.wait();
            };
            pool.submit(task).expect("it is accepted")
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().expect("it ends well"));
    drop(named);
    let mut costs: Vec<f64> = all_named.iter().collect();
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 4]
}
