//! On a work-stealing pool code stands at the pool's owner, whoever asked for it and whatever rayon steals where; a
//! place comes along only in a carried closure.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use heirloom::{Heirloom, Lineage, PoolConfig, PoolManager, Scope, TaskId};
use rayon::prelude::*;

use crate::common::{self, bounded};

static REQUEST: Heirloom<u64> = Heirloom::new("request");

const REQUESTS: u64 = 8;
const ROUNDS: u64 = 40;

/// Each request asks from its own scope, all at once, for pieces that wait for pieces, so that much is stolen on top of
/// what waits.
fn many_requests(each: impl Fn(u64, &Scope, &PoolManager) + Send + Sync + 'static) -> Scope {
    let app = Scope::new("app");
    let pool = app.create("math");
    pool.start(PoolConfig::work_stealing(4)).expect("starts");
    let (each, start) = (Arc::new(each), Arc::new(Barrier::new(REQUESTS as usize)));
    let requests: Vec<_> = (0..REQUESTS)
        .map(|n| {
            let (each, start, pool, app) = (Arc::clone(&each), Arc::clone(&start), pool.clone(), app.lineage().clone());
            std::thread::spawn(move || {
                let request = app.run(|| Scope::new(format!("request {n}")));
                REQUEST.at(&request).bind(n).expect("the first here");
                start.wait();
                for _ in 0..ROUNDS {
                    request.run(|| each(n, &request, &pool));
                }
            })
        })
        .collect();
    for request in requests {
        request.join().expect("sees what it is to see");
    }
    assert_eq!(pool.stats().completed, REQUESTS * ROUNDS);
    app
}

/// Pieces of pieces; each one looks where it stands.
fn pieces(look: &(impl Fn() + Sync)) {
    (0..8).into_par_iter().for_each(|_| {
        look();
        rayon::join(
            || {
                look();
                std::hint::black_box((0..500).fold(0u64, |sum, n| sum.wrapping_mul(31) ^ n));
            },
            look,
        );
        look();
    });
}

#[test]
fn every_stolen_piece_stands_at_the_owner() {
    bounded(|| {
        let seen = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&seen);
        let app = many_requests(move |_, request, pool| {
            let owner = pool.owner().expect("it lives");
            let look = || {
                assert_eq!(heirloom::current(), owner);
                assert!(REQUEST.get().is_err(), "no request's value");
                assert_eq!(heirloom::task_id(), None::<TaskId>);
                assert!(!heirloom::is_cancelled());
                counts.fetch_add(1, Ordering::Relaxed);
            };
            pool.install(|| pieces(&look)).expect("runs");
            assert_eq!(heirloom::current(), *request.lineage(), "back at the request");
        });
        assert_eq!(seen.load(Ordering::Relaxed) as u64, REQUESTS * ROUNDS * 8 * 4);
        assert!(app.stop().expect("not from within").is_complete());
    });
}

#[test]
fn a_carried_closure_stands_at_its_place_and_nothing_else_does() {
    bounded(|| {
        let app = many_requests(|n, request, pool| {
            let owner = pool.owner().expect("it lives");
            let at = request.lineage();
            let looks = |_| {
                assert_eq!(heirloom::current(), *at);
                assert_eq!(REQUEST.get().map(|bound| *bound).expect("bound there"), n);
            };
            // Every other request brings its place along; nobody else sees it.
            let ran = if n % 2 == 0 {
                pool.install(|| {
                    (0..64).into_par_iter().for_each(at.carry(looks));
                    rayon::join(
                        || (0..64).into_par_iter().for_each(at.carry(looks)),
                        || assert_eq!(heirloom::current(), owner),
                    );
                })
            } else {
                pool.install(|| pieces(&|| assert_eq!(heirloom::current(), owner)))
            };
            ran.expect("runs");
        });
        assert!(app.stop().expect("not from within").is_complete());
    });
}

#[test]
fn a_panic_in_a_carried_closure_leaves_its_place() {
    bounded(|| {
        let app = Scope::new("app");
        let pool = app.create("math");
        pool.start(PoolConfig::work_stealing(2).log_panics(false)).expect("starts");
        let request = Scope::new("request");
        let at = request.lineage();
        for _ in 0..50 {
            let ran = pool.install(|| (0..64).into_par_iter().for_each(at.carry(|n| assert_ne!(n, 33))));
            assert!(ran.is_err_and(|error| error.is_panic()));
            let places = pool.install(|| rayon::broadcast(|_| heirloom::current())).expect("runs");
            assert!(places.iter().all(|place| place == app.lineage()), "{places:?}");
        }
    });
}

#[test]
fn a_cancelled_request_does_not_disturb_another() {
    bounded(|| {
        let app = many_requests(|n, request, pool| {
            let at = request.lineage();
            if n == 0 {
                request.cancel();
            }
            let heard = AtomicUsize::new(0);
            let hears = |_| _ = heirloom::checkpoint().map_err(|_| heard.fetch_add(1, Ordering::Relaxed));
            // From a cancelled request nothing is accepted any more.
            let owner = pool.owner().expect("it lives");
            let _outside = owner.enter();
            pool.install(|| (0..64).into_par_iter().for_each(at.carry(hears))).expect("the owner is not asked");
            assert_eq!(heard.load(Ordering::Relaxed), if n == 0 { 64 } else { 0 });
        });
        drop(app);
    });
}

#[test]
fn a_pool_of_a_request_stands_at_the_request() {
    bounded(|| {
        let request = Scope::new("request");
        request.create("io").start(PoolConfig::leased(1)).expect("starts");
        let pool = request.create("math");
        pool.start(PoolConfig::work_stealing(3)).expect("starts");
        let places: Vec<Lineage> =
            pool.install(|| (0..100).into_par_iter().map(|_| heirloom::current()).collect()).expect("runs");
        assert!(places.iter().all(|place| place == request.lineage()));
        let found = pool.install(|| (0..100).into_par_iter().all(|_| heirloom::get("io").is_ok())).expect("runs");
        assert!(found);
    });
}

#[test]
fn a_task_of_another_pool_does_not_run_on_its_threads() {
    bounded(|| {
        let app = Scope::new("app");
        let (math, io) = (app.create("math"), app.create("io"));
        math.start(PoolConfig::work_stealing(2)).expect("starts");
        io.start(PoolConfig::leased(2)).expect("starts");
        // In place it would stand below what rayon steals meanwhile.
        let threads =
            math.install(|| (std::thread::current().id(), io.run(|| std::thread::current().id()).expect("runs")));
        let (outer, inner) = threads.expect("runs");
        assert_ne!(outer, inner);
    });
}

#[test]
fn the_owners_end_refuses_and_keeps_nothing() {
    bounded(|| {
        let kept = std::thread::spawn(|| {
            let pool = heirloom::create("math"); // at this thread
            pool.start(PoolConfig::work_stealing(2)).expect("starts");
            pool.install(|| rayon::join(|| (), || ())).expect("runs");
            pool
        });
        let pool = kept.join().expect("ends well");
        // Its threads let the owner go soon after the last task.
        common::eventually("the owner has ended", || pool.owner().is_none());
        let refused = pool.install(|| ()).expect_err("nowhere to stand");
        assert!(
            matches!(refused.as_submit().map(heirloom::SubmitError::kind), Some(heirloom::SubmitErrorKind::OwnerEnded)),
            "{refused}"
        );
        assert!(pool.stop().expect("not from within").is_complete());
    });
}

#[test]
fn a_handles_deadline_is_not_that_of_the_running_code() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("pieces");
        pool.start(PoolConfig::work_stealing(1)).expect("it starts");
        // A piece of another task could run on top of this code.
        let task = pool.submit(heirloom::deadline).expect("accepted").timeout(std::time::Duration::from_secs(3600));
        assert_eq!(task.join().expect("it ran"), None);
    });
}
