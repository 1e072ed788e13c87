//! `thread::mark_shared`: code of a marked thread that was given no place stands at the process and owns nothing, on
//! every kind of thread. Tasks, and code in a place that was entered, keep theirs.

use std::sync::mpsc;
use std::thread;

use futures::executor::{ThreadPool, ThreadPoolBuilder};
use futures::task::SpawnExt;
use heirloom::{FutureExt, Heirloom, Lineage, NodeKind, PoolConfig, Registry, Scope, current, thread::mark_shared};

use crate::common::{alone, bounded};

static VALUE: Heirloom<u32> = Heirloom::new("value");

/// Where the code stands, and whether it can own anything there.
fn stands() -> (Lineage, bool) {
    let bound = VALUE.bind(1_u32).is_ok();
    if bound {
        VALUE.unbind();
    }
    (current(), bound)
}

fn nowhere() -> (Lineage, bool) {
    (Lineage::process(), false)
}

/// Alone, because rayon's global pool is built once in a process.
#[test]
fn the_jobs_of_rayons_global_pool_share_nothing() {
    alone(|| {
        let built = rayon::ThreadPoolBuilder::new().num_threads(2).start_handler(|_| mark_shared()).build_global();
        built.expect("it was not built before");
        let job = |user: u32| {
            let (answers, answer) = mpsc::channel();
            rayon::spawn(move || answers.send((VALUE.bind(user).is_ok(), VALUE.get().is_ok())).unwrap());
            answer.recv().unwrap()
        };
        assert!((0..100).all(|user| job(user) == (false, false)));
        let scope = Scope::new("request");
        VALUE.at(&scope).bind(7_u32).unwrap();
        let carried = scope.carry(|()| VALUE.get().map(|value| *value).ok());
        let (with, without) = rayon::join(|| carried(()), || rayon::broadcast(|_| stands()));
        assert_eq!(with, Some(7));
        assert!(without.iter().all(|place| *place == nowhere()), "{without:?}");
    });
}

#[test]
fn the_futures_of_another_executor_share_nothing() {
    bounded(|| {
        let pool: ThreadPool = ThreadPoolBuilder::new().pool_size(1).after_start(|_| mark_shared()).create().unwrap();
        let run = |future| futures::executor::block_on(pool.spawn_with_handle(future).unwrap());
        let places = async || {
            let before = stands();
            let mut yielded = false;
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut yielded, true) {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            })
            .await;
            [before, stands()]
        };
        assert_eq!(
            run(Box::pin(places()) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>),
            [nowhere(), nowhere()]
        );
        let scope = Scope::new("request");
        let own = (scope.lineage().clone(), true);
        assert_eq!(run(Box::pin(places().in_lineage(&scope))), [own.clone(), own]);
    });
}

#[test]
fn a_plain_thread_that_is_marked_is_no_node() {
    bounded(|| {
        let marked = thread::spawn(|| {
            mark_shared();
            mark_shared(); // changes nothing
            (stands(), heirloom::checkpoint().is_ok(), heirloom::sleep(std::time::Duration::ZERO).is_ok())
        });
        let id = marked.thread().id();
        assert_eq!(marked.join().unwrap(), (nowhere(), true, true));
        assert_eq!(Registry::global().thread(id), None);
    });
}

/// Alone, because a snapshot by another test holds the node for a moment.
#[test]
fn a_thread_that_is_a_node_is_left_by_its_code_and_lives_on() {
    alone(|| {
        let marked = thread::spawn(|| {
            let own = current();
            let pool = heirloom::create("own");
            pool.start(PoolConfig::leased(1)).unwrap();
            mark_shared();
            assert_eq!(stands(), nowhere());
            assert!(heirloom::get("own").is_err());
            assert!(own.get("own").is_ok_and(|found| found.is_same(&pool) && found.is_running()));
            assert_eq!(own.run(stands), (own.clone(), true));
            (own.id(), pool)
        });
        let (id, pool) = marked.join().unwrap();
        assert!(Registry::global().snapshot().node(id).is_none() && pool.owner().is_none(), "it went with its thread");
    });
}

#[test]
fn a_thread_of_ours_is_left_by_its_code() {
    bounded(|| {
        let scope = Scope::new("scope");
        let (marks, marked) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let thread = scope.run(|| {
            heirloom::thread::spawn(move || {
                let own = current();
                mark_shared();
                marks.send(()).unwrap();
                let _ = gone.recv();
                (stands(), own.kind(), own.parent(), heirloom::is_cancelled(), own.is_cancelled(), own)
            })
            .expect("a thread starts")
        });
        marked.recv().unwrap();
        thread.cancel();
        drop(go);
        let (stands, kind, parent, hears, is_asked, own) = thread.join().unwrap();
        assert_eq!((stands, kind, parent.as_ref()), (nowhere(), NodeKind::Thread, Some(scope.lineage())));
        assert_eq!((hears, is_asked), (false, true), "its node is asked, and its code does not stand there");
        assert_eq!(own.cancel(), heirloom::CancelOutcome::AlreadyFinished, "it ended with the thread");
    });
}

#[test]
fn a_task_keeps_its_place_and_so_do_those_after_it() {
    bounded(|| {
        let scope = Scope::new("scope");
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let pool = scope.create("work");
            pool.start(config).unwrap();
            let task = pool.submit(|| {
                mark_shared();
                (stands(), heirloom::task_id())
            });
            let ((own, bound), id) = task.unwrap().join().unwrap();
            assert_eq!((own.kind(), own.task_id(), bound), (NodeKind::Task, id, true));
            let ((next, bound), id) = pool.submit(|| (stands(), heirloom::task_id())).unwrap().join().unwrap();
            assert_eq!((next.kind(), next.task_id(), bound), (NodeKind::Task, id, true));
        }
    });
}

#[test]
fn a_place_that_was_entered_is_kept() {
    bounded(|| {
        thread::spawn(|| {
            let scope = Scope::new("scope");
            let own = (scope.lineage().clone(), true);
            let before = scope.enter();
            mark_shared();
            assert_eq!(stands(), own);
            drop(before);
            assert_eq!(stands(), nowhere());
            assert_eq!(scope.run(stands), own);
            assert_eq!(stands(), nowhere());
        })
        .join()
        .unwrap();
    });
}

/// Locals that end with their thread find neither the thread's node nor a second one.
#[test]
fn code_in_the_destructors_of_a_marked_threads_locals_owns_nothing() {
    struct Looks(mpsc::Sender<(Lineage, bool)>);
    impl Drop for Looks {
        fn drop(&mut self) {
            let _ = self.0.send(stands());
        }
    }
    thread_local!(static LOOKS: std::cell::RefCell<Option<Looks>> = const { std::cell::RefCell::new(None) });
    bounded(|| {
        let (looks, saw) = mpsc::channel();
        let marked = move || {
            LOOKS.set(Some(Looks(looks)));
            mark_shared();
        };
        heirloom::thread::spawn(marked).expect("a thread starts").join().unwrap();
        let (place, _) = saw.recv().unwrap();
        assert_eq!(place, Lineage::process());
        VALUE.at(&Lineage::process()).unbind();
    });
}

#[test]
fn an_error_recommends_what_this_build_has() {
    bounded(|| {
        let texts = thread::spawn(|| {
            mark_shared();
            [
                heirloom::create("io").start(PoolConfig::leased(1)).unwrap_err().to_string(),
                VALUE.bind(1_u32).unwrap_err().to_string(),
                heirloom::get("nowhere").unwrap_err().to_string(),
            ]
        });
        for text in texts.join().unwrap() {
            assert_eq!(text.contains("`heirloom::spawn`"), cfg!(feature = "tokio"), "{text}");
            assert_eq!(text.contains("`heirloom::wrap`"), !cfg!(feature = "tokio"), "{text}");
        }
    });
}
