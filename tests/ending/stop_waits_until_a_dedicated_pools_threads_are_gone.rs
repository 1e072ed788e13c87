//! When any form of `stop` says that a dedicated pool has ended, its threads have exited and their thread-locals are
//! destroyed.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope};

use crate::common::bounded;

struct Last {
    dying: mpsc::Sender<()>,
    may_die: mpsc::Receiver<()>,
    dead: Arc<AtomicBool>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let _ = self.dying.send(());
        let _ = self.may_die.recv();
        self.dead.store(true, Ordering::SeqCst);
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

struct Native {
    scope: Scope,
    pool: PoolManager,
    dying: mpsc::Receiver<()>,
    let_die: mpsc::Sender<()>,
    dead: Arc<AtomicBool>,
}

/// A pool whose one thread has a thread-local that takes as long to destroy as the test wants.
fn native() -> Native {
    let scope = Scope::new("test");
    let pool = scope.create("native");
    pool.start(PoolConfig::dedicated(1)).expect("starts");
    let (dying_tx, dying) = mpsc::channel();
    let (let_die, may_die) = mpsc::channel();
    let dead = Arc::new(AtomicBool::new(false));
    let last = Last { dying: dying_tx, may_die, dead: dead.clone() };
    pool.submit(|| LAST.set(Some(last))).expect("accepted").join().expect("runs");
    Native { scope, pool, dying, let_die, dead }
}

/// Whoever stops returns only after the thread-local is gone.
fn returns_after_the_thread(stops: usize, stop: impl Fn(&Scope, &PoolManager) + Send + Sync + 'static) {
    let Native { scope, pool, dying, let_die, dead } = native();
    let (scope, stop) = (Arc::new(scope), Arc::new(stop));
    let (done_tx, done) = mpsc::channel();
    for _ in 0..stops {
        let (scope, pool, stop, done, dead) =
            (scope.clone(), pool.clone(), stop.clone(), done_tx.clone(), dead.clone());
        std::thread::spawn(move || {
            stop(&scope, &pool);
            let _ = done.send(dead.load(Ordering::SeqCst));
        });
    }
    dying.recv().expect("the thread ends with its pool");
    // Nobody may return while the thread still dies; a moment is enough to catch one who does not wait.
    let too_early = done.recv_timeout(Duration::from_millis(100));
    let_die.send(()).expect("the thread-local listens");
    assert!(too_early.is_err(), "stop returned while the pool's thread was still there");
    for _ in 0..stops {
        assert!(done.recv().expect("stop returns"), "stop returned before the thread was gone");
    }
}

#[test]
fn a_stop_waits_for_the_threads() {
    bounded(|| returns_after_the_thread(1, |_, pool| assert!(pool.stop().expect("from outside").is_complete())));
}

#[test]
fn each_of_several_stops_waits_for_the_threads() {
    bounded(|| returns_after_the_thread(3, |_, pool| assert!(pool.stop().expect("from outside").is_complete())));
}

#[test]
fn a_bounded_stop_waits_for_the_threads_while_it_has_time() {
    bounded(|| {
        returns_after_the_thread(1, |_, pool| {
            let report = pool.stop_timeout(Duration::from_secs(50)).expect("from outside");
            assert!(report.is_complete());
        });
    });
}

#[test]
fn an_async_stop_waits_for_the_threads() {
    bounded(|| {
        returns_after_the_thread(1, |_, pool| {
            let report = futures::executor::block_on(pool.stop_async()).expect("from outside");
            assert!(report.is_complete());
        });
    });
}

#[test]
fn a_stop_of_the_owning_scope_waits_for_the_threads() {
    bounded(|| returns_after_the_thread(1, |scope, _| assert!(scope.stop().expect("from outside").is_complete())));
}
