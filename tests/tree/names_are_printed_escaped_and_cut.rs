//! A name may come from a client. Whatever it holds, what prints it stays on its line and in its quotes, and is short; the
//! whole name is there for who asks for it.

use std::fmt::{Debug, Display};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use heirloom::{Gate, Lineage, Namespace, PoolConfig, Registry, Scope, TaskType, thread};

use crate::common::pools::started;
use crate::common::{alone, bounded};

/// Ends lines and quotes, clears a screen, turns text around, hides, and is long.
const BEGINS: &str = "\r\n\u{1b}[2J\u{202e}\u{2066}\u{200b}\u{2028}\u{2029}\u{85}\u{7f}\0\"\\";
/// How it is printed.
const PRINTED: &str = r#"\r\n\u{1b}[2J\u{202e}\u{2066}\u{200b}\u{2028}\u{2029}\u{85}\u{7f}\0\"\\xxx"#;

fn hostile() -> String {
    format!("{BEGINS}{}", "x".repeat(100_000))
}

/// Control and format characters, and what ends a line.
fn reaches_further(c: char) -> bool {
    let marks = ['\u{61c}', '\u{feff}', '\u{ad}', '\u{2028}', '\u{2029}'];
    c.is_control()
        || marks.contains(&c)
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// The text is harmless, and has so many lines.
fn harmless(text: &str, lines: usize) {
    let shown: String = text.chars().take(2_000).collect();
    assert!(text.chars().all(|c| c == '\n' || !reaches_further(c)), "{shown:?}");
    assert_eq!(text.lines().count(), lines, "{shown:?}");
    assert!(text.len() < 1_200, "{} bytes: {shown:?}", text.len());
}

fn prints(thing: &impl Display, lines: usize) {
    let text = thing.to_string();
    harmless(&text, lines);
    assert!(text.contains(PRINTED) && text.contains('…'), "{text}");
}

fn prints_for_debugging(thing: &impl Debug) {
    harmless(&format!("{thing:?}"), 1);
}

#[test]
fn a_name_is_printed_as_in_a_string_literal_and_cut() {
    assert_eq!(Namespace::from("it's/one 家族 é").to_string(), "it's/one 家族 é");
    assert_eq!(Namespace::from("\u{202e}\n\"\\\u{1b}").to_string(), r#"\u{202e}\n\"\\\u{1b}"#);
    assert_eq!(format!("{:?}", TaskType::from("a\"b")), r#""a\"b""#);
    assert_eq!(format!("{:>4}|{:<4}|", Namespace::from("io"), Namespace::from("a\n")), "  io|a\\n |");
    let exact = "家".repeat(100);
    assert_eq!(Namespace::from(exact.clone()).to_string(), exact);
    assert_eq!(Namespace::from(format!("{exact}家")).to_string(), format!("{exact}…"));
    prints(&Namespace::from(hostile()), 1);
    prints_for_debugging(&TaskType::from(hostile()));
}

#[test]
fn the_whole_name_is_there_for_who_asks() {
    assert_eq!(Namespace::from(hostile()).raw(), hostile());
    assert_eq!(TaskType::from(hostile()).raw(), hostile());
    assert_eq!(Namespace::from(7).raw(), "#7");
    assert!(Namespace::of::<Scope>().raw().ends_with("Scope"));
    let scope = Scope::new(hostile());
    assert_eq!(scope.name(), Some(&*hostile()));
}

#[cfg(feature = "serde")]
#[test]
fn a_name_is_serialised_whole() {
    let json = serde_json::to_value(Namespace::from(hostile())).expect("a text");
    assert_eq!(json, serde_json::Value::from(hostile()));
}

#[test]
fn a_place_is_printed_so() {
    bounded(|| {
        let scope = Scope::new(hostile());
        prints(scope.lineage(), 1);
        prints(&scope, 1);
        prints_for_debugging(scope.lineage());
        prints_for_debugging(&scope);
        let child = thread::Builder::new().name(hostile().replace('\0', "")).spawn(heirloom::current).expect("starts");
        harmless(&child.join().expect("ends").to_string(), 1);
    });
}

#[test]
fn the_tree_and_the_reports_print_names_so() {
    bounded(|| {
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), hostile());
        let pool = scope.create(hostile());
        pool.start(PoolConfig::leased(1).task_type(hostile())).expect("starts");
        let (go, wait) = mpsc::channel::<()>();
        let (here, runs) = mpsc::channel();
        let waits = move || {
            here.send(()).expect("the test listens");
            wait.recv()
        };
        drop(pool.submit_as(hostile(), waits).expect("accepted"));
        // The report names it then.
        runs.recv().expect("it starts");
        let tree = family.tree().to_string();
        // The process, the scope, its manager.
        for line in tree.lines() {
            harmless(line, 1);
        }
        assert_eq!((tree.lines().count(), tree.matches(PRINTED).count()), (3, 3), "{tree}");
        prints(&pool.stats(), 1);
        prints_for_debugging(&pool);
        let report = family.shutdown_timeout(Duration::ZERO).to_string();
        assert_eq!((report.lines().count(), report.matches(PRINTED).count()), (3, 3), "{report}");
        report.lines().for_each(|line| harmless(line, 1));
        drop(go);
    });
}

#[test]
fn errors_print_names_so() {
    bounded(|| {
        let scope = Scope::new(hostile());
        let missing = scope.get(hostile()).expect_err("nobody has it");
        prints(&missing, 1);
        let pool = scope.create(hostile());
        prints(&pool.submit(|| ()).map(drop).expect_err("not started"), 1);
        prints(&pool.start(PoolConfig::leased(0)).expect_err("none at once"), 1);
        pool.start(PoolConfig::leased(1).task_type(hostile()).log_panics(false)).expect("starts");
        prints(&pool.start(PoolConfig::leased(1)).expect_err("it runs"), 1);
        let other = format!("{}, another", hostile());
        let refused = pool.submit_as(other.clone(), || ()).map(drop).expect_err("another type");
        harmless(&refused.to_string().replace(PRINTED, ""), 1);
        let wanted = pool.typed::<Kind>().map(drop).expect_err("another type");
        prints(&wanted, 1);
        let own = pool.clone();
        let stops =
            scope.run(|| pool.submit_as(hostile(), move || own.stop())).expect("accepted").join().expect("ends");
        prints(&stops.expect_err("one of its own tasks"), 1);
        let stops = Scope::run(hostile(), |scope| started(scope, "inner", PoolConfig::leased(1)).run(|| scope.stop()));
        prints(&stops.expect("ends").expect_err("one of its own tasks"), 1);
        let panics = pool.submit_as(hostile(), || std::panic::resume_unwind(Box::new(()))).expect("accepted");
        let panicked = panics.join().map(drop::<()>).expect_err("it panics");
        prints(&panicked, 1);
        prints_for_debugging(&panicked);
    });
}

struct Kind;
impl heirloom::TaskKind for Kind {}

#[test]
fn who_holds_a_gate_is_printed_so() {
    bounded(|| {
        let gate = std::sync::Arc::new(Gate::new("stage"));
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let named = scope.create(hostile());
        named.start(PoolConfig::leased(1)).expect("starts");
        let held = std::sync::Arc::clone(&gate);
        let busy = named.run(|| {
            let _in = gate.enter().expect("free");
            let asks = pool.submit(move || held.try_enter().map(drop).expect_err("held"));
            asks.expect("accepted").join().expect("ends")
        });
        prints(&busy.expect("ends"), 1);
    });
}

#[test]
fn the_threads_of_a_pool_are_named_so() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create(hostile());
        pool.start(PoolConfig::dedicated(1)).expect("starts");
        let name =
            pool.submit(|| std::thread::current().name().map(String::from)).expect("accepted").join().expect("runs");
        harmless(&name.expect("a name"), 1);
        let worker = pool.submit(|| heirloom::worker().map(|worker| worker.lineage().to_string()));
        harmless(&worker.expect("accepted").join().expect("ends").expect("a pool's thread"), 1);
    });
}

#[test]
fn what_is_said_through_tracing_prints_names_so() {
    alone(|| {
        tracing::subscriber::set_global_default(Ear).expect("nobody else sets one");
        let scope = Scope::new("test");
        let pool = scope.create(hostile());
        pool.start(PoolConfig::leased(1).task_type(hostile()).max_blocked(0)).expect("starts");
        let panics = pool.submit_as(hostile(), || -> () { panic!("once") }).expect("accepted");
        assert!(panics.join().is_err());
        let waits = pool.submit_as(hostile(), || heirloom::sleep(Duration::from_millis(1)).is_ok());
        waits.expect("accepted").join().expect("ends");
        let said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        let own: Vec<&String> = said.iter().filter(|text| text.contains("xxx")).collect();
        // The panic's namespace and type, and the warning's namespace.
        assert_eq!(own.len(), 3, "{own:?}");
        own.into_iter().for_each(|text| prints(text, 1));
    });
}

static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps each field as its subscriber formats it.
struct Ear;

impl tracing::field::Visit for Ear {
    fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn Debug) {
        SAID.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{value:?}"));
    }
}

impl tracing::Subscriber for Ear {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "heirloom"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Ear);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[cfg(feature = "task-log")]
#[test]
fn a_line_of_a_tasks_log_stays_on_its_line() {
    use tracing_subscriber::layer::SubscriberExt;
    bounded(|| {
        let log = heirloom::task_log::TaskLog::new();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let subscriber = tracing_subscriber::registry().with(log.clone());
        let says = move || {
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(by = hostile(), shown = ?Bare("a \"b\"\u{202e}"), "{}", hostile());
            });
        };
        let task = pool.submit(says).expect("accepted");
        let record = log.record(task.id());
        task.join().expect("runs");
        let line = record.lines().remove(0);
        assert_eq!(line.message, hostile(), "the whole of it");
        let text = line.to_string();
        assert!(text.chars().all(|c| !reaches_further(c)), "{text}");
        assert!(text.contains(r#"shown=a "b"\u{202e}"#), "quotes are no end here: {text}");
        assert!((1_500..3_000).contains(&text.len()), "{text}");
    });
}

#[cfg(feature = "task-log")]
struct Bare(&'static str);

#[cfg(feature = "task-log")]
impl Debug for Bare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

#[test]
fn what_prints_the_same_is_not_the_same() {
    bounded(|| {
        let scope = Scope::new_in(&Lineage::process(), "test");
        let long = |end: &str| format!("{}{end}", "x".repeat(1_000));
        let (one, other) = (scope.create(long("1")), scope.create(long("2")));
        assert_eq!(one.namespace().to_string(), other.namespace().to_string());
        assert!(
            scope.get(long("1")).expect("here").is_same(&one) && scope.get(long("2")).expect("here").is_same(&other)
        );
    });
}
