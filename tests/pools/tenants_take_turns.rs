//! In a fair pool tenants take turns by weight, however many tasks one of them has queued.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use heirloom::{Heirloom, PoolConfig, PoolManager, Scope, TaskHandle};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

static TENANT: Heirloom<u32> = Heirloom::new("tenant");

/// The tenants of tasks, in the order of their starts.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn note(&self, tenant: char) -> impl FnOnce() + Send + 'static {
        let log = self.0.clone();
        move || log.lock().expect("no task panics").push(tenant)
    }

    fn order(&self) -> String {
        self.0.lock().expect("no task panics").clone()
    }

    fn submit(&self, at: &Scope, pool: &PoolManager, tenant: char, tasks: usize) {
        at.run(|| (0..tasks).for_each(|_| drop(pool.submit(self.note(tenant)).expect("accepted"))));
    }
}

/// Lets the queued tasks run, behind a busy one.
fn run_all(busy: Busy, pool: &PoolManager, log: &Log) -> String {
    busy.end();
    pool.wait_idle().expect("from outside");
    log.order()
}

fn tenants<const N: usize>(app: &Scope) -> [Scope; N] {
    std::array::from_fn(|i| Scope::new_in(app, format!("tenant {i}")))
}

#[test]
fn one_task_of_a_tenant_with_a_hundred_thousand_starts_before_anothers_single_task() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "one", PoolConfig::leased(1).fair());
        let [noisy, quiet] = tenants(&app);
        let begun = Arc::new(AtomicUsize::new(0));
        let busy = Busy::on(&pool);
        noisy.run(|| {
            for _ in 0..100_000 {
                let begun = begun.clone();
                drop(pool.submit(move || begun.fetch_add(1, Ordering::SeqCst)).expect("accepted"));
            }
        });
        let seen = begun.clone();
        let single = quiet.run(|| pool.submit(move || seen.load(Ordering::SeqCst))).expect("accepted");
        busy.end();
        assert_eq!(single.join().expect("runs"), 1);
        drop(noisy);
    });
}

#[test]
fn a_turn_starts_as_many_tasks_as_the_weight_says() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let (app, log) = (Scope::new("test"), Log::default());
            let pool = started(&app, "one", config.fair());
            let [a, b, c] = tenants(&app);
            a.weight(3);
            b.weight(2);
            let busy = Busy::on(&pool);
            log.submit(&a, &pool, 'a', 7);
            log.submit(&b, &pool, 'b', 3);
            log.submit(&c, &pool, 'c', 4);
            assert_eq!(run_all(busy, &pool, &log), "aaabbcaaabcacc");
        }
    });
}

#[test]
fn a_tenant_that_comes_later_waits_for_one_turn_of_each_other() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair());
        let [a, b, c] = tenants(&app);
        a.weight(2);
        let busy = Busy::on(&pool);
        log.submit(&a, &pool, 'a', 100);
        log.submit(&b, &pool, 'b', 100);
        log.submit(&c, &pool, 'c', 1);
        let order = run_all(busy, &pool, &log);
        assert_eq!(&order[..4], "aabc");
    });
}

#[test]
fn an_idle_tenant_saves_up_nothing() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair());
        let [a, b] = tenants(&app);
        log.submit(&a, &pool, 'a', 50);
        pool.wait_idle().expect("from outside");
        let busy = Busy::on(&pool);
        log.submit(&a, &pool, 'a', 3);
        log.submit(&b, &pool, 'b', 3);
        assert_eq!(&run_all(busy, &pool, &log)[50..], "ababab");
    });
}

#[test]
fn a_changed_weight_counts_from_the_next_submit_on() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair());
        let [a, b] = tenants(&app);
        a.weight(0);
        let busy = Busy::on(&pool);
        log.submit(&a, &pool, 'a', 1);
        a.weight(u16::MAX);
        log.submit(&b, &pool, 'b', 2);
        log.submit(&a, &pool, 'a', 4);
        assert_eq!(run_all(busy, &pool, &log), "abaaaab");
    });
}

#[test]
fn requests_of_one_tenant_share_its_turns() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair());
        let [a, b] = tenants(&app);
        let [first, second] = [0, 1].map(|_| Scope::new_in(&a, "request"));
        let busy = Busy::on(&pool);
        log.submit(&first, &pool, 'a', 2);
        log.submit(&second, &pool, 'a', 2);
        log.submit(&b, &pool, 'b', 2);
        log.submit(&app, &pool, '-', 2); // at the owner itself
        assert_eq!(run_all(busy, &pool, &log), "ab-ab-aa");
    });
}

#[test]
fn a_pools_tenants_are_the_scopes_below_its_owner() {
    bounded(|| {
        let (tenant, log) = (Scope::new("tenant"), Log::default());
        // A pool of the tenant's own: its requests take turns.
        let pool = started(&tenant, "one", PoolConfig::leased(1).fair());
        let [a, b] = tenants(&tenant);
        let busy = Busy::on(&pool);
        log.submit(&a, &pool, 'a', 3);
        log.submit(&b, &pool, 'b', 1);
        assert_eq!(run_all(busy, &pool, &log), "abaa");
    });
}

#[test]
fn a_detached_pools_tenants_are_its_submitters() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair().detached());
        let [a, b] = tenants(&app);
        let busy = Busy::on(&pool);
        log.submit(&a, &pool, 'a', 3);
        log.submit(&b, &pool, 'b', 1);
        assert_eq!(run_all(busy, &pool, &log), "abaa");
    });
}

#[test]
fn the_value_of_a_key_names_the_tenant() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair_by(&TENANT));
        let [a, b, c] = tenants(&app);
        for (scope, tenant) in [(&a, 7), (&b, 7), (&c, 8)] {
            TENANT.at(scope).bind(tenant).expect("bound");
        }
        let busy = Busy::on(&pool);
        log.submit(&a, &pool, 'a', 2);
        log.submit(&b, &pool, 'b', 2);
        log.submit(&c, &pool, 'c', 2);
        log.submit(&app, &pool, '-', 1); // no value is bound there
        assert_eq!(run_all(busy, &pool, &log), "ac-acbb");
    });
}

#[test]
fn a_function_names_the_tenant() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let by_name = |at: &heirloom::Lineage| at.scope().and_then(|scope| scope.name().map(str::to_owned));
        let pool = started(&app, "one", PoolConfig::leased(1).fair_by(by_name));
        let [a, b] = ["even", "odd"].map(|name| Scope::new_in(&app, name));
        let c = Scope::new_in(&app, "even");
        let busy = Busy::on(&pool);
        log.submit(&a, &pool, 'a', 2);
        log.submit(&c, &pool, 'c', 1);
        log.submit(&b, &pool, 'b', 2);
        assert_eq!(run_all(busy, &pool, &log), "ababc");
    });
}

#[test]
fn a_function_that_panics_refuses_nothing() {
    bounded(|| {
        let app = Scope::new("test");
        let pool =
            started(&app, "one", PoolConfig::leased(1).fair_by(|_: &heirloom::Lineage| -> u8 { panic!("no tenant") }));
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
    });
}

#[test]
fn cancelled_tasks_use_up_nothing_of_a_turn() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair());
        let [a, b] = tenants(&app);
        let busy = Busy::on(&pool);
        let gone: Vec<TaskHandle<()>> =
            a.run(|| (0..40).map(|_| pool.submit(log.note('x')).expect("accepted")).collect());
        log.submit(&a, &pool, 'a', 2);
        log.submit(&b, &pool, 'b', 50);
        for task in &gone {
            task.cancel();
        }
        let order = run_all(busy, &pool, &log);
        assert_eq!(&order[..4], "abab");
        assert!(!order.contains('x'));
    });
}

#[test]
fn an_ended_tenants_tasks_hold_up_no_other() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair());
        let [a, b] = tenants(&app);
        let busy = Busy::on(&pool);
        log.submit(&a, &pool, 'a', 1_000);
        log.submit(&b, &pool, 'b', 3);
        drop(a);
        assert_eq!(run_all(busy, &pool, &log), "bbb");
        assert_eq!(pool.stats().queued, 0);
    });
}

#[test]
fn turns_are_taken_within_a_level() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair().priorities(2));
        let [a, b] = tenants(&app);
        let batch = Scope::new_in(&a, "batch");
        batch.priority(1);
        let busy = Busy::on(&pool);
        log.submit(&batch, &pool, 'z', 2);
        log.submit(&a, &pool, 'a', 2);
        log.submit(&b, &pool, 'b', 2);
        assert_eq!(run_all(busy, &pool, &log), "ababzz");
    });
}

#[test]
fn a_map_of_one_tenant_leaves_turns_to_another() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).fair());
        let [a, b] = tenants(&app);
        let busy = Busy::on(&pool);
        let notes = log.clone();
        let map = a.run(|| pool.map(0..20, move |_: u32| notes.note('a')())).expect("accepted");
        log.submit(&b, &pool, 'b', 1);
        busy.end();
        assert_eq!(map.filter(Result::is_ok).count(), 20);
        pool.wait_idle().expect("from outside");
        assert_eq!(&log.order()[..2], "ab");
    });
}

#[test]
fn every_task_of_a_fair_pool_ends_once() {
    const PRODUCERS: usize = 4;
    const TASKS: usize = 3_000;
    bounded(|| {
        for config in [PoolConfig::leased(3), PoolConfig::dedicated(2), PoolConfig::leased(2).queue_limit(64)] {
            let app = Scope::new("test");
            let pool = started(&app, "many", config.fair().priorities(3));
            let ran = AtomicUsize::new(0);
            let ran = Arc::new(ran);
            let ended: usize = std::thread::scope(|threads| {
                let producers: Vec<_> = (0..PRODUCERS)
                    .map(|producer| {
                        let (app, pool, ran) = (&app, &pool, &ran);
                        threads.spawn(move || produce(app, pool, ran, producer, TASKS))
                    })
                    .collect();
                producers.into_iter().map(|thread| thread.join().expect("ends well")).sum()
            });
            pool.wait_idle().expect("from outside");
            let stats = pool.stats();
            assert_eq!((stats.queued, stats.running), (0, 0));
            assert_eq!(ended, PRODUCERS * TASKS);
            assert_eq!(stats.completed as usize, ran.load(Ordering::SeqCst));
            assert_eq!((stats.completed + stats.cancelled) as usize, PRODUCERS * TASKS);
            assert!(pool.stop().expect("from outside").is_complete());
        }
    });
}

/// Submits tasks of changing tenants and levels, cancels some, and joins all. Returns how many have ended.
fn produce(app: &Scope, pool: &PoolManager, ran: &Arc<AtomicUsize>, producer: usize, tasks: usize) -> usize {
    let mut ended = 0;
    let mut open = Vec::new();
    for n in 0..tasks {
        if n % 50 == 0 {
            let tenant = Scope::new_in(app, format!("tenant {producer}.{n}"));
            tenant.priority((n / 50 % 4) as u8);
            tenant.weight((n % 7) as u16);
            open.push((tenant, Vec::new()));
        }
        let (tenant, handles) = open.last_mut().expect("one is open");
        let ran = ran.clone();
        let note = move || {
            ran.fetch_add(1, Ordering::SeqCst);
        };
        let patient = std::time::Duration::from_secs(30);
        handles.push(tenant.run(|| pool.submit_timeout(note, patient)).expect("accepted"));
        if n % 50 == 49 {
            let (tenant, handles) = open.pop().expect("one is open");
            if n % 3 == 0 {
                tenant.cancel();
            }
            for task in handles.iter().step_by(5) {
                task.cancel();
            }
            ended += handles.into_iter().map(TaskHandle::join).count();
            tenant.finish();
        }
    }
    ended
}
