//! The path of the sender, and its trace, reach each hop.

use heirloom::remote::{Job, TraceContext, serve};
use heirloom::{PoolConfig, Scope};
use serde::{Deserialize, Serialize};

use crate::common::bounded;
use crate::world::World;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Where a job stands: the names of the origin's scopes, and its headers.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Standing {
    path: Vec<String>,
    headers: Vec<(String, String)>,
}

fn standing() -> Standing {
    let origin = heirloom::current().origin().expect("a job has one");
    let headers = TraceContext::current();
    Standing {
        path: origin.path().map(String::from).collect(),
        headers: headers.iter().map(|(key, value)| (key.into(), value.into())).collect(),
    }
}

#[derive(Serialize, Deserialize)]
struct Where;

impl Job for Where {
    const NAME: &'static str = "where";
    type Output = Standing;

    fn run(self) -> Standing {
        standing()
    }
}

/// Sends [`Where`] on from a scope of its own.
#[derive(Serialize, Deserialize)]
struct Further;

impl Job for Further {
    const NAME: &'static str = "further";
    type Output = (Standing, Standing);

    fn run(self) -> Self::Output {
        let part = Scope::new("part 2");
        let next = part.run(|| heirloom::get("second").expect("the worker has it").send(Where)).expect("accepted");
        (standing(), next.join().expect("runs"))
    }
}

#[test]
fn each_hop_has_the_whole_path_and_the_first_headers() {
    bounded(|| {
        let world = World::new();
        let pool = world.pool(1);
        let (middle, at_middle) = (world.origin.another(), Scope::new("middle"));
        let here = at_middle.create("here");
        here.start(PoolConfig::leased(1)).expect("starts");
        at_middle.create("second").start(PoolConfig::remote(1, middle.queue("deeper"))).expect("starts");
        let _serving = serve(middle.queue("work"), &here).job::<Further>().start().expect("starts");
        let (last, at_last) = (world.origin.another(), Scope::new("last"));
        let there = at_last.create("there");
        there.start(PoolConfig::leased(1)).expect("starts");
        let _last = serve(last.queue("deeper"), &there).job::<Where>().start().expect("starts");

        let request = Scope::new_in(&world.scope, "request 7");
        let mut context = TraceContext::new();
        context.set("traceparent", PARENT);
        context.set("baggage", "tenant=acme");
        context.bind_at(&request).expect("open");
        let (first, second) = request.run(|| pool.send(Further)).expect("accepted").join().expect("runs");
        assert_eq!(first.path, ["test", "request 7"]);
        assert_eq!(second.path, ["test", "request 7", "part 2"]);
        let headers =
            [("traceparent", PARENT), ("baggage", "tenant=acme")].map(|(key, value)| (key.into(), value.into()));
        assert_eq!([first.headers, second.headers], [headers.to_vec(), headers.to_vec()]);
    });
}

#[test]
fn a_job_outside_of_any_scope_has_an_empty_path() {
    bounded(|| {
        let world = World::new();
        let away = Scope::new("worker");
        let here = away.create("here");
        here.start(PoolConfig::leased(1)).expect("starts");
        let _serving = serve(world.origin.another().queue("work"), &here).job::<Where>().start().expect("starts");
        let pool = world.pool(1);
        let seen = pool.send(Where).expect("accepted").join().expect("runs");
        assert_eq!(seen, Standing { path: vec![], headers: vec![] });
    });
}
