//! With the feature `inspector`: the page, in a real browser, is readable in the light and in the dark.
//!
//! Every text has the contrast of WCAG's level AA, whatever names contain. Updates keep the focus, the collapsed nodes and
//! the search, and write changes alone. A hidden page has no stream.
//!
//! Needs `chromium`, as `the_inspector_shows_the_family_live`.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::inspector::Inspector;
use heirloom::{PoolConfig, Registry, Scope, TaskHandle};
use serde_json::json;

use crate::browser::{Tab, in_browser};
use crate::common;
use crate::served::Server;

/// Returns each text whose contrast with its background is too low.
const PALE: &str = r#"(() => {
    const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = colour => {
        pen.clearRect(0, 0, 1, 1);
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data].map((part, i) => i < 3 ? part : part / 255);
    };
    const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
    const light = colour => {
        const [r, g, b] = colour.slice(0, 3).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const pale = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const el = walk.currentNode.parentElement;
        if (!walk.currentNode.data.trim() || !el.checkVisibility() || el.closest('script, noscript')) continue;
        let opacity = 1, behind = [];
        for (let up = el; up; up = up.parentElement) {
            opacity *= getComputedStyle(up).opacity;
            behind.push(rgba(getComputedStyle(up).backgroundColor));
        }
        const back = behind.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
        const own = rgba(getComputedStyle(el).color);
        const text = over([...own.slice(0, 3), own[3] * opacity], back);
        const [dark, bright] = [light(text), light(back)].sort((a, b) => a - b);
        const contrast = (bright + 0.05) / (dark + 0.05);
        if (contrast < 4.5) pale.push(contrast.toFixed(2) + ' ' + el.className + ' ' + walk.currentNode.data);
    }
    return [...new Set(pale)].join('; ');
})()"#;

const NAMES: &str = "[...document.querySelectorAll('[role=treeitem] .head')].map(row => row.querySelector('.name')?.textContent || 'process').join()";

fn shows(tab: &mut Tab<'_>, names: &str) {
    tab.until(names, &format!("{NAMES} === '{names}'"));
}

/// A pool with the limit 1, a running task, a failed one, and many queued ones.
fn jammed(at: &Scope) -> (mpsc::Sender<()>, Vec<TaskHandle<bool>>) {
    let pool = at.create("rows");
    pool.start(PoolConfig::leased(1).task_type("row").log_panics(false)).expect("starts");
    let failed = pool.submit_as("row", || -> bool { panic!("as wanted") });
    assert!(failed.expect("open").join().is_err());
    assert!(pool.submit(|| ()).is_err(), "of no type");
    let (go, wait) = mpsc::channel::<()>();
    let first = pool.submit_as("row", move || wait.recv().is_ok()).expect("open");
    let queued = (0..3).map(|_| pool.submit_as("row", || true).expect("open"));
    let tasks = std::iter::once(first).chain(queued).collect();
    (go, tasks)
}

#[test]
fn every_text_has_contrast_enough_in_the_light_and_in_the_dark() {
    in_browser(|browser| {
        let family = Registry::new();
        let root = family.root();
        // A manager without a pool, one with work, one with a wait, a cancelled scope, and many task types.
        let _unstarted = root.create("idle");
        let scope = Scope::new_in(&root, "import");
        let (_go, _tasks) = jammed(&scope);
        let (_stay, until) = mpsc::channel::<()>();
        let waits = root.create("waits");
        waits.start(PoolConfig::leased(2)).expect("starts");
        let waiting = waits.submit(move || heirloom::blocking(|| until.recv().is_ok()));
        let asked = Scope::new_in(&root, "asked");
        asked.cancel();
        for i in 0..24 {
            root.create(i).start(PoolConfig::leased(1).task_type(format!("type {i}"))).expect("starts");
        }
        let server = Server::start(Inspector::new(&family).old_after(Duration::from_millis(100)).router());
        let mut tab = browser.open(&format!("http://{}/", server.address));
        for (width, phone) in [(1200, false), (1200, true), (390, false), (390, true)] {
            tab.looks_like(width, 800, phone, 1);
            let ready = "document.querySelector('.marked .warn') && document.querySelectorAll('.type').length === 25";
            tab.until("it is shown", ready);
            tab.value("document.querySelectorAll('details').forEach(more => more.open = true)");
            assert_eq!(tab.value(PALE), json!(""), "{width} wide, {}", if phone { "dark" } else { "light" });
        }
        drop(waiting);
    });
}

#[test]
fn names_of_any_kind_are_readable_and_stay_in_their_rows() {
    in_browser(|browser| {
        let family = Registry::new();
        let piled = format!("pile{}", "\u{0300}\u{0330}".repeat(90));
        let names = [
            ("", "\"\"".to_owned()),
            ("a\0b\nc\u{1b}[31m", "a\u{2400}b\u{240a}c\u{241b}[31m".to_owned()),
            ("\u{202e}backwards", "\u{202e}backwards".to_owned()),
            ("👩‍👩‍👧‍👦 家族 عائلة", "👩‍👩‍👧‍👦 家族 عائلة".to_owned()),
            ("' onclick='x", "' onclick='x".to_owned()),
            (&piled, piled.clone()),
            ("\u{feff}\u{2028}</li>", "\u{feff}\u{2028}</li>".to_owned()),
        ];
        let mut kept = Vec::new();
        for (name, _) in &names {
            let scope = Scope::new_in(&family.root(), String::from(*name));
            scope
                .create(String::from(*name))
                .start(PoolConfig::leased(1).task_type(String::from(*name)))
                .expect("starts");
            kept.push(scope);
        }
        let long = Scope::new_in(&family.root(), "W".repeat(100_000));
        long.create("W".repeat(100_000)).start(PoolConfig::leased(1)).expect("starts");
        let vast = long.create("vast");
        vast.start(PoolConfig::leased(2_000_000_000)).expect("starts");
        let server = Server::start(Inspector::new(&family).router());
        let mut tab = browser.open(&format!("http://{}/", server.address));
        for (width, phone) in [(1100, false), (390, true)] {
            tab.looks_like(width, 800, phone, 1);
            tab.until("all are shown", "document.querySelectorAll('[role=treeitem]').length === 9");
            for class in ["name", "space", "type"] {
                let texts = format!("[...document.querySelectorAll('.{class}')].map(el => el.textContent)");
                let seen = tab.value(&texts);
                for (_, readable) in &names {
                    assert!(
                        seen.as_array().is_some_and(|seen| seen.contains(&json!(readable))),
                        "{readable:?}: {seen}"
                    );
                }
            }
            assert_eq!(tab.value("document.documentElement.scrollWidth <= innerWidth"), json!(true));
            let fits =
                "[...document.querySelectorAll('.n, .cap, .age, .how')].every(el => el.scrollWidth <= el.clientWidth)";
            assert_eq!(tab.value(fits), json!(true), "a number stays in its column");
            let isolated = "[...document.querySelectorAll('.name, .space, .type')].every(el => getComputedStyle(el).unicodeBidi === 'isolate')";
            assert_eq!(tab.value(isolated), json!(true), "no name turns what is beside it");
            let clips = "[...document.querySelectorAll('[role=treeitem]')].every(el => getComputedStyle(el).overflowY === 'clip')";
            assert_eq!(tab.value(clips), json!(true), "no name reaches into other rows");
        }
    });
}

#[test]
fn updates_leave_the_focus_the_collapsed_and_the_search_and_write_only_what_changed() {
    in_browser(|browser| {
        let family = Registry::new();
        let root = family.root();
        let outer = Scope::new_in(&root, "outer");
        let inner = Scope::new_in(&outer, "inner");
        let beside = Scope::new_in(&root, "beside");
        let server = Server::start(Inspector::new(&family).old_after(Duration::from_millis(100)).router());
        let mut tab = browser.open(&format!("http://{}/", server.address));
        shows(&mut tab, "process,outer,inner,beside");
        let focus = "document.activeElement.querySelector?.('.name')?.textContent";

        // A changed row keeps the focus. A collapsed row stays collapsed while nodes below it come and go.
        tab.value("document.querySelector('[role=treeitem][tabindex=\"0\"]').focus()");
        tab.press(&["ArrowDown", "ArrowLeft"]);
        shows(&mut tab, "process,outer,beside");
        let pool = outer.create("pool");
        tab.until("it changes", "document.activeElement.innerText.includes('pool')");
        assert_eq!(tab.value(focus), json!("outer"));
        let more = Scope::new_in(&inner, "more");
        tab.until("it says what it hides", "document.activeElement.innerText.includes('2 below')");
        let (go, tasks) = jammed(&more);
        tab.until("and that it is marked", "/2 below, ⚠ 1/.test(document.activeElement.innerText)");
        assert_eq!(tab.value(focus), json!("outer"));
        tab.press(&["m"]);
        shows(&mut tab, "process,outer,inner,more,beside");
        assert_eq!(tab.value(focus), json!("more"), "the next mark, also where it was hidden");
        drop(go);
        assert!(tasks.into_iter().all(|task| task.join().is_ok()));
        tab.press(&["Home", "ArrowDown", "ArrowLeft"]);
        drop((more, inner));
        tab.until("nothing is hidden", "!document.activeElement.hasAttribute('aria-expanded')");
        assert_eq!(tab.value(focus), json!("outer"));

        // A search stays while its results come and go. Rows collapsed in it are open afterwards.
        tab.press(&["/"]);
        tab.type_text("found");
        tab.until("nothing is found", "document.getElementById('note').innerText.includes('No node matches')");
        let found = Scope::new_in(&beside, "found");
        shows(&mut tab, "process,beside,found");
        assert_eq!(tab.value("document.activeElement.id"), json!("search"));
        tab.press(&["ArrowDown", "Home", "ArrowDown", "ArrowLeft"]);
        shows(&mut tab, "process,beside");
        tab.press(&["/", "Escape"]);
        shows(&mut tab, "process,outer,beside,found");

        // Ten times as many changes as the server keeps: the page catches up.
        tab.press(&["p"]);
        tab.until("it pauses", "document.getElementById('state').innerText === 'paused'");
        drop((found, pool));
        let late: Vec<Scope> = (0..20).map(|i| Scope::new_in(&beside, format!("late{i}"))).collect();
        assert_eq!(tab.value(NAMES), json!("process,outer,beside,found"));
        tab.press(&["p"]);
        tab.until("it catches up", &format!("{NAMES}.includes('late19') && !{NAMES}.includes('found')"));
        drop(late);
        shows(&mut tab, "process,outer,beside");

        // Hidden, it closes the stream, of which a browser has few for one server.
        let hide = |hidden| {
            format!(
                "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}), document.dispatchEvent(new Event('visibilitychange'))"
            )
        };
        tab.value(&hide(true));
        let _unseen = Scope::new_in(&root, "unseen");
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(tab.value(NAMES), json!("process,outer,beside"));
        tab.value(&hide(false));
        shows(&mut tab, "process,outer,beside,unseen");
    });
}

#[test]
fn a_deep_and_long_tree_is_walked_by_keyboard_and_costs_what_changes() {
    in_browser(|browser| {
        let family = Registry::new();
        let mut chain = vec![Scope::new_in(&family.root(), "link")];
        for _ in 0..10_000 {
            let link = Scope::new_in(chain.last().expect("the first"), "link");
            chain.push(link);
        }
        let pool = chain[40].create("pool");
        // The manager counts as well.
        let server = Server::start(Inspector::new(&family).max_nodes(1_501).router());
        let mut tab = browser.open(&format!("http://{}/", server.address));
        tab.until("it is shown", "document.querySelectorAll('[role=treeitem]').length === 1500");
        assert_eq!(tab.value("document.documentElement.scrollWidth <= innerWidth"), json!(true));
        let names =
            "[...document.querySelectorAll('.head, .title')].every(name => name.getBoundingClientRect().width > 90)";
        for width in [390, 600, 961, 1100, 1400] {
            tab.looks_like(width, 600, false, 1);
            assert_eq!(tab.value(names), json!(true), "however deep, there is room for a name, {width} wide");
        }
        tab.looks_like(800, 600, false, 1);

        tab.value("document.querySelector('[role=treeitem][tabindex=\"0\"]').focus()");
        tab.press(&["End", "ArrowUp", "ArrowUp"]);
        tab.value("scrollTo(0, 100000)");
        let seen = "document.activeElement.getBoundingClientRect().top >= document.querySelector('header').getBoundingClientRect().bottom";
        for _ in 0..30 {
            tab.press(&["ArrowUp"]);
            assert_eq!(tab.value(seen), json!(true), "the focus is not below the head of the page");
        }

        // One row's changes are written, and no other row.
        tab.value("window.touched = new Set(); new MutationObserver(all => all.forEach(one => touched.add((one.target.closest?.('[role=treeitem]') || one.target).dataset?.id))).observe(document.getElementById('tree'), { subtree: true, childList: true, attributes: true }), 0");
        pool.start(PoolConfig::leased(1)).expect("starts");
        tab.until(
            "it is shown",
            "[...document.querySelectorAll('.how')].some(how => how.textContent === 'leased, joining')",
        );
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(tab.value("[...touched].join()"), json!(chain[40].id().to_string()));
        tab.press(&["Home", "ArrowDown", "ArrowLeft"]);
        tab.until("it collapses", "document.querySelectorAll('[role=treeitem]').length === 2");
        tab.until("and says so", "document.activeElement.innerText.includes('1498 below')");
        while chain.pop().is_some() {}
    });
}

#[test]
fn after_any_churn_the_page_shows_what_the_server_says() {
    in_browser(|browser| {
        let family = Registry::new();
        let inspector = Inspector::new(&family).max_nodes(120);
        let server = Server::start(inspector.router());
        let mut tab = browser.open(&format!("http://{}/", server.address));
        tab.until("it is live", "document.getElementById('state').innerText === 'live'");
        // More nodes than are sent, so that the shown nodes change with their tasks as well.
        let mut random = 7_u64;
        let mut next = move |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        let mut scopes = vec![Scope::new_in(&family.root(), "first")];
        let mut held = Vec::new();
        for round in 0..24 {
            for _ in 0..60 {
                let at = next(scopes.len());
                match next(5) {
                    0 if scopes.len() > 100 => drop(scopes.swap_remove(at)),
                    1 => {
                        let pool = scopes[at].create(next(3) as u64);
                        let (go, wait) = mpsc::channel::<()>();
                        if pool.start(PoolConfig::leased(1)).is_ok() {
                            held.push((go, pool.submit(move || wait.recv().is_ok())));
                        }
                    }
                    2 if held.len() > 20 => drop(held.swap_remove(next(held.len()))),
                    _ => scopes.push(Scope::new_in(&scopes[at], format!("round {round}"))),
                }
            }
            std::thread::sleep(Duration::from_millis(110));
            if round == 12 {
                tab.press(&["p"]);
            }
            if round == 14 {
                tab.press(&["p"]);
            }
        }
        let same = "fetch('/snapshot').then(answer => answer.json()).then(seen => {
            const below = new Map();
            for (const node of seen.nodes) below.set(node.parent, [...below.get(node.parent) || [], node]);
            const order = [], todo = [...below.get(null)];
            while (todo.length) {
                const node = todo.shift();
                order.push(node.id);
                todo.unshift(...(below.get(node.id) || []).sort((a, b) => a.id - b.id));
            }
            const rows = [...document.querySelectorAll('[role=treeitem]')];
            const pools = rows.map(row => row.querySelectorAll('.manager').length).join();
            const said = order.map(id => seen.nodes.find(node => node.id === id).managers.length).join();
            return order.join() === rows.map(row => row.dataset.id).join() && pools === said;
        })";
        common::eventually("both say the same", || tab.value(same) == json!(true));
        drop(held);
    });
}
