//! With the feature `inspector`: a page gets the family once and then the changes, at most four times a second.
//!
//! One look serves all readers. Of a large family it gets the busy nodes, and the number of those left out.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::executor::block_on;
use heirloom::inspector::Inspector;
use heirloom::{PoolConfig, Registry, Scope};
use serde_json::{Value, json};
use tower_service::Service;

use crate::common::{alone, bounded, eventually};
use crate::served::{self, Events, Server, get, named, text};

fn ids(message: &Value) -> Vec<u64> {
    message["nodes"].as_array().into_iter().flatten().filter_map(|node| node["id"].as_u64()).collect()
}

#[test]
fn a_snapshot_is_the_family_as_it_is() {
    bounded(|| {
        let family = Registry::new();
        let server = Server::start(Inspector::new(&family).router());
        let request = Scope::new_in(&family.root(), "request \"7\" </script><b>\n\u{2028}");
        let render = request.create("render");
        render.start(PoolConfig::leased(4).task_type("component")).expect("starts");
        let (begun, started) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let task = render.submit_as("component", move || {
            let _ = begun.send(());
            heirloom::blocking(|| wait.recv().is_ok())
        });
        let task = task.expect("open");
        started.recv().expect("it runs");
        eventually("it waits", || render.stats().waiting == 1);

        let seen = served::json(server.address, "/snapshot");
        assert_eq!(
            seen["totals"],
            json!({"nodes": 2, "managers": 1, "running": 0, "waiting": 1, "queued": 0, "marked": 0})
        );
        assert_eq!(seen["left_out"], 0);
        assert_eq!(ids(&seen), [family.root().id().as_u64(), request.id().as_u64()], "parents first");
        let node = named(&seen, "request \"7\" </script><b>\n\u{2028}").expect("it is alive");
        assert_eq!((&node["kind"], &node["closed"], &node["hidden"]), (&json!("scope"), &json!(false), &json!(0)));
        let manager = &node["managers"][0];
        assert_eq!(manager["namespace"], "render");
        assert_eq!(manager["task_type"], "component");
        assert_eq!((&manager["limit"], &manager["waiting"], &manager["queued"]), (&json!(4), &json!(1), &json!(0)));
        assert_eq!((&manager["kind"], &manager["mode"]), (&json!("leased"), &json!("joining")));
        let age = seen["now"].as_i64().zip(manager["since"].as_i64()).map(|(now, since)| now - since);
        assert!(age.is_some_and(|age| (-50..30_000).contains(&age)), "{age:?}");
        drop(go);
        assert!(task.join().is_ok());
        eventually("it is seen to have ended", || {
            let seen = served::json(server.address, "/snapshot");
            seen["nodes"][1]["managers"][0]["completed"] == 1 && seen["nodes"][1]["managers"][0]["since"].is_null()
        });
        let seen = served::json(server.address, "/snapshot");
        for times in ["wait", "run"] {
            let times = &seen["nodes"][1]["managers"][0][times];
            assert!(times["p50"].as_f64().is_some_and(|p50| p50 > 0.0) && times["p50"] == times["p99"], "{times}");
        }
    });
}

#[test]
fn events_begin_with_everything_and_go_on_with_what_changed() {
    bounded(|| {
        let family = Registry::new();
        let quiet = Scope::new_in(&family.root(), "quiet");
        let server = Server::start(Inspector::new(&family).router());
        let mut events = Events::of(server.address);
        let (name, full) = events.next().expect("it answers");
        assert_eq!(name, "full");
        assert_eq!(ids(&full), [family.root().id().as_u64(), quiet.id().as_u64()]);

        let request = Scope::new_in(&family.root(), "request 7");
        let (name, diff) = events.next().expect("it goes on");
        assert_eq!((name.as_str(), ids(&diff)), ("diff", vec![request.id().as_u64()]), "only what changed");
        assert_eq!((&diff["gone"], &diff["run"]), (&json!([]), &full["run"]));

        let _manager = quiet.create("io");
        let (_, diff) = events.next().expect("it goes on");
        assert_eq!(ids(&diff), [quiet.id().as_u64()]);
        assert_eq!(diff["nodes"][0]["managers"][0]["started"], false);

        let gone = request.id().as_u64();
        drop(request);
        let (_, diff) = events.next().expect("it goes on");
        assert_eq!((ids(&diff), &diff["gone"]), (vec![], &json!([gone])));
    });
}

#[test]
fn a_deadline_is_sent_once_as_a_moment_of_the_pages_clock() {
    bounded(|| {
        let family = Registry::new();
        let request = Scope::new_in(&family.root(), "request 7");
        let server = Server::start(Inspector::new(&family).router());
        let mut events = Events::of(server.address);
        let (_, full) = events.next().expect("everything");
        assert!(named(&full, "request 7").expect("it is alive")["until"].is_null());
        request.deadline(Instant::now() + Duration::from_secs(600));
        let (_, diff) = events.next().expect("it goes on");
        assert_eq!(ids(&diff), [request.id().as_u64()]);
        let left = diff["nodes"][0]["until"].as_i64().zip(diff["now"].as_i64()).map(|(until, now)| until - now);
        assert!(left.is_some_and(|left| (500_000..=600_100).contains(&left)), "{left:?}");
        // The time goes on, and the node has not changed.
        std::thread::sleep(Duration::from_millis(600));
        let other = Scope::new_in(&family.root(), "other");
        let diff = events.until("what changed", |_, seen| !ids(seen).is_empty());
        assert_eq!(ids(&diff), [other.id().as_u64()]);
    });
}

#[test]
fn updates_come_at_most_four_times_a_second_and_while_nothing_changes_only_a_sign_of_life() {
    bounded(|| {
        let family = Registry::new();
        let server = Server::start(Inspector::new(&family).router());
        let mut events = Events::of(server.address);
        events.next().expect("everything");
        let began = Instant::now();
        let mut came = 0;
        let mut scopes = Vec::new();
        while began.elapsed() < Duration::from_secs(2) {
            let (stop, stopped) = mpsc::channel::<()>();
            let root = family.root();
            // The family changes meanwhile.
            let churn = std::thread::spawn(move || {
                let mut scopes = Vec::new();
                while stopped.try_recv().is_err() {
                    scopes.push(Scope::new_in(&root, "churn"));
                    std::thread::sleep(Duration::from_millis(2));
                }
                scopes
            });
            events.next().expect("it goes on");
            came += 1;
            let _ = stop.send(());
            scopes.extend(churn.join().expect("ends"));
        }
        assert!(came <= 10, "{came} updates in {:?}", began.elapsed());

        // The last change may still come; after that there are signs of life alone.
        let life = events.until("a sign of life", |_, seen| ids(seen).is_empty() && seen["gone"] == json!([]));
        assert!(life["now"].as_u64().is_some_and(|now| now >= 2_000));
        // By the server's own clock, whenever this thread reads them.
        let (_, next) = events.next().expect("the next one");
        let quiet = next["now"].as_u64().zip(life["now"].as_u64()).map(|(next, life)| next - life);
        assert!(quiet.is_some_and(|quiet| quiet > 3_000), "{quiet:?} ms");
    });
}

#[test]
fn of_100_000_nodes_those_of_interest_are_sent_and_the_rest_is_counted() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let idle: Vec<Scope> = (0..100_000).map(|i| Scope::new_in(&root, format!("idle {i}"))).collect();
        let component = Scope::new_in(&idle[99_000], "component");
        let pool = component.create("render");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, wait) = mpsc::channel::<()>();
        let task = pool.submit(move || wait.recv().is_ok()).expect("open");

        let server = Server::start(Inspector::new(&family).max_nodes(1_000).router());
        let body = text(server.address, "/snapshot");
        assert!(body.len() < 400_000, "{} bytes", body.len());
        let seen: Value = serde_json::from_str(&body).expect("it is JSON");
        let sent = ids(&seen).len() as u64;
        assert!((900..=1_000).contains(&sent), "{sent} nodes");
        assert_eq!(seen["totals"]["nodes"], 100_002);
        assert_eq!(seen["left_out"], 100_002 - sent);
        assert!(named(&seen, "component").is_some(), "what has tasks is sent, and what is above it");
        assert_eq!(named(&seen, "idle 99000").map(|above| &above["hidden"]), Some(&json!(0)));
        assert_eq!(seen["nodes"][0]["hidden"].as_u64(), Some(100_000 - (sent - 2)));
        let mut known = std::collections::HashSet::new();
        for node in seen["nodes"].as_array().expect("a list") {
            assert!(node["parent"].as_u64().is_none_or(|parent| known.contains(&parent)), "never without its parent");
            known.extend(node["id"].as_u64());
        }

        let mut events = Events::of(server.address);
        events.next().expect("everything");
        let queued = pool.submit(|| ()).expect("open");
        let of_one = events.until("what changed", |_, seen| seen["totals"]["queued"] == 1);
        assert_eq!((ids(&of_one), &of_one["gone"]), (vec![component.id().as_u64()], &json!([])), "no other node");
        drop(go);
        assert!(task.join().is_ok() && queued.join().is_ok());
    });
}

#[test]
fn a_chain_100_000_deep_is_cut_where_enough_is_sent() {
    bounded(|| {
        let family = Registry::new();
        let mut at = family.root();
        for _ in 0..100_000 {
            at = Scope::new_in(&at, "link").lineage().clone();
        }
        let server = Server::start(Inspector::new(&family).router());
        let seen = served::json(server.address, "/snapshot");
        assert_eq!((ids(&seen).len(), &seen["left_out"]), (2_000, &json!(98_001)));
    });
}

#[test]
fn of_many_managers_at_one_node_those_with_tasks_are_sent() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let idle: Vec<_> = (0..500_u64).map(|i| root.create(i)).collect();
        let busy = root.create("busy");
        busy.start(PoolConfig::leased(1)).expect("starts");
        let (go, wait) = mpsc::channel::<()>();
        let task = busy.submit(move || wait.recv().is_ok()).expect("open");
        let server = Server::start(Inspector::new(&family).router());
        let seen = served::json(server.address, "/snapshot");
        let node = &seen["nodes"][0];
        let sent = node["managers"].as_array().map_or(0, Vec::len);
        assert_eq!(node["managers_hidden"], idle.len() + 1 - sent);
        assert!(sent < 100 && node["managers"][0]["namespace"] == "busy", "{sent}");
        drop(go);
        assert!(task.join().is_ok());
    });
}

#[test]
fn a_long_name_is_cut() {
    bounded(|| {
        let family = Registry::new();
        let _scope = Scope::new_in(&family.root(), "ü".repeat(1_000_000));
        let server = Server::start(Inspector::new(&family).router());
        assert!(text(server.address, "/snapshot").len() < 2_000);
    });
}

#[test]
fn a_queue_that_grows_and_a_wait_that_is_old_are_marked() {
    bounded(|| {
        let family = Registry::new();
        let pool = family.root().create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let inspector = Inspector::new(&family).old_after(Duration::from_millis(300));
        let server = Server::start(inspector.router());
        let mut events = Events::of(server.address);
        let marks = |seen: &Value| seen["nodes"][0]["managers"][0]["marks"].clone();
        let has = |seen: &Value, mark: &str| marks(seen).as_array().is_some_and(|all| all.contains(&json!(mark)));

        let (go, wait) = mpsc::channel::<()>();
        let task = pool.submit(move || wait.recv().is_ok()).expect("open");
        std::thread::sleep(Duration::from_millis(700));
        let alone = served::json(server.address, "/snapshot");
        assert_eq!(marks(&alone), json!([]), "nobody waits for it");

        drop(pool.submit(|| ()).expect("open"));
        let old = events.until("it is old", |_, seen| has(seen, "old"));
        assert_eq!(old["totals"]["marked"], 1);
        assert!(!has(&old, "queue"));

        let grown = events.until("it grows", |_, seen| {
            drop(pool.submit(|| ()).expect("open"));
            has(seen, "queue")
        });
        assert_eq!(grown["totals"]["marked"], 1, "one manager, two marks");
        drop(go);
        assert!(task.join().is_ok());
        events.until("neither any more", |_, seen| seen["totals"]["marked"] == 0);
    });
}

#[test]
fn a_listener_that_is_too_slow_is_sent_everything_again() {
    bounded(|| {
        let family = Registry::new();
        let router = Inspector::new(&family).router();
        // Without a connection, whose buffers would read ahead.
        let listen = || {
            let request = axum::http::Request::get("/events").header("host", "localhost");
            let request = request.body(axum::body::Body::empty()).expect("a request");
            let answer = block_on(router.clone().call(request)).expect("a router always answers");
            answer.into_body().into_data_stream()
        };
        let next = |events: &mut axum::body::BodyDataStream| {
            let part = block_on(events.next()).expect("it goes on").expect("it does not fail");
            String::from_utf8(part.to_vec()).expect("it is text")
        };
        let (mut quick, mut slow) = (listen(), listen());
        for events in [&mut quick, &mut slow] {
            assert!(next(events).starts_with("retry: "));
            assert!(next(events).starts_with("event: full\n"));
            assert!(next(events).contains("nodes"), "the rest of it");
        }
        let mut scopes = Vec::new();
        for change in 0..10 {
            scopes.push(Scope::new_in(&family.root(), format!("change {change}")));
            let told = next(&mut quick);
            assert!(told.starts_with("event: diff\n") && told.contains(&format!("change {change}")), "{told}");
        }
        assert!(next(&mut slow).starts_with("event: full\n"), "what it missed, at once");
        let rest = next(&mut slow);
        assert!((0..10).all(|change| rest.contains(&format!("\"change {change}\""))), "{rest}");
        scopes.push(Scope::new_in(&family.root(), "one more"));
        let told = next(&mut slow);
        assert!(told.starts_with("event: diff\n") && told.contains("one more"), "{told}");
    });
}

/// Returns the number of the inspector's threads.
#[cfg(target_os = "linux")]
fn lookers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this is Linux");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("heirloom-inspec")).count()
}

#[cfg(target_os = "linux")]
#[test]
fn all_who_listen_share_one_look_which_ends_with_the_last() {
    alone(|| {
        let family = Registry::new();
        let inspector = Inspector::new(&family);
        let server = Server::start(inspector.router());
        text(server.address, "/");
        assert_eq!(lookers(), 0, "nobody listens");
        let mut listeners: Vec<Events> = (0..8).map(|_| Events::of(server.address)).collect();
        let mut firsts = listeners.iter_mut().map(|events| events.next().expect("everything").1["nodes"].clone());
        let first = firsts.next();
        assert!(firsts.all(|other| Some(other) == first));
        assert_eq!(lookers(), 1);
        listeners.truncate(1);
        let _scope = Scope::new_in(&family.root(), "new");
        listeners[0].next().expect("it goes on");
        assert_eq!(lookers(), 1);
        listeners.clear();
        eventually("the look ends", || lookers() == 0);
        Events::of(server.address).next().expect("it begins again");
        inspector.close();
        eventually("the look ends", || lookers() == 0);
    });
}

#[test]
fn a_closed_inspector_ends_its_streams() {
    bounded(|| {
        let family = Registry::new();
        let inspector = Inspector::new(&family);
        let server = Server::start(inspector.router());
        let mut events = Events::of(server.address);
        events.next().expect("everything");
        inspector.close();
        inspector.close();
        assert_eq!(events.next(), None);
        for path in ["/events", "/snapshot"] {
            assert!(get(server.address, path).head[0].contains(" 503 "), "{path}");
        }
        assert!(get(server.address, "/").head[0].contains(" 200 "), "the page says that nobody answers");
    });
}

#[test]
fn looking_keeps_nothing_alive() {
    bounded(|| {
        let family = Registry::new();
        let server = Server::start(Inspector::new(&family).router());
        let mut events = Events::of(server.address);
        events.next().expect("everything");
        let scope = Scope::new_in(&family.root(), "request 7");
        let manager = scope.create("render");
        let id = scope.id().as_u64();
        events.until("it is seen", |_, seen| ids(seen).contains(&id));
        drop(scope);
        eventually("a look under way ends", || manager.owner().is_none());
        let gone = events.until("it is gone", |_, seen| seen["gone"] == json!([id]));
        assert_eq!(gone["totals"]["managers"], 0);
    });
}

#[test]
fn the_page_is_whole_and_nothing_else_is_allowed_to_it() {
    bounded(|| {
        let server = Server::start(axum::Router::new().nest("/family", heirloom::inspector::router()));
        let head = get(server.address, "/family").head;
        assert!(head.iter().any(|line| line.starts_with("content-security-policy: default-src 'none';")), "{head:?}");
        assert!(head.contains(&"x-content-type-options: nosniff".to_owned()), "{head:?}");
        let page = text(server.address, "/family");
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        for elsewhere in ["http:", "https:", "//cdn", "@import", "innerHTML", "insertAdjacentHTML", "document.write"] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
    });
}
