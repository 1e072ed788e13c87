//! One thread of an engine carries the messages of all jobs, so no user code but a waker runs there. An output is decoded where the
//! result is taken, and a scope that ends with its last job drops its values on another thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{LazyLock, Mutex};

use heirloom::remote::Job;
use heirloom::{ErrorKind, Heirloom, Scope};
use serde::{Deserialize, Deserializer, Serialize};

use crate::broker::{GRANTED, Origin, Reply, sent, value};
use crate::common::bounded;
use crate::puppet::{Outcome, bytes};

/// Jobs with an output that decodes by `$decode`.
macro_rules! job {
    ($job:ident, $output:ident, $name:literal, $decode:expr) => {
        #[derive(Serialize)]
        struct $output(u64);

        impl<'de> Deserialize<'de> for $output {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let number = u64::deserialize(from)?;
                $decode(number);
                Ok(Self(number))
            }
        }

        #[derive(Serialize, Deserialize)]
        struct $job;

        impl Job for $job {
            const NAME: &'static str = $name;
            type Output = $output;

            fn run(self) -> $output {
                $output(0)
            }
        }
    };
}

type Gate = (Mutex<mpsc::Sender<()>>, Mutex<mpsc::Receiver<()>>);
static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let (open, gate) = mpsc::channel();
    (Mutex::new(open), Mutex::new(gate))
});
static DECODED: AtomicUsize = AtomicUsize::new(0);

job!(Slow, SlowOutput, "slow", |_| GATE.1.lock().expect("no panic under it").recv().expect("it opens"));
job!(Counted, CountedOutput, "counted", |_| DECODED.fetch_add(1, Ordering::SeqCst));
job!(Panics, PanicsOutput, "panics", |number| assert_eq!(number, 0, "no such number"));

/// A value that tells the thread of its drop.
struct Tells(mpsc::Sender<std::thread::ThreadId>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(std::thread::current().id());
    }
}

static TELLS: Heirloom<Tells> = Heirloom::new("tells");

const FIRST: Reply = Reply::Confirmed { first: true };

#[test]
fn a_deserialize_that_blocks_holds_up_its_own_joiner_alone() {
    bounded(|| {
        let origin = Origin::new();
        let slow = origin.pool.send(Slow).expect("accepted");
        let (quick, number) = sent(&origin);
        // This thread stands for the engine's.
        assert_eq!(origin.ended("w-1-a", slow.id().as_u64(), value(1)), FIRST);
        assert!(slow.is_finished());
        let joiner = std::thread::spawn(move || slow.join());
        assert_eq!(origin.ended("w-1-a", number, value(42)), FIRST);
        assert_eq!(quick.join().expect("a value"), 42);
        let stats = origin.pool.stats();
        assert_eq!((stats.completed, stats.running, stats.queued), (2, 0, 0));
        assert!(!joiner.is_finished());
        GATE.0.lock().expect("no panic under it").send(()).expect("the decoder listens");
        assert_eq!(joiner.join().expect("no panic").expect("a value").0, 1);
    });
}

#[test]
fn a_deserialize_that_panics_is_the_joiners_error() {
    bounded(|| {
        let origin = Origin::new();
        let task = origin.pool.send(Panics).expect("accepted");
        assert_eq!(origin.ended("w-1-a", task.id().as_u64(), value(7)), FIRST);
        let error = task.join().map(|output| output.0).expect_err("it panics");
        assert_eq!(error.kind(), ErrorKind::NotUnderstood);
        assert!(error.as_task().is_some_and(heirloom::TaskError::maybe_ran));
        let text = error.to_string();
        assert!(text.contains("w-1-a") && text.contains("no such number"), "{text}");
    });
}

#[test]
fn an_output_of_another_form_is_the_joiners_error() {
    bounded(|| {
        let origin = Origin::new();
        let (task, number) = sent(&origin);
        assert_eq!(origin.ended("w-1-a", number, Outcome::Value(bytes(&"text"))), FIRST);
        assert_eq!(task.join().expect_err("no number").kind(), ErrorKind::NotUnderstood);
    });
}

#[test]
fn a_future_decodes_where_it_is_polled_and_a_dropped_handle_decodes_nothing() {
    bounded(|| {
        let origin = Origin::new();
        let [before, after, awaited] = [(); 3].map(|()| origin.pool.send(Counted).expect("accepted"));
        let numbers = [&before, &after, &awaited].map(|task| task.id().as_u64());
        drop(before);
        for number in numbers {
            assert_eq!(origin.ended("w-1-a", number, value(1)), FIRST);
        }
        drop(after);
        assert_eq!(DECODED.load(Ordering::SeqCst), 0);
        assert_eq!(futures::executor::block_on(awaited).expect("a value").0, 1);
        assert_eq!(DECODED.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_scope_that_ends_with_its_last_job_drops_its_values_on_another_thread() {
    bounded(|| {
        let origin = Origin::new();
        let (tell, told) = mpsc::channel();
        let request = Scope::new_in(&origin.scope, "request 7");
        TELLS.at(&request).bind(Tells(tell)).expect("open");
        let (task, number) = request.run(|| sent(&origin));
        assert_eq!(origin.begin("w-1-a", number, 1, 1), GRANTED);
        drop(request);
        assert!(told.try_recv().is_err(), "the job is left");
        // This thread stands for the engine's.
        assert_eq!(origin.ended("w-1-a", number, value(42)), FIRST);
        assert_ne!(told.recv().expect("dropped"), std::thread::current().id());
        assert_eq!(task.join().expect("a value"), 42);
    });
}
