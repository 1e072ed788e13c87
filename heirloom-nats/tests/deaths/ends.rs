//! The end of an origin, of its connection or of one of its scopes, and the pause of the server.

use heirloom::{ErrorKind, Scope};

use crate::common::LONG;
use crate::common::end::LEASE;
use crate::common::process::{Process, eventually};
use crate::world::{Once, World};

#[test]
fn a_paused_server_delays_and_loses_nothing() {
    let Some(world) = World::calm(4) else { return };
    let _worker = world.worker(4);
    let tasks: Vec<_> = (0..8).map(|number| world.pool.send(Once(world.nap(number, 50))).expect("accepted")).collect();
    world.server.pause();
    std::thread::sleep(LEASE / 2);
    world.server.go_on();
    assert!(tasks.into_iter().all(|task| task.join().expect("runs")));
    assert_eq!(world.log.count("begin"), 8);
}

#[test]
fn a_dropped_scope_stops_its_jobs_in_all_processes() {
    let Some(world) = World::calm(8) else { return };
    let _workers = [(); 2].map(|()| world.worker(4));
    let request = Scope::new_in(&world.scope, "request 7");
    let send = |number| request.run(|| world.pool.send(Once(world.nap(number, 60_000)))).expect("accepted");
    let tasks: Vec<_> = (0..8).map(send).collect();
    eventually("all have begun", || world.log.count("begin") == 8);
    drop(request);
    assert!(tasks.into_iter().all(|task| !task.join().expect("each returns early")));
    assert_eq!(world.log.count("cancel"), 8);
}

#[test]
fn a_closed_connection_ends_its_jobs() {
    let Some(world) = World::calm(1) else { return };
    let _worker = world.worker(1);
    let running = world.pool.send(Once(world.nap(0, 60_000))).expect("accepted");
    eventually("the job has begun", || world.log.count("begin") == 1);
    let waiting = world.pool.send(Once(world.nap(1, 0))).expect("accepted");
    assert!(world.nats.close(LONG));
    assert_eq!(running.join().expect_err("no word of it comes").kind(), ErrorKind::WorkerLost);
    assert_eq!(waiting.join().expect_err("it was not begun").kind(), ErrorKind::EngineFailed);
}

#[test]
fn the_jobs_of_a_killed_origin_are_cancelled() {
    let Some(world) = World::new(4) else { return };
    let _worker = world.worker(2);
    let origin = Process::start(&world.server, world.lease, "origin", &world.log.path().display().to_string());
    eventually("the job has begun", || world.log.count("begin") == 1);
    origin.kill();
    eventually("the job has stopped", || world.log.count("cancel") == 1);
    assert!(world.pool.send(Once(world.nap(1, 0))).expect("accepted").join().expect("another origin's job runs"));
}
