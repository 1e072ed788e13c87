//! With the feature `tokio`: ten thousand futures and jobs on every kind of runtime and in every kind of `spawn`.
//!
//! A part of them is in scopes and behind the layer. None stands at a wrong node, finds another's value, or leaves a value
//! or a pool with a thread of its runtime.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heirloom::{FutureExt, Heirloom, Lineage, NodeKind, PoolConfig, Registry, Scope, current};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, spawn_blocking, spawn_local, yield_now};

use crate::common::bounded;

static USER: Heirloom<u64> = Heirloom::new("user");
const OWN: &str = "a future's own pool";

/// The errors, and the number of looks.
#[derive(Default)]
struct Tally {
    wrong: AtomicU64,
    looks: AtomicU64,
}

impl Tally {
    fn look(&self, is_right: bool) {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.wrong.fetch_add(u64::from(!is_right), Ordering::Relaxed);
    }

    /// The current node, and the values and managers found there.
    fn here(&self, at: &Lineage, user: Option<u64>) {
        self.look(current() == *at && USER.get().map(|user| *user).ok() == user);
    }

    /// Checks that no value and no manager is bound, created or found by accident.
    fn owns_nothing(&self, user: u64) {
        self.look(USER.bind(user).is_err());
        self.look(heirloom::create(OWN).start(PoolConfig::leased(1)).is_err());
        self.look(heirloom::get(OWN).is_err());
    }
}

/// Without a node of its own: at the process, at every `.await`.
async fn placeless(tally: Arc<Tally>, user: u64) {
    for _ in 0..4 {
        tally.here(&Lineage::process(), None);
        tally.owns_nothing(user);
        yield_now().await;
    }
    tally.here(&Lineage::process(), None);
}

/// In a scope of its own, with a user and a pool of its own, at every `.await`. Its spawned futures inherit them.
async fn scoped(tally: Arc<Tally>, at: Lineage, user: u64) {
    USER.bind(user).unwrap();
    let own = heirloom::create(OWN);
    own.start(PoolConfig::leased(1)).unwrap();
    for _ in 0..4 {
        tally.here(&at, Some(user));
        tally.look(heirloom::get(OWN).is_ok_and(|found| found.is_same(&own)));
        yield_now().await;
    }
    let task = own.submit(|| USER.get().map(|user| *user).ok()).unwrap();
    tally.look(task.await.unwrap() == Some(user));
    tally.here(&at, Some(user));
}

fn in_a_scope(tally: &Arc<Tally>, user: u64) -> impl Future<Output = ()> + Send + use<> {
    let scope = Scope::new(format!("request {user}"));
    let at = scope.lineage().clone();
    scoped(Arc::clone(tally), at, user).in_scope(scope)
}

/// A job, and the future that it drives.
fn job(tally: &Tally, user: u64) {
    tally.here(&Lineage::process(), None);
    tally.owns_nothing(user);
    let scope = Scope::new("job");
    scope.run(|| {
        USER.bind(user).unwrap();
        tally.here(&scope, Some(user));
    });
    tally.here(&Lineage::process(), None);
}

/// One held guard across each `.await`.
async fn entered(tally: Arc<Tally>, user: u64) {
    let scope = Scope::new("entered");
    USER.at(&scope).bind(user).unwrap();
    tally.here(&Lineage::process(), None);
    let _at = scope.enter();
    for _ in 0..4 {
        yield_now().await;
        tally.here(&scope, Some(user));
    }
}

async fn joined(all: Vec<tokio::task::JoinHandle<()>>) {
    for one in all {
        one.await.unwrap();
    }
}

fn runtimes() -> [Runtime; 3] {
    let many = |workers| Builder::new_multi_thread().worker_threads(workers).build().unwrap();
    [Builder::new_current_thread().build().unwrap(), many(1), many(4)]
}

/// A value or a pool that belongs to a thread.
fn left_with_a_thread() -> usize {
    let managers = Registry::global().managers().into_iter();
    managers.filter(|manager| manager.owner().is_some_and(|owner| owner.kind() == NodeKind::Thread)).count()
}

fn is_right(tally: &Tally, at_least: u64) {
    let (wrong, looks) = (tally.wrong.load(Ordering::Relaxed), tally.looks.load(Ordering::Relaxed));
    assert_eq!(wrong, 0, "of {looks} looks");
    assert!(looks >= at_least, "only {looks} looks");
}

#[test]
fn spawned_futures_and_blocking_jobs() {
    bounded(|| {
        let tally = Arc::new(Tally::default());
        for runtime in runtimes() {
            runtime.block_on(async {
                let mut all = Vec::new();
                for user in 0..1000 {
                    all.push(tokio::spawn(placeless(Arc::clone(&tally), user)));
                    all.push(tokio::spawn(in_a_scope(&tally, user)));
                    if user % 10 == 0 {
                        let own = Arc::clone(&tally);
                        all.push(spawn_blocking(move || job(&own, user)));
                    }
                }
                joined(all).await;
            });
        }
        is_right(&tally, 60_000);
        assert_eq!(left_with_a_thread(), 0);
    });
}

#[test]
fn futures_of_a_local_set() {
    bounded(|| {
        let tally = Arc::new(Tally::default());
        let runtime = Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let mut all = Vec::new();
            for user in 0..1000 {
                all.push(spawn_local(placeless(Arc::clone(&tally), user)));
                all.push(spawn_local(in_a_scope(&tally, user)));
                all.push(spawn_local(entered(Arc::clone(&tally), user)));
            }
            joined(all).await;
        });
        is_right(&tally, 30_000);
        assert_eq!(left_with_a_thread(), 0);
    });
}

#[cfg(feature = "tower")]
#[test]
fn requests_behind_the_layer() {
    use std::convert::Infallible;
    use std::task::{Context, Poll};

    use heirloom::tower::ScopeLayer;
    use tower_layer::Layer;
    use tower_service::Service;

    /// Answers after a few turns, at the layer's scope. Its tokio spawns stand at the process.
    #[derive(Clone)]
    struct Answers(Arc<Tally>);

    impl Service<u64> for Answers {
        type Response = http::Response<()>;
        type Error = Infallible;
        type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, user: u64) -> Self::Future {
            let (tally, at) = (Arc::clone(&self.0), current());
            tally.look(at.kind() == NodeKind::Scope);
            let lost = placeless(Arc::clone(&tally), user);
            Box::pin(async move {
                let lost = tokio::spawn(lost);
                scoped(tally, at, user).await;
                lost.await.unwrap();
                Ok(http::Response::new(()))
            })
        }
    }

    bounded(|| {
        let tally = Arc::new(Tally::default());
        for runtime in runtimes() {
            let service = ScopeLayer::new().layer(Answers(Arc::clone(&tally)));
            runtime.block_on(async {
                let mut all = Vec::new();
                for user in 0..400 {
                    let mut service = service.clone();
                    all.push(tokio::spawn(async move { drop(service.call(user).await.unwrap()) }));
                }
                joined(all).await;
            });
        }
        is_right(&tally, 20_000);
        assert_eq!(left_with_a_thread(), 0);
    });
}
