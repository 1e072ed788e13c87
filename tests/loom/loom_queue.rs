//! The queue: first in, first out, nothing lost and nothing twice.

use crate::model::{model, no_pool};
use crate::names::id::{NodeId, TaskId};
use crate::pool::core::queue::Queue;
use crate::sync::os::{Arc, thread};
use crate::task::body::Body;
use crate::task::cell::TaskRef;
use crate::task::rank::Rank;

/// The memo names the producer and the turn.
type Name = (usize, usize);

struct Books {
    queue: Queue<Name, Vec<Name>>,
}

fn queue() -> Arc<Books> {
    Arc::new(Books { queue: Queue::new(Vec::new(), ()) })
}

/// A queue with two levels, in which tenants take turns.
fn ordered() -> Arc<Books> {
    Arc::new(Books { queue: Queue::ordered(2, Vec::new(), ()) })
}

impl Books {
    fn push(&self, name: Name) {
        let _detached = self.push_with(None, name);
    }

    fn push_with(&self, rank: Option<Rank>, name: Name) -> TaskRef<Name> {
        let (queued, handle) = TaskRef::new(TaskId::next(), NodeId::next(), name, Body::new(|| ()));
        if let Some(rank) = rank {
            handle.set_rank(rank);
        }
        self.queue.push(queued);
        handle.into_task()
    }

    fn pop(&self) -> Option<Name> {
        Self::run(self.queue.pop(|_, _| {}).task?)
    }

    /// Pops the task if it is the next.
    fn pop_first(&self, handle: &TaskRef<Name>) -> Option<Name> {
        Self::run(self.queue.pop_first(handle, |_, _| {}).task?)
    }

    fn run(task: TaskRef<Name>) -> Option<Name> {
        let Ok(claimed) = task.claim() else { panic!("one task was popped twice") };
        let name = claimed.take_meta();
        assert!(claimed.run().is_ok());
        claimed.finish(&no_pool());
        name
    }
}

/// Each producer's own tasks, in the order in which they came.
fn of(producer: usize, names: &[Name]) -> Vec<usize> {
    names.iter().filter(|name| name.0 == producer).map(|name| name.1).collect()
}

#[test]
fn what_two_producers_push_is_popped_once_and_in_order() {
    model(4, || {
        let books = queue();
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let books = Arc::clone(&books);
                thread::spawn(move || {
                    books.push((producer, 0));
                    books.push((producer, 1));
                })
            })
            .collect();
        let mut seen: Vec<Name> = (0..2).filter_map(|_| books.pop()).collect();
        for producer in producers {
            producer.join().unwrap();
        }
        seen.extend(std::iter::from_fn(|| books.pop()));
        assert_eq!(of(0, &seen), [0, 1]);
        assert_eq!(of(1, &seen), [0, 1]);
    });
}

#[test]
fn two_consumers_never_get_the_same_task_and_leave_none() {
    model(4, || {
        let books = queue();
        books.push((0, 0));
        let consumer = {
            let books = Arc::clone(&books);
            thread::spawn(move || books.pop().into_iter().chain(books.pop()).collect::<Vec<_>>())
        };
        let producer = {
            let books = Arc::clone(&books);
            thread::spawn(move || {
                books.push((0, 1));
                books.push((0, 2));
            })
        };
        let mut seen: Vec<Name> = books.pop().into_iter().chain(books.pop()).collect();
        let theirs = consumer.join().unwrap();
        producer.join().unwrap();
        // Each consumer sees the order of the producer.
        assert!(of(0, &seen).is_sorted() && of(0, &theirs).is_sorted());
        seen.extend(theirs);
        seen.extend(std::iter::from_fn(|| books.pop()));
        let mut all = of(0, &seen);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

#[test]
fn taking_some_out_leaves_the_rest_in_order() {
    model(4, || {
        let books = queue();
        books.push((0, 0));
        books.push((1, 0));
        let producer = {
            let books = Arc::clone(&books);
            thread::spawn(move || {
                books.push((0, 1));
                books.push((1, 1));
            })
        };
        let taker = {
            let books = Arc::clone(&books);
            thread::spawn(move || {
                let mut kinds = [0, 1].into_iter().cycle();
                // Every other one, as long as there are some.
                books.queue.take_if(&mut |_| kinds.next() == Some(0)).len()
            })
        };
        let mut seen: Vec<Name> = books.pop().into_iter().collect();
        producer.join().unwrap();
        let taken = taker.join().unwrap();
        seen.extend(std::iter::from_fn(|| books.pop()));
        assert_eq!(seen.len() + taken, 4);
        assert!(of(0, &seen).is_sorted() && of(1, &seen).is_sorted());
    });
}

#[test]
fn a_pusher_that_comes_second_is_told_that_the_queue_had_more() {
    model(5, || {
        let books = queue();
        books.push((0, 0));
        let producer = {
            let books = Arc::clone(&books);
            thread::spawn(move || books.push((0, 1)))
        };
        let popped = books.queue.pop(|_, _| {});
        assert!(popped.task.is_some());
        let more = popped.more || !books.queue.inbox_is_empty();
        producer.join().unwrap();
        assert!(!books.queue.is_empty());
        // `more` was reported, so there is a task.
        if more {
            assert_eq!(books.pop(), Some((0, 1)));
        }
    });
}

#[test]
fn a_queue_with_an_order_loses_nothing_and_keeps_each_tenants_order() {
    model(4, || {
        let books = ordered();
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let books = Arc::clone(&books);
                thread::spawn(move || {
                    let rank = Rank::new(producer as u8, 1, producer as u64);
                    books.push_with(Some(rank), (producer, 0));
                    books.push_with(Some(rank), (producer, 1));
                })
            })
            .collect();
        let mut seen: Vec<Name> = (0..2).filter_map(|_| books.pop()).collect();
        for producer in producers {
            producer.join().unwrap();
        }
        seen.extend(std::iter::from_fn(|| books.pop()));
        assert_eq!(of(0, &seen), [0, 1]);
        assert_eq!(of(1, &seen), [0, 1]);
        assert!(books.queue.is_empty() && books.queue.looks_empty() && books.queue.length() == 0);
    });
}

#[test]
fn a_pusher_to_a_queue_with_an_order_is_seen_by_the_one_that_looks_after_it() {
    model(5, || {
        let books = ordered();
        books.push_with(Some(Rank::new(1, 1, 1)), (0, 0));
        let producer = {
            let books = Arc::clone(&books);
            thread::spawn(move || books.push_with(Some(Rank::new(0, 1, 2)), (1, 0)))
        };
        let popped = books.queue.pop(|_, _| {});
        assert!(popped.task.is_some());
        // As a worker that leaves: what is not seen here is the pusher's to announce.
        let seen = popped.more || !books.queue.looks_empty();
        producer.join().unwrap();
        assert!(!books.queue.is_empty());
        if seen {
            assert!(books.pop().is_some());
        }
    });
}

/// A joiner takes its task only when no task that was pushed before it is queued, whatever consumers and sweeps do.
fn a_joiner_takes_the_next_task(books: &Arc<Books>) {
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let _detached = books.push_with(None, (0, 0));
    let handle = books.push_with(None, (0, 1));
    let consumer = {
        let (books, order) = (Arc::clone(books), Arc::clone(&order));
        thread::spawn(move || {
            let popped = books.queue.pop(|_, task| order.lock().unwrap().extend(task.map(|_| 0)));
            popped.task.and_then(Books::run)
        })
    };
    let sweeper = {
        let books = Arc::clone(books);
        thread::spawn(move || assert!(books.queue.take_if(&mut |_| false).is_empty()))
    };
    // Noted under the queue's lock, as the consumer's pop is.
    let ours = books.queue.pop_first(&handle, |_, _| order.lock().unwrap().push(1));
    let ours = ours.task.and_then(Books::run);
    let theirs = consumer.join().unwrap();
    sweeper.join().unwrap();
    assert!(ours.is_none_or(|name| name == (0, 1)));
    // The consumer came first, or found the older task still there.
    assert_eq!(theirs, Some((0, 0)));
    assert!(order.lock().unwrap().is_sorted(), "the joiner's task overtook an older one");
    let rest: Vec<_> = std::iter::from_fn(|| books.pop()).collect();
    assert_eq!(rest.len(), usize::from(ours.is_none()));
}

#[test]
fn a_task_that_its_joiner_takes_overtakes_none() {
    model(3, || a_joiner_takes_the_next_task(&queue()));
}

#[test]
fn a_joiner_and_a_worker_never_take_the_same_task_and_leave_none() {
    model(4, || {
        let books = queue();
        let handle = books.push_with(None, (0, 0));
        let consumer = {
            let books = Arc::clone(&books);
            thread::spawn(move || books.pop())
        };
        let producer = {
            let books = Arc::clone(&books);
            thread::spawn(move || books.push((0, 1)))
        };
        let ours = books.pop_first(&handle);
        let theirs = consumer.join().unwrap();
        producer.join().unwrap();
        let mut seen: Vec<_> = ours.into_iter().chain(theirs).collect();
        seen.extend(std::iter::from_fn(|| books.pop()));
        seen.sort_unstable();
        assert_eq!(seen, [(0, 0), (0, 1)]);
    });
}
