//! Maps and streams on a work-stealing pool end, also when a task of the same pool reads them between parallel loops.

use heirloom::{Error, PoolConfig, Scope, StreamSender};
use rayon::prelude::*;

use crate::common::bounded;
use crate::common::pools::started;

fn count(out: &StreamSender<u64>) -> Result<(), Error> {
    (0..200).try_for_each(|n| out.send(n))
}

#[test]
fn its_tasks_map_over_their_own_pool() {
    bounded(|| {
        let scope = Scope::new("test");
        for threads in 1..=2 {
            let pool = started(&scope, "math", PoolConfig::work_stealing(threads));
            let own = pool.clone();
            let sum = move || -> Result<u64, Error> {
                let ordered: u64 = own.map(0..50, |n| n)?.sum::<Result<_, _>>()?;
                let unordered: u64 = own.map_unordered(0..50, |n| n)?.sum::<Result<_, _>>()?;
                let tried: u64 = own.try_map(0..50, Ok::<u64, Error>).sum::<Result<_, _>>()?;
                Ok(ordered + unordered + tried)
            };
            assert_eq!(pool.call(sum).join().expect("all end"), 3 * 1225);
        }
    });
}

#[test]
fn its_tasks_read_from_their_own_pool_between_parallel_loops() {
    bounded(|| {
        let scope = Scope::new("test");
        for threads in 1..=2 {
            let pool = started(&scope, "math", PoolConfig::work_stealing(threads));
            for _ in 0..20 {
                let own = pool.clone();
                let sum = move || -> Result<u64, Error> {
                    let mut sum = 0;
                    for item in own.stream_with_capacity(1, count)? {
                        sum += item? + (0..32_u64).into_par_iter().map(|n| n - n).sum::<u64>();
                    }
                    Ok(sum)
                };
                assert_eq!(pool.call(sum).join().expect("all are sent"), 19_900);
            }
        }
    });
}

#[test]
fn another_pools_task_reads_from_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let math = started(&scope, "math", PoolConfig::work_stealing(2));
        let other = started(&scope, "other", PoolConfig::leased(1));
        let sum = move || -> Result<u64, Error> { math.stream_with_capacity(1, count)?.sum() };
        assert_eq!(other.call(sum).join().expect("all are sent"), 19_900);
    });
}
