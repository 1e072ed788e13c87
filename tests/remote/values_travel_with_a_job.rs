//! Values of keys that travel are found in a remote job.

use heirloom::remote::{Job, serve};
use heirloom::{ErrorKind, Heirloom, PoolConfig, Scope};
use serde::{Deserialize, Serialize};

use crate::common::bounded;
use crate::world::World;

static TENANT: Heirloom<String> = Heirloom::new("tenant").travels();
static HOME: Heirloom<String> = Heirloom::new("home");

#[derive(Serialize, Deserialize)]
struct Look;

impl Job for Look {
    const NAME: &'static str = "look";
    type Output = (Option<String>, Option<String>);

    fn run(self) -> Self::Output {
        let found = |key: &'static Heirloom<String>| key.get().ok().map(|value| value.as_str().to_owned());
        (found(&TENANT), found(&HOME))
    }
}

#[test]
fn a_copy_is_bound_at_the_job() {
    bounded(|| {
        let world = World::new();
        // The worker stands outside of the scope that has the values.
        let away = Scope::new("worker");
        let here = away.create("here");
        here.start(PoolConfig::leased(1)).expect("starts");
        let end = world.origin.another();
        let _serving = serve(end.queue("work"), &here).job::<Look>().value(&TENANT).start().expect("starts");
        let pool = world.pool(1);
        TENANT.at(&world.scope).bind(String::from("acme")).expect("open");
        HOME.at(&world.scope).bind(String::from("here")).expect("open");
        let seen = world.scope.run(|| pool.send(Look)).expect("accepted").join().expect("runs");
        assert_eq!(seen, (Some("acme".into()), None));
        let elsewhere = Scope::new_in(&world.scope, "globex");
        TENANT.at(&elsewhere).bind(String::from("globex")).expect("open");
        let seen = elsewhere.run(|| pool.send(Look)).expect("accepted").join().expect("runs");
        assert_eq!(seen.0.as_deref(), Some("globex"));
    });
}

#[test]
fn too_many_bytes_are_refused_at_once() {
    static LARGE: Heirloom<String> = Heirloom::new("large").travels();
    let world = World::new();
    let pool = world.pool(1);
    let error = LARGE.run_with("x".repeat(100_000), || pool.send(Look)).expect("open").expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::NotSendable);
    assert!(error.to_string().contains("\"large\""), "{error}");
}
