//! A job's node on its worker: below a scope that stands for the sender's, with its pools, its deadline and its span.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use heirloom::remote::{self, Job};
use heirloom::{Lineage, NodeKind, PoolConfig, PoolManager, Scope};
use serde::{Deserialize, Serialize};

use crate::common::{bounded, eventually};
use crate::world::World;

/// Where a job's code stands.
#[derive(Serialize, Deserialize, Debug)]
struct Place {
    /// The names of the scopes above, from the innermost on.
    scopes: Vec<String>,
    /// The id of the innermost one.
    id: u64,
    host: String,
    job: bool,
    finds_here: bool,
    has_deadline: bool,
}

#[derive(Serialize, Deserialize)]
struct Stands;

impl Job for Stands {
    const NAME: &'static str = "stands";
    type Output = Place;

    fn run(self) -> Place {
        let at = heirloom::current();
        let origin = at.origin().expect("a job has one");
        let scopes: Vec<Lineage> = at.ancestors().filter(|node| node.kind() == NodeKind::Scope).collect();
        Place {
            scopes: scopes.iter().map(|scope| scope.name().unwrap_or_default().to_string()).collect(),
            id: scopes[0].id().as_u64(),
            host: origin.host().to_string(),
            job: origin.job().is_some(),
            finds_here: heirloom::get("here").is_ok(),
            has_deadline: heirloom::remaining().is_some(),
        }
    }
}

/// A worker apart from the senders' scopes.
fn worker<J: Job>(world: &World) -> (Scope, PoolManager, remote::Serving) {
    let apart = Scope::new("worker");
    let here = apart.create("here");
    here.start(PoolConfig::leased(2)).expect("starts");
    let serving = remote::serve(world.origin.another().queue("work"), &here).job::<J>().start().expect("starts");
    (apart, here, serving)
}

#[test]
fn the_senders_scopes_stand_below_the_serving() {
    bounded(|| {
        let world = World::new();
        let (_apart, _here, _serving) = worker::<Stands>(&world);
        let pool = world.pool(1);
        let request = Scope::new_in(&world.scope, "request 7");
        let place = request.run(|| pool.send(Stands)).expect("accepted").join().expect("runs");
        let host = &place.host;
        let names = [format!("request 7 @ {host}"), format!("test @ {host}"), "serve \"work\"".into(), "worker".into()];
        assert_eq!(place.scopes, names);
        assert!(place.job && place.finds_here && !place.has_deadline, "{place:?}");
    });
}

#[test]
fn the_jobs_of_one_scope_share_it() {
    bounded(|| {
        let world = World::new();
        let (_apart, _here, _serving) = worker::<Stands>(&world);
        let pool = world.pool(2);
        let (one, other) = (Scope::new("request 7"), Scope::new("request 7"));
        let id = |scope: &Scope| scope.run(|| pool.send(Stands)).expect("accepted").join().expect("runs").id;
        assert_eq!(id(&one), id(&one));
        assert_ne!(id(&one), id(&other));
    });
}

#[test]
fn the_senders_deadline_is_the_jobs() {
    bounded(|| {
        let world = World::new();
        let (_apart, _here, _serving) = worker::<Stands>(&world);
        let pool = world.pool(1);
        let request = Scope::new("request 7");
        request.deadline(std::time::Instant::now() + Duration::from_secs(3600));
        assert!(request.run(|| pool.send(Stands)).expect("accepted").join().expect("runs").has_deadline);
    });
}

static MADE: OnceLock<PoolManager> = OnceLock::new();

#[derive(Serialize, Deserialize)]
struct Makes;

impl Job for Makes {
    const NAME: &'static str = "makes";
    type Output = bool;

    fn run(self) -> bool {
        let scope = heirloom::current().scope().expect("it stands in one");
        let pool = scope.get_or_create("io");
        let first = pool.start(PoolConfig::leased(1)).is_ok();
        drop(MADE.set(pool));
        first
    }
}

#[test]
fn a_pool_of_the_remote_scope_lives_as_long_as_the_request() {
    bounded(|| {
        let world = World::new();
        let (_apart, _here, _serving) = worker::<Makes>(&world);
        let pool = world.pool(1);
        let request = Scope::new("request 7");
        assert!(request.run(|| pool.send(Makes)).expect("accepted").join().expect("runs"));
        // The next job of the request finds it.
        assert!(!request.run(|| pool.send(Makes)).expect("accepted").join().expect("runs"));
        let made = MADE.get().expect("the job made it");
        assert!(made.is_running());
        assert!(request.stop().expect("stops").is_complete());
        drop(request);
        eventually("the pool has ended with the request", || !made.is_running());
    });
}

#[test]
fn a_dead_origins_scopes_are_dropped() {
    bounded(|| {
        let world = World::leased();
        let (_apart, _here, serving) = worker::<Stands>(&world);
        let pool = world.pool(1);
        let request = Scope::new("a dead request");
        request.run(|| pool.send(Stands)).expect("accepted").join().expect("runs");
        let has = || format!("{}", heirloom::Registry::global().tree()).contains("a dead request @");
        assert!(has());
        world.origin.kill();
        eventually("its scopes are dropped", || !has());
        assert!(!serving.is_closed());
    });
}

#[test]
fn the_span_of_a_job_names_its_origin() {
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    type Fields = Arc<Mutex<Vec<String>>>;
    struct Keeps(Fields);
    struct Text<'a>(&'a mut String);

    impl tracing::field::Visit for Text<'_> {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            use std::fmt::Write;
            let _ = write!(self.0, "{}={value:?} ", field.name());
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Keeps {
        fn on_new_span(&self, attrs: &tracing::span::Attributes<'_>, _: &tracing::Id, _: Context<'_, S>) {
            if attrs.metadata().name() == "remote_job" {
                let mut text = String::new();
                attrs.record(&mut Text(&mut text));
                self.0.lock().expect("no panic").push(text);
            }
        }
    }

    crate::common::alone(|| {
        let fields = Fields::default();
        let subscriber = tracing_subscriber::registry().with(Keeps(Arc::clone(&fields)));
        tracing::subscriber::set_global_default(subscriber).expect("the process has none");
        let world = World::new();
        let (_apart, _here, _serving) = worker::<Stands>(&world);
        let pool = world.pool(1);
        let request = Scope::new("request 7");
        request.run(|| pool.send(Stands)).expect("accepted").join().expect("runs");
        let fields = fields.lock().expect("no panic");
        assert_eq!(fields.len(), 1, "{fields:?}");
        for part in ["job=\"stands\"", "origin=request 7 @ ", "attempt=1", world.origin.process().as_str()] {
            assert!(fields[0].contains(part), "{part}: {fields:?}");
        }
    });
}
