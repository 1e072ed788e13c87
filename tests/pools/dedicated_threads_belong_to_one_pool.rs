//! A dedicated pool has OS threads of its own: started as tasks arrive, named `prefix-0…`, with their own stack size,
//! used by no other pool, and ended with the pool, their thread-locals destroyed.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::common::pools::{Busy, started, this_thread, thread_name};
use crate::common::{self, pools};
use crate::common::{bounded, eventually};

fn all_at_once<T: Send + 'static>(pool: &PoolManager, n: usize, f: fn() -> T) -> Vec<T> {
    let together = Arc::new(Barrier::new(n));
    let tasks: Vec<_> = (0..n)
        .map(|_| {
            let together = together.clone();
            pool.submit(move || {
                together.wait();
                f()
            })
            .expect("accepted")
        })
        .collect();
    tasks.into_iter().map(|task| task.join().expect("runs")).collect()
}

#[test]
fn they_are_named_by_the_prefix_and_numbered_from_zero() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "gpu", PoolConfig::dedicated(3).thread_name_prefix("card"));
        let names: HashSet<_> = all_at_once(&pool, 3, thread_name).into_iter().collect();
        assert_eq!(names, HashSet::from(["card-0", "card-1", "card-2"].map(String::from)));
    });
}

#[test]
fn they_are_named_by_the_namespace_unless_told_otherwise() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "gpu", PoolConfig::dedicated(1));
        assert_eq!(pool.submit(thread_name).expect("accepted").join().expect("runs"), "gpu-0");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_thread_is_made_for_each_task_that_needs_one_and_none_before() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "lazy", PoolConfig::dedicated(8).thread_name_prefix("lazy"));
        assert_eq!(pools::threads_named("lazy-"), 0);
        let first = Busy::on(&pool);
        assert_eq!(pools::threads_named("lazy-"), 1);
        let second = Busy::on(&pool);
        assert_eq!(pools::threads_named("lazy-"), 2);
        first.end();
        second.end();
        assert!(pool.stop().expect("from outside").is_complete());
        // The system shows a thread for a moment after it has been joined.
        eventually("gone with the pool", || pools::threads_named("lazy-") == 0);
    });
}

#[test]
fn tasks_one_after_the_other_use_one_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::dedicated(1));
        let threads: HashSet<_> =
            (0..200).map(|_| pool.submit(this_thread).expect("accepted").join().expect("runs")).collect();
        assert_eq!(threads.len(), 1);
    });
}

#[test]
fn their_stack_is_as_large_as_asked() {
    fn use_stack(left: usize) -> u8 {
        let mut block = [0_u8; 64 << 10];
        // Not known to the compiler, so the block is really there.
        std::hint::black_box(&mut block);
        if left == 0 { block[7] } else { use_stack(left - 1) | block[left] }
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "deep", PoolConfig::dedicated(1).stack_size(64 << 20));
        // 20 MiB, ten times what a thread has by default.
        assert_eq!(pool.submit(|| use_stack(320)).expect("accepted").join().expect("runs"), 0);
    });
}

thread_local! {
    static OWNER: RefCell<Option<&'static str>> = const { RefCell::new(None) };
}

/// Says whose this thread is, and who was here before.
fn claim(name: &'static str) -> Option<&'static str> {
    OWNER.replace(Some(name))
}

#[test]
fn native_thread_locals_are_never_shared_between_pools() {
    bounded(|| {
        let scope = Scope::new("test");
        let names = ["a", "b", "c", "borrowed"];
        let pools: Vec<_> = names
            .iter()
            .map(|name| {
                let config = if *name == "borrowed" { PoolConfig::leased(4) } else { PoolConfig::dedicated(2) };
                started(&scope, name, config)
            })
            .collect();
        let mut tasks = Vec::new();
        for _ in 0..500 {
            for (pool, name) in pools.iter().zip(names) {
                tasks.push((name, pool.submit(move || claim(name)).expect("accepted")));
            }
        }
        for (name, task) in tasks {
            let before = task.join().expect("runs");
            assert!(before.is_none_or(|before| before == name), "{before:?} was on a thread of {name}");
        }
    });
}

#[test]
fn a_pool_of_the_same_name_has_other_threads() {
    bounded(|| {
        let mut seen = HashSet::new();
        for _ in 0..20 {
            let scope = Scope::new("test");
            let pool = started(&scope, "same", PoolConfig::dedicated(1));
            assert!(seen.insert(pool.submit(this_thread).expect("accepted").join().expect("runs")));
            assert!(pool.stop().expect("from outside").is_complete());
        }
    });
}

/// Tells when its thread's locals are destroyed.
struct LastWord(mpsc::Sender<String>);

impl Drop for LastWord {
    fn drop(&mut self) {
        let _ = self.0.send(thread_name());
    }
}

thread_local! {
    static LAST_WORD: RefCell<Option<LastWord>> = const { RefCell::new(None) };
}

fn leaves_last_word(pool: &PoolManager) -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel();
    pool.submit(move || LAST_WORD.set(Some(LastWord(tx)))).expect("accepted").join().expect("runs");
    rx
}

#[test]
fn thread_locals_are_destroyed_when_stop_returns() {
    bounded(|| {
        for _ in 0..100 {
            let scope = Scope::new("test");
            let pool = started(&scope, "own", PoolConfig::dedicated(1));
            let last_word = leaves_last_word(&pool);
            assert!(last_word.try_recv().is_err());
            assert!(pool.stop().expect("from outside").is_complete());
            assert!(last_word.try_recv().is_ok(), "stop returned before they were destroyed");
        }
    });
}

#[test]
fn thread_locals_are_destroyed_when_the_last_handle_goes() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "own", PoolConfig::dedicated(1));
        let last_word = leaves_last_word(&pool);
        drop(scope.remove("own"));
        drop(pool);
        last_word.recv().expect("its thread ends by itself");
    });
}

#[test]
fn thread_locals_are_destroyed_when_a_daemon_pool_closes() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "own", PoolConfig::dedicated(1).daemon());
        let last_word = leaves_last_word(&pool);
        pool.close();
        last_word.recv().expect("its thread ends by itself");
    });
}

#[test]
fn idle_threads_without_a_keep_alive_stay() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "own", PoolConfig::dedicated(1));
        let last_word = leaves_last_word(&pool);
        assert!(last_word.recv_timeout(Duration::from_millis(100)).is_err(), "it ended although nobody told it to");
        assert!(pool.submit(|| LAST_WORD.with_borrow(Option::is_some)).expect("accepted").join().expect("runs"));
    });
}

#[test]
fn idle_threads_with_a_keep_alive_end_and_the_next_task_brings_one_back() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "own", PoolConfig::dedicated(1).keep_alive(Duration::from_millis(1)));
        let mut seen = HashSet::new();
        for _ in 0..20 {
            let last_word = leaves_last_word(&pool);
            assert!(last_word.recv().expect("its thread ends by itself").starts_with("own-"));
            assert!(seen.insert(pool.submit(this_thread).expect("accepted").join().expect("runs")), "a new thread");
        }
        assert!(pool.stop().expect("from outside").is_complete());
    });
}

#[test]
fn at_most_n_exist_when_no_task_waits() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "few", PoolConfig::dedicated(2));
        let tasks: Vec<_> = (0..2_000).map(|_| pool.submit(this_thread).expect("accepted")).collect();
        let threads: HashSet<_> = tasks.into_iter().map(|task| task.join().expect("runs")).collect();
        assert!(threads.len() <= 2, "{} threads", threads.len());
    });
}

#[test]
fn extra_threads_for_waits_end_when_the_waits_do() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::dedicated(1));
        let (all_tx, all) = mpsc::channel();
        let mut gates = Vec::new();
        let mut last_words = Vec::new();
        for _ in 0..8 {
            let (go, gate) = mpsc::channel::<()>();
            let (last_tx, last_word) = mpsc::channel();
            let all_tx = all_tx.clone();
            drop(
                pool.submit(move || {
                    LAST_WORD.set(Some(LastWord(last_tx)));
                    heirloom::blocking(|| {
                        all_tx.send(()).expect("the test listens");
                        let _ = gate.recv();
                    });
                })
                .expect("accepted"),
            );
            gates.push(go);
            last_words.push(last_word);
        }
        for _ in 0..8 {
            all.recv().expect("all wait at once");
        }
        drop(gates);
        pool.wait_idle().expect("from outside");
        // All but one of them are above the limit now, so they end without being told.
        common::eventually("seven of eight ended", || {
            last_words.retain(|last_word| last_word.try_recv().is_err());
            last_words.len() == 1
        });
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("one is left"), 7);
    });
}

#[test]
fn a_thread_local_that_uses_its_own_pool_while_it_is_destroyed_does_no_harm() {
    struct Submits(PoolManager, mpsc::Sender<bool>);
    impl Drop for Submits {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.submit(|| ()).is_err());
        }
    }
    thread_local! {
        static SUBMITS: RefCell<Option<Submits>> = const { RefCell::new(None) };
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "own", PoolConfig::dedicated(1));
        let (tx, rx) = mpsc::channel();
        let inside = Submits(pool.clone(), tx);
        pool.submit(move || SUBMITS.set(Some(inside))).expect("accepted").join().expect("runs");
        assert!(pool.stop().expect("from outside").is_complete());
        assert!(rx.recv().expect("it was destroyed"), "a stopped pool refuses");
    });
}

#[test]
fn a_run_of_another_pool_does_not_use_them() {
    bounded(|| {
        let scope = Scope::new("test");
        let own = started(&scope, "own", PoolConfig::dedicated(1));
        let other = started(&scope, "other", PoolConfig::leased(1));
        let runs = own.submit(move || (this_thread(), other.run(this_thread).expect("runs"))).expect("accepted");
        let (own_thread, others_thread) = runs.join().expect("ends");
        assert_ne!(own_thread, others_thread);
    });
}
