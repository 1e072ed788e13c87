//! `queue_limit_each` bounds the queued tasks of one tenant: its tasks are refused by name, and the others' are accepted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::{Error, ErrorKind, Heirloom, PoolConfig, PoolManager, Scope, SubmitErrorKind, thread};

use crate::common::bounded;
use crate::common::pools::{Busy, block_on, started};

static TENANT: Heirloom<u32> = Heirloom::new("tenant");

const LONG: Duration = Duration::from_secs(600);

fn submit(at: &Scope, pool: &PoolManager) -> Result<heirloom::TaskHandle<()>, Error> {
    at.run(|| pool.submit(|| ()))
}

/// The limit and the tenant of a refusal for want of capacity.
fn refusal(error: Error) -> (usize, Option<String>) {
    match error.as_submit().map(|error| error.kind()) {
        Some(SubmitErrorKind::QueueFull { limit, tenant }) => (*limit, tenant.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tenant_at_its_limit_is_refused_by_name_and_others_are_not() {
    bounded(|| {
        for config in [PoolConfig::leased(1).fair(), PoolConfig::leased(1).fair().queue_limit(100).priorities(2)] {
            let app = Scope::new("test");
            let pool = started(&app, "work", config.queue_limit_each(2));
            let busy = Busy::on(&pool);
            let [noisy, quiet] = ["noisy", "quiet"].map(|name| Scope::new_in(&app, name));
            let below = Scope::new_in(&noisy, "request 7");
            let accepted = [submit(&noisy, &pool), submit(&below, &pool)];
            for at in [&noisy, &below] {
                let error = submit(at, &pool).expect_err("it has two");
                assert!(error.is_temporary() && error.to_string().contains("(2 tasks of scope"), "{error}");
                assert_eq!(refusal(error), (2, Some(noisy.to_string())));
            }
            let others = [submit(&quiet, &pool), submit(&app, &pool)];
            busy.end();
            for task in accepted.into_iter().chain(others) {
                task.expect("accepted").join().expect("runs");
            }
            submit(&noisy, &pool).expect("none is queued").join().expect("runs");
        }
    });
}

#[test]
fn the_whole_queue_has_its_limit_beside() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "work", PoolConfig::leased(1).fair_by(&TENANT).queue_limit(3).queue_limit_each(2));
        let busy = Busy::on(&pool);
        let tenants: Vec<Scope> = (0..3).map(|_| Scope::new_in(&app, "request")).collect();
        for (tenant, scope) in (0_u32..).zip(&tenants) {
            TENANT.at(scope.lineage()).bind(tenant).expect("the first");
        }
        let tasks = [0, 0, 1].map(|tenant| submit(&tenants[tenant], &pool).expect("accepted"));
        assert_eq!(refusal(submit(&tenants[2], &pool).expect_err("three are queued")), (3, None));
        let (limit, named) = refusal(submit(&tenants[0], &pool).expect_err("it has two"));
        assert_eq!((limit, named.is_some_and(|named| named.contains("request"))), (2, true));
        busy.end();
        tasks.into_iter().for_each(|task| task.join().expect("runs"));
        assert_eq!(pool.stats().refused, 2);
    });
}

#[test]
fn a_cancelled_task_is_counted_no_more() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "work", PoolConfig::leased(1).fair().queue_limit_each(1));
        let busy = Busy::on(&pool);
        let tenant = Scope::new_in(&app, "tenant");
        for _ in 0..3 {
            let task = submit(&tenant, &pool).expect("the one");
            assert!(submit(&tenant, &pool).is_err());
            task.cancel();
        }
        let request = Scope::new_in(&tenant, "request");
        let queued = submit(&request, &pool).expect("the one");
        request.cancel();
        assert!(queued.join().is_err() && submit(&tenant, &pool).is_ok());
        busy.end();
    });
}

#[test]
fn a_submitter_waits_for_its_own_tenants_capacity() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "work", PoolConfig::leased(1).fair().queue_limit_each(1));
        let busy = Busy::on(&pool);
        let [first, second] = ["first", "second"].map(|name| Scope::new_in(&app, name));
        let held = [&first, &second].map(|tenant| submit(tenant, &pool).expect("the one"));
        // The waiter that came first is of another tenant than the one whose capacity is released.
        let waits: Vec<_> = [&first, &second]
            .map(|tenant| {
                let pool = pool.clone();
                let wait = tenant.run(|| thread::spawn(move || pool.submit_timeout(|| (), LONG))).expect("starts");
                std::thread::sleep(Duration::from_millis(20));
                wait
            })
            .into();
        let asynchronous = second.run(|| {
            let pool = pool.clone();
            thread::spawn(move || block_on(pool.submit_async(|| ())))
        });
        let [of_first, of_second] = held;
        of_second.cancel();
        let (tell, told) = mpsc::channel();
        for wait in waits.into_iter().skip(1).chain([asynchronous.expect("starts")]) {
            let tell = tell.clone();
            std::thread::spawn(move || tell.send(wait.join().expect("no panic")));
        }
        // One of the two waiters of the second tenant has the capacity.
        let task = told.recv().expect("it is told").expect("accepted");
        task.cancel();
        let last = told.recv().expect("it is told").expect("accepted");
        drop((of_first, last));
        busy.end();
    });
}

#[test]
fn a_map_of_a_tenant_at_its_limit_goes_on_with_its_capacity() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "work", PoolConfig::leased(1).fair().queue_limit_each(2));
        let tenant = Scope::new_in(&app, "tenant");
        let sum = tenant.run(|| pool.map(0..100_u64, |n| n).expect("accepted").map(|n| n.expect("runs")).sum::<u64>());
        assert_eq!(sum, 4950);
        let busy = Busy::on(&pool);
        let held = [submit(&tenant, &pool), submit(&tenant, &pool)];
        let items = tenant.run(|| pool.map([1, 2, 3], |n| n)).expect("accepted");
        let polled = thread::spawn(move || {
            block_on(async move {
                let (mut items, mut sum) = (items, 0);
                while let Some(item) = items.next_async().await {
                    sum += item.expect("runs");
                }
                sum
            })
        });
        std::thread::sleep(Duration::from_millis(20));
        busy.end();
        assert_eq!(polled.expect("starts").join().expect("no panic"), 6);
        held.into_iter().for_each(|task| task.expect("accepted").join().expect("runs"));
    });
}

#[test]
fn under_races_no_submitter_is_held_up_and_all_capacity_comes_back() {
    const TENANTS: usize = 4;
    const TASKS: usize = 500;
    bounded(|| {
        let app = Arc::new(Scope::new("test"));
        let pool = started(&app, "work", PoolConfig::leased(2).fair().queue_limit(6).queue_limit_each(3));
        let ran = Arc::new(AtomicUsize::new(0));
        let producers: Vec<_> = (0..TENANTS * 2)
            .map(|producer| {
                let (app, pool, ran) = (Arc::clone(&app), pool.clone(), Arc::clone(&ran));
                std::thread::spawn(move || {
                    let tenant = Scope::new_in(&app, format!("tenant {}", producer % TENANTS));
                    tenant.run(|| {
                        for n in 0..TASKS {
                            let ran = Arc::clone(&ran);
                            let task = pool.submit_timeout(move || ran.fetch_add(1, Ordering::SeqCst), LONG);
                            if n % 7 == 0 {
                                task.expect("accepted").cancel();
                            }
                        }
                    });
                    assert!(tenant.stop().expect("from outside").is_complete());
                })
            })
            .collect();
        producers.into_iter().for_each(|producer| producer.join().expect("no panic"));
        let stats = pool.stats();
        assert_eq!(stats.completed + stats.cancelled, (TENANTS * 2 * TASKS) as u64);
        assert_eq!((ran.load(Ordering::SeqCst) as u64, stats.queued), (stats.completed, 0));
        // All capacity was released.
        let busy = [Busy::on(&pool), Busy::on(&pool)];
        let tenants: Vec<_> = (0..6).map(|n| Scope::new_in(&app, format!("tenant {n}"))).collect();
        let tasks: Vec<_> = tenants.iter().map(|tenant| submit(tenant, &pool).expect("accepted")).collect();
        assert_eq!(pool.submit(|| ()).expect_err("six are queued").kind(), ErrorKind::QueueFull);
        busy.into_iter().for_each(Busy::end);
        drop(tasks);
    });
}

#[test]
fn a_limit_without_tenants_is_refused() {
    bounded(|| {
        let app = Scope::new("test");
        for config in [PoolConfig::leased(1), PoolConfig::leased(1).priorities(2)] {
            let error = app.create("work").start(config.queue_limit_each(1)).expect_err("no tenants");
            assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("`fair_by`"), "{error}");
        }
        assert!(app.create("work").start(PoolConfig::leased(1).fair().queue_limit_each(0)).is_err());
    });
}
