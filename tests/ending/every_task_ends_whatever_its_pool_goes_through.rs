//! Whatever many threads do to a few pools at once (submit, join, run, wait, cancel, close, stop, start again), every
//! accepted task ends, every handle resolves, every closure is dropped, and the pools can be stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle, TaskSet};

use crate::common::{self, bounded};

/// Enough of a random number for choosing what to do next; the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What was accepted, and what a body or a drop has seen of it.
#[derive(Default)]
struct Books {
    alive: AtomicUsize,
    resolved: AtomicUsize,
    accepted: AtomicUsize,
}

/// Held by each closure.
struct Token(Arc<Books>);

impl Token {
    fn new(books: &Arc<Books>) -> Self {
        books.alive.fetch_add(1, Ordering::SeqCst);
        Self(books.clone())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a task does: now and then it uses the pools itself.
fn body(pools: &[PoolManager], books: &Arc<Books>, seed: u64, depth: u32) -> u64 {
    let mut dice = Dice(seed | 1);
    let pool = &pools[dice.below(pools.len() as u64) as usize];
    if depth == 0 {
        return seed;
    }
    match dice.below(9) {
        0 => {
            if let Some(handle) = submit(pools, pool, books, seed, depth - 1) {
                resolve(books, handle);
            }
        }
        1 => {
            if let Some(handle) = submit(pools, pool, books, seed, depth - 1) {
                match handle.join_timeout(Duration::from_micros(dice.below(200))) {
                    Ok(_) => {
                        books.resolved.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(handle) => resolve(books, handle),
                }
            }
        }
        2 => heirloom::blocking(std::thread::yield_now),
        3 => {
            let _ = pool.run(|| body(pools, books, seed, depth - 1));
        }
        4 => {
            pool.scope(|s| {
                for _ in 0..3 {
                    let token = Token::new(books);
                    drop(s.submit(move || {
                        let _token = token;
                        body(pools, books, seed, depth - 1)
                    }));
                }
            });
        }
        5 => {
            let mut set = TaskSet::new();
            set.extend((0..3).filter_map(|i| submit(pools, pool, books, seed + i, depth - 1)));
            while set.join_next().is_some() {
                books.resolved.fetch_add(1, Ordering::SeqCst);
            }
        }
        6 => {
            if let Some(handle) = submit(pools, pool, books, seed, depth - 1) {
                handle.cancel();
                resolve(books, handle);
            }
        }
        7 => {
            if let Some(handle) = submit(pools, pool, books, seed, depth - 1) {
                // The executor is none of heirloom's; its wait is said to be one.
                let _ = heirloom::blocking(|| crate::common::pools::block_on(handle));
                books.resolved.fetch_add(1, Ordering::SeqCst);
            }
        }
        _ => {}
    }
    seed
}

fn submit(
    pools: &[PoolManager],
    pool: &PoolManager,
    books: &Arc<Books>,
    seed: u64,
    depth: u32,
) -> Option<TaskHandle<u64>> {
    let token = Token::new(books);
    let (pools, inner) = (pools.to_vec(), books.clone());
    let handle = pool.submit(move || {
        let _token = token;
        body(&pools, &inner, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), depth)
    });
    let handle = handle.ok()?;
    books.accepted.fetch_add(1, Ordering::SeqCst);
    Some(handle)
}

fn resolve(books: &Books, handle: TaskHandle<u64>) {
    let _ = handle.join();
    books.resolved.fetch_add(1, Ordering::SeqCst);
}

fn storm(configs: &[PoolConfig], restarts: bool, rounds: u64) {
    let scope = Scope::new("storm");
    let pools: Vec<_> = configs
        .iter()
        .enumerate()
        .map(|(i, config)| {
            let pool = scope.create(i as u64);
            pool.start(config.clone()).expect("starts");
            pool
        })
        .collect();
    let books = Arc::new(Books::default());
    std::thread::scope(|threads| {
        for seed in 1..=4_u64 {
            let (pools, books) = (&pools, &books);
            threads.spawn(move || {
                let mut dice = Dice(seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
                for round in 0..rounds {
                    let at = dice.below(pools.len() as u64) as usize;
                    let pool = &pools[at];
                    match dice.below(if restarts { 40 } else { 20 }) {
                        0..=9 => {
                            if let Some(handle) = submit(pools, pool, books, round + seed, 3) {
                                resolve(books, handle);
                            }
                        }
                        10..=14 => {
                            let handles: Vec<_> =
                                (0..dice.below(20)).filter_map(|i| submit(pools, pool, books, round + i, 2)).collect();
                            for handle in handles {
                                resolve(books, handle);
                            }
                        }
                        15 => {
                            let _ = pool.run(|| body(pools, books, round, 2));
                        }
                        16..=19 => {
                            let _ = body(pools, books, round * 7 + seed, 3);
                        }
                        20 => {
                            let _ = pool.stop().expect("from outside");
                            let _ = pool.start(configs[at].clone());
                        }
                        21 => {
                            pool.cancel();
                            let _ = pool.start(configs[at].clone());
                        }
                        22 => {
                            pool.close();
                            pool.wait_idle().expect("from outside");
                            let _ = pool.start(configs[at].clone());
                        }
                        _ => {
                            let _ = pool.start(configs[at].clone());
                        }
                    }
                }
            });
        }
    });
    for pool in &pools {
        let report = pool.stop().expect("from outside");
        assert_eq!(report.remaining, 0, "{report}");
        let stats = pool.stats();
        assert_eq!((stats.running, stats.waiting, stats.queued), (0, 0, 0), "{stats:?}");
    }
    let report = scope.stop().expect("from outside");
    assert!(report.is_complete(), "{report}");
    assert_eq!(books.accepted.load(Ordering::SeqCst), books.resolved.load(Ordering::SeqCst));
    // The last of a closure goes on its worker a moment after the handle resolves.
    common::eventually("every closure is dropped", || books.alive.load(Ordering::SeqCst) == 0);
}

#[test]
fn tasks_of_narrow_leased_pools_end() {
    bounded(|| storm(&[PoolConfig::leased(1), PoolConfig::leased(1), PoolConfig::leased(2)], false, 1_500));
}

#[test]
fn tasks_of_narrow_leased_pools_that_start_again_end() {
    bounded(|| storm(&[PoolConfig::leased(1), PoolConfig::leased(1), PoolConfig::leased(2)], true, 1_500));
}

#[test]
fn tasks_of_dedicated_pools_that_start_again_end() {
    bounded(|| storm(&[PoolConfig::dedicated(1), PoolConfig::dedicated(2)], true, 600));
}

#[test]
fn tasks_of_dedicated_pools_whose_idle_threads_end_end() {
    bounded(|| {
        storm(
            &[PoolConfig::dedicated(1).keep_alive(Duration::ZERO), PoolConfig::dedicated(2).keep_alive(Duration::ZERO)],
            false,
            600,
        );
    });
}

#[test]
fn tasks_of_daemon_pools_with_bounded_queues_end() {
    bounded(|| {
        storm(
            &[
                PoolConfig::leased(1).queue_limit(2),
                PoolConfig::leased(2).daemon(),
                PoolConfig::dedicated(1).daemon().queue_limit(3),
            ],
            true,
            1_000,
        );
    });
}

#[test]
fn tasks_of_a_serial_pool_end() {
    bounded(|| storm(&[PoolConfig::leased(1).holds_permit()], true, 1_000));
}

#[test]
fn tasks_of_pools_that_hardly_give_places_away_end() {
    bounded(|| storm(&[PoolConfig::leased(1).max_blocked(0)], true, 1_000));
}
