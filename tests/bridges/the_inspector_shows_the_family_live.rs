//! With the feature `inspector`: the page, in a real browser, shows a running request and its warning marks.
//!
//! It shows names as text whatever they contain, is used by keyboard, loads nothing from another origin, and goes on after
//! the server's restart.
//!
//! Needs `chromium` (Debian: `apt-get install chromium`), or the program that `CHROMIUM` names. Without one the tests print
//! a line instead. With `HEIRLOOM_SCREENSHOTS=docs` it writes the README's two pictures there.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::inspector::Inspector;
use heirloom::{PoolConfig, Registry, Scope, TaskHandle};
use serde_json::json;

use crate::browser::{Tab, in_browser};
use crate::served::Server;

/// Returns the tree's text, row by row.
const ROWS: &str =
    "[...document.querySelectorAll('[role=treeitem]')].map(row => row.innerText.replace(/\\s+/g, ' ')).join('\\n')";

/// A request whose pool runs one task and has others queued. They end when the sender is dropped.
fn busy_request(family: &Registry, name: &'static str) -> (Scope, mpsc::Sender<()>, Vec<TaskHandle<bool>>) {
    let request = Scope::new_in(&family.root(), name);
    let render = request.create("render");
    render.start(PoolConfig::leased(1).task_type("component")).expect("starts");
    let (go, wait) = mpsc::channel::<()>();
    let first = request.run(|| render.submit_as("component", move || wait.recv().is_ok())).expect("open");
    let queued = (0..2).map(|_| request.run(|| render.submit_as("component", || true)).expect("open"));
    let tasks = std::iter::once(first).chain(queued).collect();
    (request, go, tasks)
}

#[test]
fn a_running_request_and_its_marks_are_shown_and_go_on_after_the_servers_restart() {
    in_browser(|browser| {
        let family = Registry::new();
        let (request, go, tasks) = busy_request(&family, "request 7");
        let router = || Inspector::new(&family).old_after(Duration::from_millis(500)).router();
        let server = Server::start(router());
        let address = server.address;
        let mut tab = browser.open(&format!("http://{address}/"));
        tab.until("the request is shown", &format!("({ROWS}).includes('scope request 7 node {}')", request.id()));
        tab.until(
            "its pool is shown",
            &format!("({ROWS}).includes('leased, joining running 1 blocked 0 queued 2 limit 1')"),
        );
        tab.until(
            "the old wait is marked",
            "document.querySelector('.marked .warn')?.innerText.includes('wait is old')",
        );
        tab.until("its age is shown", &format!("/oldest (<1|\\d+) s/.test({ROWS})"));
        tab.until("it is live", "document.getElementById('state').innerText === 'live'");

        // Events are shown: the tasks end, and another request begins.
        drop(go);
        assert!(tasks.into_iter().all(|task| task.join().is_ok()));
        tab.until("they ended", &format!("({ROWS}).includes('3 done') && !document.querySelector('.warn')"));
        // Tasks are measured from the inspector on.
        let render = request.get("render").expect("it is there");
        assert!(render.submit_as("component", || ()).is_ok_and(|task| task.join().is_ok()));
        tab.until(
            "its times are shown",
            &format!("/wait p50 \\d.*s, p99 \\d.*s run p50 \\d.*s, p99 \\d.*s/.test({ROWS})"),
        );
        let other = Scope::new_in(&family.root(), "request 8");
        tab.until("another begins", &format!("({ROWS}).includes('request 8')"));
        drop(other);
        tab.until("and ends", &format!("!({ROWS}).includes('request 8')"));

        drop(server);
        tab.until("it says so", "document.getElementById('state').innerText.includes('no server')");
        assert_eq!(tab.value(&format!("({ROWS}).includes('request 7')")), json!(true), "what was seen stays");
        // Another process: other nodes, perhaps with the same ids.
        let reborn = Registry::new();
        let _request = Scope::new_in(&reborn.root(), "request 9");
        let _server = Server::at(Inspector::new(&reborn).router(), address);
        tab.until("it goes on", &format!("({ROWS}).includes('request 9') && !({ROWS}).includes('request 7')"));
        tab.until("and is live", "document.getElementById('state').innerText === 'live'");
        tab.is_alone(&format!("http://{address}/"));
    });
}

#[test]
fn a_name_is_text_whatever_it_contains() {
    in_browser(|browser| {
        let family = Registry::new();
        let evil = "<img src=x onerror=\"window.hurt=1\"></script><script>window.hurt=1</script>";
        let scope = Scope::new_in(&family.root(), evil);
        let manager = scope.create(evil);
        manager.start(PoolConfig::leased(1).task_type(evil)).expect("starts");
        let server = Server::start(Inspector::new(&family).router());
        let mut tab = browser.open(&format!("http://{}/", server.address));
        tab.until("it is shown", "document.querySelectorAll('[role=treeitem]').length === 2");
        for class in ["name", "space", "type"] {
            assert_eq!(tab.value(&format!("document.querySelector('.{class}').textContent")), json!(evil));
        }
        let elements = "document.querySelectorAll('#tree img, #tree script').length";
        assert_eq!(tab.value(elements), json!(0));
        assert_eq!(tab.value("String(window.hurt)"), json!("undefined"));
        tab.is_alone(&format!("http://{}/", server.address));
    });
}

#[test]
fn it_is_searched_collapsed_and_paused_by_keyboard() {
    in_browser(|browser| {
        let family = Registry::new();
        let outer = Scope::new_in(&family.root(), "outer");
        let inner = Scope::new_in(&outer, "inner");
        let _beside = Scope::new_in(&family.root(), "beside");
        inner.create("render").start(PoolConfig::leased(1)).expect("starts");
        let server = Server::start(axum::Router::new().nest("/deep/family", Inspector::new(&family).router()));
        let mut tab = browser.open(&format!("http://{}/deep/family", server.address));
        let names = "[...document.querySelectorAll('[role=treeitem]')].map(row => row.querySelector('.name')?.innerText || 'process').join()";
        let shows = |tab: &mut Tab<'_>, expected: &str| tab.until(expected, &format!("{names} === '{expected}'"));
        let focus = "document.activeElement.querySelector?.('.name')?.innerText || 'process'";
        shows(&mut tab, "process,outer,inner,beside");
        assert_eq!(
            tab.value("document.querySelectorAll('[role=tree] > [role=treeitem][tabindex=\"0\"]').length"),
            json!(1)
        );
        let levels =
            "[...document.querySelectorAll('[role=treeitem]')].map(row => row.getAttribute('aria-level')).join()";
        assert_eq!(tab.value(levels), json!("1,2,3,2"));

        tab.value("document.querySelector('[role=treeitem][tabindex=\"0\"]').focus()");
        tab.press(&["ArrowDown", "ArrowRight"]);
        assert_eq!(tab.value(focus), json!("inner"), "right goes in");
        tab.press(&["ArrowLeft", "ArrowLeft"]);
        assert_eq!(tab.value(focus), json!("outer"), "left goes out, then collapses");
        shows(&mut tab, "process,outer,beside");
        assert_eq!(tab.value("document.activeElement.getAttribute('aria-expanded')"), json!("false"));
        tab.press(&["End"]);
        assert_eq!(tab.value(focus), json!("beside"));
        tab.press(&["Home", "ArrowDown", "Enter"]);
        shows(&mut tab, "process,outer,inner,beside");

        // Found by a manager's name, with the nodes above it.
        tab.press(&["/"]);
        assert_eq!(tab.value("document.activeElement.id"), json!("search"));
        tab.type_text("RENDER");
        shows(&mut tab, "process,outer,inner");
        tab.press(&["Escape"]);
        shows(&mut tab, "process,outer,inner,beside");

        tab.press(&["p"]);
        tab.until("it pauses", "document.getElementById('state').innerText === 'paused'");
        let late = Scope::new_in(&family.root(), "late");
        std::thread::sleep(Duration::from_millis(600));
        shows(&mut tab, "process,outer,inner,beside");
        tab.press(&["p"]);
        shows(&mut tab, "process,outer,inner,beside,late");
        // The focus stays in the tree when its row is removed.
        tab.press(&["End"]);
        assert_eq!(tab.value(focus), json!("late"));
        drop(late);
        shows(&mut tab, "process,outer,inner,beside");
        assert_eq!(tab.value(focus), json!("beside"), "the focus goes to the row above");
    });
}

#[test]
fn it_is_readable_on_a_phone_in_the_dark_and_the_same_on_a_desk() {
    in_browser(|browser| {
        let family = Registry::new();
        let root = family.root();
        let io = root.create("io");
        io.start(PoolConfig::leased(8)).expect("starts");
        assert!((0..12).all(|_| io.run(|| ()).is_ok()));
        root.create("audit").start(PoolConfig::dedicated(1).daemon()).expect("starts");
        let (seven, _go, _tasks) = busy_request(&family, "GET /guide/7");
        let eight = Scope::new_in(&root, "GET /guide/8 with a name that is rather long for the screen of a telephone");
        let render = eight.create("render");
        render.start(PoolConfig::leased(4).task_type("component")).expect("starts");
        let highlight = Scope::new_in(&eight, "component: code");
        highlight.create("highlight").start(PoolConfig::leased(2).task_type("line")).expect("starts");
        let (begun, started) = mpsc::channel();
        let (_stay, until) = mpsc::channel::<()>();
        let (_more, until_more) = mpsc::channel::<()>();
        let waits = highlight.run(|| {
            let lines = heirloom::get("highlight").expect("its own");
            let again = begun.clone();
            drop(lines.submit_as("line", move || {
                let _ = again.send(());
                until_more.recv().is_ok()
            }));
            render.submit_as("component", move || {
                let _ = (heirloom::current(), begun.send(()));
                heirloom::blocking(|| until.recv().is_ok())
            })
        });
        assert!(waits.is_ok() && started.recv().is_ok() && started.recv().is_ok());
        let server = Server::start(Inspector::new(&family).old_after(Duration::from_millis(500)).router());
        let address = format!("http://{}/", server.address);
        let colour = "getComputedStyle(document.body).backgroundColor";
        let wide = "document.documentElement.scrollWidth <= innerWidth";
        let ready = format!("document.querySelector('.marked .warn') && /blocked 1.*oldest \\d+ s/s.test({ROWS})");

        let mut tab = browser.open(&address);
        tab.looks_like(1100, 520, false, 1);
        tab.until("the desk is ready", &ready);
        assert_eq!(tab.value(wide), json!(true), "nothing is wider than the desk");
        let light = tab.value(colour);
        tab.screenshot("inspector-desk.png");

        tab.looks_like(390, 720, true, 2);
        tab.until("the phone is ready", "document.querySelector('.marked .warn') && getComputedStyle(document.querySelector('.keys')).display === 'none'");
        assert_eq!(tab.value(wide), json!(true), "nothing is wider than the phone");
        assert_ne!(tab.value(colour), light, "it is dark");
        tab.screenshot("inspector-phone.png");
        assert!(seven.pending() > 0);
    });
}
