//! However many pieces of one task wait in heirloom, that task is one: the limit of threads holds, and no more wait
//! than there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use heirloom::{PoolConfig, Scope, threads};

use crate::common::pools::{Busy, started};
use crate::common::{alone, eventually};

/// The pieces that wait, beside the one that the task itself has.
const WAITING: usize = 3;

#[test]
fn the_limit_holds_while_many_pieces_of_one_task_wait() {
    alone(|| {
        threads::set_limit(1);
        let scope = Scope::new("test");
        let math = started(&scope, "math", PoolConfig::work_stealing(1 + WAITING));
        let (inside, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (waiting, open) = (Arc::clone(&inside), Arc::clone(&go));
        let until_open = move || {
            while !open.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        };
        let task = math.submit(move || {
            rayon::scope(|pieces| {
                for _ in 0..WAITING {
                    pieces.spawn(|_| {
                        waiting.fetch_add(1, Ordering::SeqCst);
                        heirloom::blocking(&until_open);
                    });
                }
                // Here is none of them.
                until_open();
            });
        });
        eventually("all pieces have begun", || inside.load(Ordering::SeqCst) == WAITING);
        eventually("all pieces wait", || threads::stats().waiting > WAITING);
        let stats = threads::stats();
        assert_eq!((stats.live, stats.waiting), (1 + WAITING, 1 + WAITING), "{stats:?}");

        // One more thread may be at work, which is at work now; and no other.
        let io = started(&scope, "io", PoolConfig::leased(3));
        let busy = Busy::on(&io);
        let others = [io.submit(|| ()).expect("accepted"), io.submit(|| ()).expect("accepted")];
        let stats = threads::stats();
        assert_eq!(stats.live - stats.waiting, 1, "{stats:?}");
        busy.end();
        go.store(true, Ordering::SeqCst);
        for other in others {
            other.join().expect("runs");
        }
        task.expect("accepted").join().expect("runs");
        eventually("nobody works", || math.stats().running == 0);
    });
}
