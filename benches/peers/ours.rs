//! heirloom's contenders.

use std::hint::black_box;
use std::thread::sleep;
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};

use super::contest::{Contender, back_to_back};
use super::pool::{Pool, WORKERS, noop};
use super::rows::carry::in_batches;

/// A pool of borrowed threads.
pub(crate) struct Leased(PoolManager);

impl Leased {
    /// Maps so many items to nothing.
    pub(crate) fn map(&self, items: usize) {
        assert_eq!(self.0.map(0..items, |_| noop()).expect("it runs").count(), items);
    }

    /// Submits so many tasks at once, and then joins each in turn. Returns the nanoseconds of the submit, and of all.
    pub(crate) fn flood_at_once(&self, tasks: usize) -> (f64, f64) {
        timed_flood(|| self.0.submit_many((0..tasks).map(|_| noop)).expect("they are accepted"))
    }

    /// The same, one by one.
    pub(crate) fn flood_one_by_one(&self, tasks: usize) -> (f64, f64) {
        timed_flood(|| (0..tasks).map(|_| self.0.submit(noop).expect("it is accepted")).collect())
    }
}

fn timed_flood(submit: impl FnOnce() -> Vec<TaskHandle<()>>) -> (f64, f64) {
    let start = Instant::now();
    let handles = submit();
    let submitted = start.elapsed();
    handles.into_iter().for_each(|handle| handle.join().expect("it ends well"));
    (submitted.as_nanos() as f64, start.elapsed().as_nanos() as f64)
}

impl Pool for Leased {
    const NAME: &'static str = "heirloom leased";

    fn start() -> Self {
        Self(started("leased", PoolConfig::leased(WORKERS)))
    }

    fn round_trip(&self) {
        round_trip(&self.0);
    }

    fn flood(&self, tasks: usize) {
        flood(&self.0, tasks);
    }

    fn stop(self) {
        stop(&self.0);
    }
}

/// A pool of its own threads.
pub(crate) struct Dedicated(PoolManager);

impl Pool for Dedicated {
    const NAME: &'static str = "heirloom dedicated";

    fn start() -> Self {
        Self(started("dedicated", PoolConfig::dedicated(WORKERS)))
    }

    fn round_trip(&self) {
        round_trip(&self.0);
    }

    fn flood(&self, tasks: usize) {
        flood(&self.0, tasks);
    }

    fn stop(self) {
        stop(&self.0);
    }
}

fn started(name: &'static str, config: PoolConfig) -> PoolManager {
    let manager = heirloom::create(name);
    manager.start(config).expect("it starts");
    manager
}

fn round_trip(manager: &PoolManager) {
    manager.submit(noop).expect("it is accepted").join().expect("it ends well");
}

fn flood(manager: &PoolManager, tasks: usize) {
    let handles: Vec<TaskHandle<()>> = (0..tasks).map(|_| manager.submit(noop).expect("it is accepted")).collect();
    handles.into_iter().for_each(|handle| handle.join().expect("it ends well"));
}

fn stop(manager: &PoolManager) {
    assert!(manager.stop().expect("no task of its own asks").is_complete());
}

/// The depths of the look-up by `with`, and the names of the contenders.
pub(crate) const WITH: [(usize, &str); 3] =
    [(0, "heirloom with, depth 0"), (8, "heirloom with, depth 8"), (64, "heirloom with, depth 64")];

/// The depths of the look-up by `get`, and the names of the contenders.
pub(crate) const GET: [(usize, &str); 3] =
    [(0, "heirloom get, depth 0"), (8, "heirloom get, depth 8"), (64, "heirloom get, depth 64")];

/// Borrows a manager that belongs to a scope `depth` scopes above.
pub(crate) fn with(depth: usize, name: &str) -> Contender<'static> {
    let chain = chain(depth);
    Contender::new(name, move |n| {
        let _here = chain[depth].enter();
        back_to_back(n, || {
            let found = heirloom::with("render", |manager| {
                black_box(manager);
            });
            found.expect("an ancestor has it");
        })
    })
}

/// Clones the handle of a manager that belongs to a scope `depth` scopes above.
pub(crate) fn get(depth: usize, name: &str) -> Contender<'static> {
    let chain = chain(depth);
    Contender::new(name, move |n| {
        let _here = chain[depth].enter();
        back_to_back(n, || {
            black_box(heirloom::get("render").expect("an ancestor has it"));
        })
    })
}

/// The name of the contender that [`mix`] makes.
pub(crate) const MIX: &str = "heirloom with, in a server's mix";

/// Borrows managers on two threads, each in requests that create one: half of the look-ups find the request's own
/// manager, the others one of the process. The cost of the same requests without look-ups is taken off.
pub(crate) fn mix() -> Contender<'static> {
    const LOOK_UPS: u64 = 10;
    let shared = heirloom::create("io");
    Contender::new(MIX, move |n| {
        let requests = n.div_ceil(LOOK_UPS);
        let one_thread = || {
            let (mut with, mut without) = (Duration::ZERO, Duration::ZERO);
            for _ in 0..requests.div_ceil(64) {
                with += sixty_four_requests(LOOK_UPS);
                without += sixty_four_requests(0);
            }
            (with.as_nanos() as f64 - without.as_nanos() as f64) / (requests.next_multiple_of(64) * LOOK_UPS) as f64
        };
        assert!(shared.owner().is_some());
        std::thread::scope(|threads| {
            let other = threads.spawn(one_thread);
            let own = threads.spawn(one_thread).join().expect("it ends well");
            (own + other.join().expect("it ends well")) / 2.0
        })
    })
}

fn sixty_four_requests(look_ups: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..64 {
        let request = Scope::new("request");
        let _here = request.enter();
        black_box(request.create("render"));
        for look_up in 0..look_ups {
            let name = if look_up % 2 == 0 { "render" } else { "io" };
            let found = heirloom::with(name, |manager| {
                black_box(manager);
            });
            found.expect("the request or the process has it");
        }
    }
    start.elapsed()
}

/// A scope that owns the manager, and `depth` more, each below the one before.
fn chain(depth: usize) -> Vec<Scope> {
    let mut chain = vec![Scope::new("owner")];
    chain[0].create("render").start(PoolConfig::leased(WORKERS)).expect("it starts");
    for above in 0..depth {
        chain.push(Scope::new_in(&chain[above], "below"));
    }
    chain
}

/// The name of the contender that [`carry`] makes.
pub(crate) const CARRY: &str = "heirloom wrap and call";

/// Wraps tasks at one node and runs them at another.
pub(crate) fn carry() -> Contender<'static> {
    let (there, here) = (Scope::new("there"), Scope::new("here"));
    Contender::new(CARRY, move |n| {
        let _here = here.enter();
        let take = |carried: &mut Vec<_>, batch| {
            let _there = there.enter();
            carried.extend((0..batch).map(|_| heirloom::wrap(noop)));
        };
        in_batches(n, take, |task| task())
    })
}

/// A request that does nothing.
pub(crate) fn request_scope() {
    let scope = Scope::new("request");
    drop(scope.enter());
    scope.close();
}

/// Requests that are open at once, each with a pool of its own.
pub(crate) struct Requests {
    managers: Vec<PoolManager>,
    scopes: Vec<Scope>,
}

impl Requests {
    /// Opens so many; none has a manager yet.
    pub(crate) fn open(requests: usize) -> Self {
        let scopes = (0..requests).map(|_| Scope::new("request")).collect();
        // Touched, so that the vector's own pages do not count as the managers'.
        let mut managers = vec![heirloom::create("touch"); requests];
        managers.clear();
        Self { managers, scopes }
    }

    /// Warms the process: the things that it makes only once exist afterwards.
    pub(crate) fn warm_up(&self) {
        let warm = Leased::start();
        warm.round_trip();
        warm.stop();
    }

    /// Creates a manager in each request and starts it.
    pub(crate) fn start_managers(&mut self) {
        for scope in &self.scopes {
            let manager = scope.create("render");
            manager.start(PoolConfig::leased(WORKERS)).expect("it starts");
            self.managers.push(manager);
        }
    }

    /// Runs a task on each manager.
    pub(crate) fn use_managers(&self) {
        self.managers.iter().for_each(round_trip);
    }
}

/// Lets the threads of the process-wide cache end as soon as they are idle. Only for a process that measures nothing
/// else.
pub(crate) fn let_threads_end_early() {
    heirloom::threads::set_keep_alive(Duration::from_millis(1));
}

/// Waits until the process-wide cache has no thread left.
pub(crate) fn wait_for_threads_to_end() {
    let patience = Instant::now() + Duration::from_secs(3);
    while heirloom::threads::stats().live > 0 && Instant::now() < patience {
        sleep(Duration::from_millis(1));
    }
    // A thread leaves the cache a moment before it leaves the process.
    sleep(Duration::from_millis(50));
}
