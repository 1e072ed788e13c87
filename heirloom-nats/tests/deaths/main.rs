//! What the death of a process, or of the server, does to jobs. Workers and one origin are processes of their own: this same
//! program, started again.

#![cfg(unix)]

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part of the helpers")]
#[path = "../common/mod.rs"]
mod common;

mod ends;
mod memory;
mod soak;
mod workers;
mod world;

use common::process::{Log, Process, park_for_ever};
use heirloom::{PoolConfig, remote};

use crate::world::{Again, Nap, Once, open};

/// The part of a child process. The harness runs it in each run, where it has nothing to do.
#[test]
fn a_child_plays_its_part() {
    let Some(([part, argument, url], lease)) = Process::part() else { return };
    let nats = open(&url, lease);
    let here = heirloom::create("work");
    if part == "origin" {
        here.start(PoolConfig::remote(4, nats.queue("work"))).expect("starts");
        let nap = Nap { log: Log::at(&argument), number: 0, millis: 60_000 };
        let _task = here.send(Once(nap)).expect("accepted");
        park_for_ever();
    }
    here.start(PoolConfig::leased(argument.parse().expect("a number of permits"))).expect("starts");
    let _serving = remote::serve(nats.queue("work"), &here).job::<Once>().job::<Again>().start().expect("serves");
    park_for_ever();
}
