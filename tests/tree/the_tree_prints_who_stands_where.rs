//! `Registry::tree()` is a printable tree, like `pstree`: each node below its parent, with its managers and their
//! running/waiting/queued/limit/mode.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, Registry, Scope, thread};

use crate::common;

#[test]
fn a_family_prints_as_text() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        root.create("io").start(PoolConfig::leased(2)).expect("starts");
        let a = Scope::new_in(&root, "request a");
        a.create("render").start(PoolConfig::dedicated(3).daemon().task_type("component")).expect("starts");
        let inner = Scope::new_in(&a, "inner");
        let _ = inner.create("idle");
        let b = Scope::new_in(&root, "request b");
        b.close();
        let id = |scope: &Scope| scope.id().to_string();
        let expected = format!(
            "process (node {})\n\
             │  \"io\": leased joining, 0 running/0 waiting/0 queued, limit 2\n\
             ├─ scope \"request a\" (node {}), 0 pending\n\
             │  │  \"render\": dedicated daemon, 0 running/0 waiting/0 queued, limit 3, only \"component\"\n\
             │  └─ scope \"inner\" (node {}), 0 pending\n\
             │        \"idle\": ",
            root.id(),
            id(&a),
            id(&inner)
        );
        let text = family.tree().to_string();
        assert!(text.starts_with(&expected), "{text}\ninstead of\n{expected}");
        assert!(text.lines().nth(5).is_some_and(|line| line.ends_with("(not running)")), "{text}");
        let last = format!("└─ scope \"request b\" (node {}), 0 pending, closed", id(&b));
        assert_eq!(text.lines().nth(6), Some(last.as_str()), "{text}");
        assert_eq!(text.lines().count(), 7, "{text}");
    });
}

#[test]
fn a_scope_prints_the_time_that_is_left() {
    common::bounded(|| {
        let family = Registry::new();
        let request = Scope::new_in(&family.root(), "request");
        let left = || family.snapshot().nodes[1].remaining;
        assert_eq!(left(), None);
        request.deadline(Instant::now() + Duration::from_secs(600));
        let inner = Scope::new_in(&request, "inner");
        assert!(left().is_some_and(|left| (500..=600).contains(&left.as_secs())), "{:?}", left());
        let text = family.tree().to_string();
        let line = |name: &str| text.lines().find(|line| line.contains(name)).expect("it is alive");
        assert!(line("request").contains(", 0 pending, ") && line("request").ends_with("s left"), "{text}");
        assert!(line("inner").ends_with(", 0 pending"), "only its own: {text}");
        request.deadline(Instant::now());
        common::eventually("it has passed", || request.is_cancelled());
        let text = family.tree().to_string();
        assert!(text.contains(", 0 pending, closed, cancelled, deadline passed\n"), "{text}");
        drop(inner);
    });
}

#[test]
fn a_pool_prints_what_it_does_now() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let pool = root.create("work");
        pool.start(PoolConfig::leased(2)).expect("starts");
        let (begun, started) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let (stay, until) = mpsc::channel::<()>();
        root.run(|| {
            let waits = begun.clone();
            // One waits with its place given away, two run, three are queued.
            drop(
                pool.submit(move || {
                    heirloom::blocking(|| {
                        let _ = waits.send(());
                        wait.recv().is_ok()
                    })
                })
                .expect("open"),
            );
            assert!(started.recv().is_ok());
            let until = std::sync::Arc::new(std::sync::Mutex::new(until));
            for _ in 0..2 {
                let (begun, until) = (begun.clone(), until.clone());
                drop(
                    pool.submit(move || {
                        let _ = begun.send(());
                        until.lock().is_ok_and(|until| until.recv().is_ok())
                    })
                    .expect("open"),
                );
            }
            assert!(started.recv().is_ok() && started.recv().is_ok());
            for _ in 0..3 {
                drop(pool.submit(|| ()).expect("open"));
            }
        });
        let text = family.tree().to_string();
        let expected = "   \"work\": leased joining, 2 running/1 waiting/3 queued, limit 2";
        assert_eq!(text.lines().nth(1), Some(expected), "{text}");
        drop((go, stay));
        assert!(pool.stop().is_ok_and(|report| report.completed == 6));
        assert!(family.tree().to_string().contains("0 running/0 waiting/0 queued, limit 2 (not running)"));
    });
}

#[test]
fn threads_and_tasks_are_named() {
    common::bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let pool = root.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (said, heard) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let task_says = said.clone();
        let task = root
            .run(|| {
                pool.submit(move || {
                    let _ = task_says.send(heirloom::current());
                    wait.recv().is_ok()
                })
            })
            .expect("open");
        let task_node = heard.recv().expect("it runs");
        let (stay, until) = mpsc::channel::<()>();
        let child = root.run(|| {
            thread::Builder::new().name("listener").spawn(move || {
                let _ = said.send(heirloom::current());
                until.recv().is_ok()
            })
        });
        let thread_node = heard.recv().expect("it runs");
        let text = family.tree().to_string();
        assert!(text.contains(&format!("─ thread \"listener\" (node {})\n", thread_node.id())), "{text}");
        assert!(text.contains(&format!("─ task {} (node {})\n", task.id(), task_node.id())), "{text}");
        drop((go, stay));
        assert!(task.join().is_ok());
        let _ = child.expect("started").join();
    });
}

#[test]
fn every_node_is_printed_once_however_deep() {
    common::bounded(|| {
        let family = Registry::new();
        let mut scopes = vec![Scope::new_in(&family.root(), "link 0")];
        for i in 1..500 {
            scopes.push(Scope::new_in(&scopes[i - 1], format!("link {i}")));
        }
        let text = family.tree().to_string();
        assert_eq!(text.lines().count(), 501);
        for (depth, line) in text.lines().skip(1).enumerate() {
            assert!(line.contains(&format!("\"link {depth}\"")), "{line}");
            assert_eq!(line.chars().take_while(|c| *c == ' ').count(), 3 * depth);
        }
    });
}
