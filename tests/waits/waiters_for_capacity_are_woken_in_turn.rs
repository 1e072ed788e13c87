//! A release of capacity wakes the first submitter in the line that was not woken since its last look, also where others
//! before it were woken and have not looked.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use heirloom::{Error, PoolConfig, PoolManager, Scope, TaskHandle};

use crate::common;

/// Counts its wakes.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

type Submitted<'a> = Pin<Box<dyn Future<Output = Result<TaskHandle<()>, Error>> + 'a>>;

/// A submitter that waits for capacity.
struct Submitter<'a> {
    future: Submitted<'a>,
    woken: Arc<Woken>,
}

impl<'a> Submitter<'a> {
    fn of(queue: &'a PoolManager) -> Self {
        let mut this = Self { future: Box::pin(queue.submit_async(|| ())), woken: Arc::default() };
        assert!(this.look().is_pending());
        this
    }

    fn look(&mut self) -> Poll<Result<TaskHandle<()>, Error>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }
}

/// Calls `f` with a queue that no thread runs, and with the tasks that fill it.
fn with_full_queue(limit: usize, f: fn(&PoolManager, Vec<TaskHandle<()>>)) {
    common::bounded(move || {
        let scope = Scope::new("scope");
        let queue = scope.create("queue");
        let _local = queue.start_local(PoolConfig::local().queue_limit(limit)).expect("it starts");
        let tasks = (0..limit).map(|_| queue.submit(|| ()).expect("there is capacity")).collect();
        f(&queue, tasks);
    });
}

#[test]
fn each_release_wakes_the_next_in_line() {
    with_full_queue(3, |queue, tasks| {
        let mut line: Vec<_> = (0..4).map(|_| Submitter::of(queue)).collect();
        let wakes = |line: &[Submitter<'_>]| line.iter().map(Submitter::wakes).collect::<Vec<_>>();
        for (task, expected) in tasks.iter().zip([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]) {
            let _ = task.cancel();
            assert_eq!(wakes(&line), expected);
        }
        assert!(line[..3].iter_mut().all(|submitter| submitter.look().is_ready()));
        assert!(line[3].look().is_pending());
    });
}

#[test]
fn one_that_was_woken_and_found_nothing_is_woken_again() {
    with_full_queue(1, |queue, tasks| {
        let (mut first, second) = (Submitter::of(queue), Submitter::of(queue));
        let _ = tasks[0].cancel();
        let newcomer = queue.submit(|| ()).expect("a wake reserves nothing");
        assert!(first.look().is_pending(), "the newcomer has the capacity");
        let _ = newcomer.cancel();
        assert_eq!((first.wakes(), second.wakes()), (2, 0));
        assert!(first.look().is_ready());
    });
}

#[test]
fn one_that_gives_up_after_its_wake_wakes_the_next() {
    with_full_queue(1, |queue, tasks| {
        let (first, mut second) = (Submitter::of(queue), Submitter::of(queue));
        let _ = tasks[0].cancel();
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        drop(first);
        assert_eq!(second.wakes(), 1);
        assert!(second.look().is_ready());
    });
}

#[test]
fn the_line_begins_anew_after_it_was_empty() {
    with_full_queue(1, |queue, tasks| {
        let first = Submitter::of(queue);
        let _ = tasks[0].cancel();
        let newcomer = queue.submit(|| ()).expect("a wake reserves nothing");
        assert_eq!(first.wakes(), 1);
        drop(first);
        let mut second = Submitter::of(queue);
        let _ = newcomer.cancel();
        assert_eq!(second.wakes(), 1);
        assert!(second.look().is_ready());
    });
}
