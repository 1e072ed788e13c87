//! With the feature `serde`: the JSON of a snapshot, its parts and the reports is that of their docs, to the letter.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Namespace, PoolConfig, Registry, Scope, Snapshot, TaskType};
use serde_json::{Value, json};

use crate::common::{self, bounded};

/// Replaces each age and each remaining time, which differ from run to run, by whether it is a number.
fn without_ages(mut snapshot: Value) -> Value {
    for node in snapshot["nodes"].as_array_mut().expect("a list") {
        node["remaining_seconds"] = json!(node["remaining_seconds"].is_number());
        for manager in node["managers"].as_array_mut().expect("a list") {
            let oldest = &mut manager["oldest_seconds"];
            *oldest = json!(oldest.as_f64().map(|seconds| (0.0..60.0).contains(&seconds)));
        }
    }
    snapshot
}

fn json_of(snapshot: &Snapshot) -> Value {
    serde_json::to_value(snapshot).expect("plain data serialises")
}

#[test]
fn a_made_family_has_exactly_this_json() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let io = root.create("io");
        io.start(PoolConfig::leased(2)).expect("starts");
        let request = Scope::new_in(&root, "request \"7\" <b>");
        request.deadline(std::time::Instant::now() + Duration::from_secs(600));
        let render = request.create(42);
        render.start(PoolConfig::dedicated(1).daemon().task_type("component")).expect("starts");
        let _ = request.create("idle");

        let (begun, started) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let running = request.run(|| {
            render.submit_as("component", move || {
                let _ = begun.send(());
                wait.recv().is_ok()
            })
        });
        let running = running.expect("open");
        started.recv().expect("it runs");
        let queued = request.run(|| render.submit_as("component", || ())).expect("open");
        assert!(render.submit(|| ()).is_err(), "of no type");

        let snapshot = family.snapshot();
        let expected = format!(
            concat!(
                r#"{{"nodes":["#,
                r#"{{"id":{root},"parent":null,"kind":"process","name":null,"task":null,"pending":null,"#,
                r#""closed":false,"cancelled":false,"remaining_seconds":null,"managers":["#,
                r#"{{"namespace":"io","running":true,"oldest_seconds":null,"wait_seconds":null,"run_seconds":null,"stats":{{"limit":2,"running":0,"waiting":0,"#,
                r#""queued":0,"completed":0,"interrupted":0,"panicked":0,"cancelled":0,"refused":0,"shares":[],"task_type":null,"mode":"joining","kind":"leased"}}}}"#,
                r#"]}},"#,
                r#"{{"id":{request},"parent":{root},"kind":"scope","name":"request \"7\" <b>","task":null,"pending":2,"#,
                r#""closed":false,"cancelled":false,"remaining_seconds":{left},"managers":["#,
                r##"{{"namespace":"#42","running":true,"oldest_seconds":{oldest},"wait_seconds":null,"run_seconds":null,"stats":{{"limit":1,"running":1,"waiting":0,"##,
                r#""queued":1,"completed":0,"interrupted":0,"panicked":0,"cancelled":0,"refused":1,"shares":[],"task_type":"component","mode":"daemon","kind":"dedicated"}}}},"#,
                r#"{{"namespace":"idle","running":false,"oldest_seconds":null,"wait_seconds":null,"run_seconds":null,"stats":{{"limit":0,"running":0,"waiting":0,"#,
                r#""queued":0,"completed":0,"interrupted":0,"panicked":0,"cancelled":0,"refused":0,"shares":[],"task_type":null,"mode":"joining","kind":"leased"}}}}"#,
                r#"]}}]}}"#
            ),
            root = root.id(),
            request = request.id(),
            left = json_of(&snapshot)["nodes"][1]["remaining_seconds"],
            oldest = json_of(&snapshot)["nodes"][1]["managers"][0]["oldest_seconds"],
        );
        assert_eq!(serde_json::to_string(&snapshot).expect("serialises"), expected);
        let left = snapshot.nodes[1].remaining.expect("it has a deadline");
        assert!(left > Duration::from_secs(500) && left <= Duration::from_secs(600), "{left:?}");
        let tree = serde_json::to_value(family.tree()).expect("serialises");
        assert_eq!(without_ages(tree), without_ages(json_of(&snapshot)), "a tree is its snapshot");
        drop(go);
        assert!(running.join().is_ok() && queued.join().is_ok());
    });
}

#[test]
fn a_tasks_node_carries_its_task_and_ids_are_numbers() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let pool = root.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (said, heard) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let task = root.run(|| {
            pool.submit(move || {
                let _ = said.send(heirloom::current().id());
                wait.recv().is_ok()
            })
        });
        let task = task.expect("open");
        let node = heard.recv().expect("it runs");
        let snapshot = family.snapshot();
        let node = json_of(&snapshot)["nodes"]
            .as_array()
            .and_then(|nodes| nodes.iter().find(|seen| seen["id"] == node.as_u64()).cloned())
            .expect("it is alive");
        assert_eq!(node["kind"], "task");
        assert_eq!(node["task"], task.id().as_u64());
        assert_eq!(node["parent"], root.id().as_u64());
        drop(go);
        assert!(task.join().is_ok());
    });
}

#[test]
fn labels_are_what_they_print_as() {
    struct Private;
    let text = |value: Value| value.as_str().map(String::from);
    let namespace = |namespace: Namespace| text(serde_json::to_value(namespace).expect("serialises"));
    assert_eq!(namespace("a".into()).as_deref(), Some("a"));
    assert_eq!(namespace(7.into()).as_deref(), Some("#7"));
    assert_eq!(namespace(u64::MAX.into()).as_deref(), Some("#18446744073709551615"), "as text, so that it is exact");
    let odd = "\0\u{1b}\u{2028}\u{202e}\u{10ffff}\"\\</script>";
    assert_eq!(namespace(odd.into()).as_deref(), Some(odd));
    let written = serde_json::to_string(&Namespace::from(odd)).expect("serialises");
    assert_eq!(serde_json::from_str::<String>(&written).ok().as_deref(), Some(odd), "it is read as it was");
    assert_eq!(namespace(Namespace::of::<Private>()), Some(Namespace::of::<Private>().to_string()));
    let task_type = serde_json::to_value(TaskType::from("component")).expect("serialises");
    assert_eq!(task_type, json!("component"));
}

#[test]
fn reports_say_what_still_runs() {
    bounded(|| {
        let family = Registry::new();
        let pool = family.root().create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (begun, started) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let task = pool.submit_as("slow", move || {
            let _ = begun.send(());
            wait.recv().is_ok()
        });
        let task = task.expect("open");
        started.recv().expect("it runs");
        let report = family.shutdown_timeout(Duration::from_millis(1));
        let text = serde_json::to_string(&report).expect("serialises");
        let report = serde_json::to_value(report).expect("serialises");
        let expected = format!(
            concat!(
                r#"{{"pools":[{{"namespace":"work","owner":{owner},"owner_kind":"process","owner_name":null,"#,
                r#""mode":"joining","report":{{"completed":0,"interrupted":0,"panicked":0,"#,
                r#""cancelled":0,"remaining":1,"still_running":[{{"id":{id},"name":null,"task_type":"slow","place":null,"age_seconds":{age}}}],"#,
                r#""abandoned":0}}}}],"spawned":0}}"#
            ),
            owner = family.root().id(),
            id = task.id(),
            age = report["pools"][0]["report"]["still_running"][0]["age_seconds"],
        );
        assert_eq!(text, expected);
        let pool = &report["pools"][0];
        assert_eq!(pool["namespace"], "work");
        assert_eq!(pool["owner"], family.root().id().as_u64());
        assert_eq!(pool["mode"], "joining");
        assert_eq!(pool["report"]["remaining"], 1);
        let slow = &pool["report"]["still_running"][0];
        assert_eq!(slow["id"], task.id().as_u64());
        assert_eq!(slow["task_type"], "slow");
        let age = slow["age_seconds"].as_f64().expect("a number");
        assert_eq!(age, (age * 1000.0).round() / 1000.0, "whole milliseconds, as exact as it is known");
        drop(go);
        assert!(task.join().is_ok());
    });
}

#[test]
fn the_oldest_age_is_that_of_the_oldest_task_that_started() {
    bounded(|| {
        let family = Registry::new();
        let pool = family.root().create("work");
        pool.start(PoolConfig::leased(2)).expect("starts");
        let oldest = || family.snapshot().nodes[0].managers[0].oldest;
        assert_eq!(oldest(), None);
        let (go, wait) = mpsc::channel::<()>();
        let first = pool.submit(move || wait.recv().is_ok()).expect("open");
        common::eventually("it is old", || oldest().is_some_and(|age| age > Duration::from_millis(50)));
        drop(pool.submit(|| ()).expect("open").join());
        assert!(oldest().is_some_and(|age| age > Duration::from_millis(50)), "a younger one changes nothing");
        drop(go);
        assert!(first.join().is_ok());
        assert!(pool.stop().is_ok_and(|report| report.is_complete()));
        assert_eq!(oldest(), None, "nothing runs");
    });
}

#[test]
fn every_kind_of_pool_has_its_word_and_its_oldest_age() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let look = |namespace: &str| {
            let seen = json_of(&family.snapshot());
            let managers = seen["nodes"][0]["managers"].as_array().cloned().unwrap_or_default();
            managers.into_iter().find(|manager| manager["namespace"] == *namespace).expect("it is there")
        };
        let is_old = |manager: &Value| manager["oldest_seconds"].as_f64().is_some_and(|age| (0.0..60.0).contains(&age));

        let main_only = root.create("main only");
        let local = main_only.start_local(PoolConfig::local()).expect("starts");
        let (said, heard) = mpsc::channel();
        drop(main_only.submit(move || said.send(()).is_ok()).expect("open"));
        assert_eq!(look("main only")["stats"]["kind"], "local");
        assert!(!is_old(&look("main only")), "only queued");
        local.run_pending();
        assert!(heard.recv().is_ok() && look("main only")["oldest_seconds"].is_null());

        #[cfg(feature = "rayon")]
        {
            let data = root.create("data");
            data.start(PoolConfig::work_stealing(2)).expect("starts");
            let (begun, started) = mpsc::channel();
            let (go, wait) = mpsc::channel::<()>();
            let task = data.submit(move || begun.send(()).is_ok() && wait.recv().is_ok()).expect("open");
            started.recv().expect("it runs");
            assert_eq!(look("data")["stats"]["kind"], "work-stealing");
            assert!(is_old(&look("data")), "{}", look("data"));
            drop(go);
            assert!(task.join().is_ok());
        }
    });
}

#[test]
fn a_path_serialises_node_by_node() {
    bounded(|| {
        let family = Registry::new();
        let request = Scope::new_in(&family.root(), "request 7");
        let expected = json!([
            { "id": family.root().id(), "parent": null, "kind": "process", "name": null, "task": null },
            { "id": request.id(), "parent": family.root().id(), "kind": "scope", "name": "request 7", "task": null },
        ]);
        assert_eq!(serde_json::to_value(request.path()).expect("plain data serialises"), expected);
    });
}
