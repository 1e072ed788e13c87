//! A task runs inside the `tracing` span that was current where it was submitted, on whatever thread and in whatever
//! pool; the thread's own span is restored after it.

use std::sync::{Arc, Mutex};

use heirloom::{PoolConfig, PoolManager, Scope};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::common::{self, alone};

/// What was said, each with the names of the spans it was said in, outermost first.
type Said = Arc<Mutex<Vec<(String, Vec<&'static str>)>>>;

struct Listens(Said);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Listens {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {}

    fn on_event(&self, event: &tracing::Event<'_>, cx: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let spans = cx.event_scope(event).map(|scope| scope.from_root().map(|span| span.name()).collect());
        let mut said = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        said.push((message.0, spans.unwrap_or_default()));
    }
}

/// Listens in the whole process, because the tasks run on other threads.
fn listen() -> Said {
    let said = Said::default();
    let subscriber = tracing_subscriber::registry().with(Listens(Arc::clone(&said)));
    tracing::subscriber::set_global_default(subscriber).expect("the process has none");
    said
}

/// The spans of every message that contains this text.
fn spans_of(said: &Said, text: &str) -> Vec<Vec<&'static str>> {
    let said = said.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    said.iter().filter(|(message, _)| message.contains(text)).map(|(_, spans)| spans.clone()).collect()
}

fn pools(owner: &Scope) -> Vec<PoolManager> {
    [PoolConfig::leased(1), PoolConfig::dedicated(1)]
        .into_iter()
        .enumerate()
        .map(|(i, config)| {
            let pool = owner.create(i as u64);
            pool.start(config).expect("starts");
            pool
        })
        .collect()
}

#[test]
fn a_task_on_another_thread_is_inside_it() {
    alone(|| {
        let said = listen();
        let owner = Scope::new("owner");
        for pool in pools(&owner) {
            let outer = tracing::info_span!("outer");
            let _outer = outer.enter();
            let inner = tracing::info_span!("inner");
            let task = inner.in_scope(|| pool.submit(|| tracing::info!("on another thread")));
            assert!(task.expect("open").join().is_ok());
        }
        assert_eq!(spans_of(&said, "on another thread"), [["outer", "inner"], ["outer", "inner"]]);
    });
}

#[test]
fn each_task_is_inside_its_own_and_inside_none_when_there_was_none() {
    alone(|| {
        let said = listen();
        let owner = Scope::new("owner");
        for pool in pools(&owner) {
            let first = tracing::info_span!("first").in_scope(|| pool.submit(|| tracing::info!("its own: first")));
            let second = tracing::info_span!("second").in_scope(|| pool.submit(|| tracing::info!("its own: second")));
            let third = pool.submit(|| tracing::info!("its own: none"));
            for task in [first, second, third] {
                assert!(task.expect("open").join().is_ok());
            }
        }
        assert_eq!(spans_of(&said, "its own: first"), [["first"], ["first"]]);
        assert_eq!(spans_of(&said, "its own: second"), [["second"], ["second"]]);
        assert_eq!(spans_of(&said, "its own: none"), [[""; 0]; 2]);
    });
}

#[test]
fn the_span_goes_on_from_task_to_task() {
    alone(|| {
        let said = listen();
        let owner = Scope::new("owner");
        for pool in pools(&owner) {
            let again = pool.clone();
            let outer = tracing::info_span!("request").in_scope(|| {
                pool.submit(move || {
                    let step = tracing::info_span!("step");
                    let inner = step.in_scope(|| again.submit(|| tracing::info!("from task to task")));
                    inner.expect("open").join()
                })
            });
            assert!(outer.expect("open").join().is_ok_and(|inner| inner.is_ok()));
        }
        assert_eq!(spans_of(&said, "from task to task"), [["request", "step"], ["request", "step"]]);
    });
}

#[test]
fn a_task_run_in_place_is_inside_its_own_and_the_joiners_comes_back() {
    alone(|| {
        let said = listen();
        let owner = Scope::new("owner");
        let pool = owner.create("one");
        pool.start(PoolConfig::leased(1).holds_permit()).expect("starts");
        let again = pool.clone();
        let outer = tracing::info_span!("joiner").in_scope(|| {
            pool.submit(move || {
                let inner = tracing::info_span!(parent: None, "submitter")
                    .in_scope(|| again.submit(|| tracing::info!("in place: inside")))
                    .expect("open");
                assert!(inner.join().is_ok());
                tracing::info!("in place: after");
            })
        });
        assert!(outer.expect("open").join().is_ok());
        let spans = spans_of(&said, "in place: inside");
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].last(), Some(&"submitter"));
        assert_eq!(spans_of(&said, "in place: after"), [["joiner"]]);
    });
}

#[test]
fn every_way_of_submitting_carries_it() {
    alone(|| {
        let said = listen();
        let owner = Scope::new("owner");
        for pool in pools(&owner) {
            let say = || tracing::info!("every way");
            tracing::info_span!("request").in_scope(|| {
                assert!(pool.try_submit(say).expect("open").join().is_ok());
                assert!(pool.run(say).is_ok());
                assert!(pool.scope(|s| s.submit(say).expect("open").join()).is_ok());
                let within = pool.submit_timeout(say, common::BOUND);
                assert!(within.expect("open").join().is_ok());
                assert!(pool.map(0..20, move |_| say()).expect("open").all(|each| each.is_ok()));
            });
        }
        let spans = spans_of(&said, "every way");
        assert_eq!(spans.len(), 2 * 24);
        assert!(spans.iter().all(|spans| *spans == ["request"]), "{spans:?}");
    });
}

#[test]
fn after_a_panic_the_next_task_is_not_in_it() {
    alone(|| {
        let said = listen();
        let owner = Scope::new("owner");
        for pool in pools(&owner) {
            let failing = tracing::info_span!("failing")
                .in_scope(|| pool.submit(|| std::panic::resume_unwind(Box::new("after a panic: itself"))));
            let failing: heirloom::TaskHandle<()> = failing.expect("open");
            assert!(failing.join().is_err());
            let next = pool.submit(|| tracing::info!("after a panic: next")).expect("open");
            assert!(next.join().is_ok());
        }
        assert_eq!(spans_of(&said, "after a panic: next"), [[""; 0]; 2]);
        // The report of the panic is made inside the task's span.
        assert_eq!(spans_of(&said, "after a panic: itself"), [["failing"], ["failing"]]);
    });
}

#[test]
fn a_span_lives_until_its_task_has_ended_and_no_longer() {
    struct Closes(Arc<Mutex<Vec<&'static str>>>);
    impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Closes {
        fn on_close(&self, id: Id, cx: Context<'_, S>) {
            if let Some(span) = cx.span(&id) {
                self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(span.name());
            }
        }
    }
    alone(|| {
        let closed = Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::registry().with(Closes(Arc::clone(&closed)));
        let seen = || closed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        // This subscriber is the submitting thread's alone; the span remembers whose it is.
        let owner = Scope::new("owner");
        let pool = owner.create("one");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let task = tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("short").in_scope(|| pool.submit(move || wait.recv().is_ok()).expect("open"))
        });
        assert!(seen().is_empty(), "the task holds it");
        drop(go);
        // The handle is kept: it is the task that holds the span, not the handle.
        assert!(pool.wait_idle().is_ok());
        assert_eq!(seen(), ["short"]);
        assert!(task.join().is_ok());
    });
}
