//! The server and two worker processes over a real `nats-server`.

use std::path::PathBuf;

use crate::server::{Family, Program, Server, eventually};

/// Returns whether this machine has a server, and says so if it has none.
fn has_server() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let there = std::env::var_os("NATS_SERVER").is_some() || folders.any(|folder| folder.join("nats-server").is_file());
    if !there {
        eprintln!("SKIPPED: no nats-server; install it, or set NATS_SERVER to its path");
    }
    there
}

#[test]
fn the_run_with_a_broker_passes() {
    if !has_server() {
        return;
    }
    let (said, well) = Program::start(&["--broker", "--rounds", "3"]).end();
    assert!(well, "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("worker ")).count(), 2, "{said}");
}

#[test]
fn each_process_shows_its_end_of_a_job() {
    if !has_server() {
        return;
    }
    let server = Server::start(&["--broker", "--limit", "600"]);
    let client = server.send("/thumb/glossary?times=18446744073709551615", &[]);
    let family = server.eventually("the job runs", |family| family.sum("thumbs", "running") == 1);
    assert!(family.path(|name| name == "GET /thumb/glossary").is_some());
    let remote = |family: &Family| family.path(|name| name.starts_with("GET /thumb/glossary @ "));
    let (worker, path) = eventually("a worker shows the request", || {
        server.workers.iter().find_map(|worker| Some((worker, remote(&Family::of(worker))?)))
    });
    assert_eq!(path[1], "serve \"thumbs\"", "{path:?}");
    drop(client);
    eventually("the worker has stopped the job", || {
        let family = Family::of(worker);
        (family.sum("thumbs-here", "running") == 0 && remote(&family).is_none()).then_some(())
    });
    let (said, well) = server.terminate();
    assert!(well, "{said}");
}
