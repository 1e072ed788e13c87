//! Waits of heirloom's that hold each other up for ever are found, whichever of them closes the circle: one wait ends
//! with an error that names them all, and the others go on. Waits that hold up nobody for ever are left alone.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Circle, Gate, Heirloom, HeirloomMap, PoolConfig, PoolManager, Scope, TaskHandle, TaskSet, thread};

use crate::common::pools::started;
use crate::common::{bounded, eventually};

/// A pool whose tasks have a thread each, so that each wait is a link of its own.
fn workers(n: usize) -> PoolConfig {
    PoolConfig::leased(n).workers_only()
}

/// The circle that a wait was told, if it was.
type Told = Option<Circle>;

fn told<T>(out: Result<T, heirloom::Error>) -> Told {
    match out {
        Ok(_) => None,
        Err(error) => {
            let circle = error.circle().cloned();
            assert!(circle.is_some(), "{error}");
            Some(circle.expect("as asserted"))
        }
    }
}

/// How the second one waits for the first one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Link {
    Join,
    JoinCancelling,
    Set,
    Idle,
    Stop,
    ScopeStop,
    Thread,
    Value,
    Gate,
    Room,
    Queued,
    Run,
    Borrow,
}

const LINKS: [Link; 13] = [
    Link::Join,
    Link::JoinCancelling,
    Link::Set,
    Link::Idle,
    Link::Stop,
    Link::ScopeStop,
    Link::Thread,
    Link::Value,
    Link::Gate,
    Link::Room,
    Link::Queued,
    Link::Run,
    Link::Borrow,
];

static VALUES: HeirloomMap<u64, u32> = HeirloomMap::new("config");
static STAGE: Gate = Gate::new("stage");

impl Link {
    fn config(self) -> PoolConfig {
        match self {
            Self::Room => workers(1).holds_permit().queue_limit(1),
            Self::Queued | Self::Run | Self::Borrow => workers(1).holds_permit(),
            _ => workers(1),
        }
    }

    /// What the first one does, which then waits for the second.
    fn first(self, key: u64, ready: mpsc::Sender<()>, waits: impl FnOnce() -> Told) -> Told {
        let wait = || {
            ready.send(()).expect("the test listens");
            waits()
        };
        match self {
            Self::Gate => {
                let _in = STAGE.enter_timeout(Duration::MAX).expect("it is free in the end");
                wait()
            }
            Self::Value => {
                let mut out = None;
                let made = VALUES.get_or_init(&key, || {
                    out = wait();
                    7
                });
                assert_eq!(*made.expect("it is made"), 7);
                out
            }
            _ => wait(),
        }
    }

    /// What is in a word of the circle.
    fn words(self) -> &'static str {
        match self {
            Self::Join | Self::JoinCancelling => "waits for task ",
            Self::Set => "waits for the first of several tasks, one of them task ",
            Self::Idle | Self::Stop => "waits for the end of the tasks of \"first\"",
            Self::ScopeStop => "waits for the end of the tasks of scope \"inner\"",
            Self::Thread => "waits for the end of thread \"first\"",
            Self::Value => "waits for the value of \"config\"",
            Self::Gate => "waits for the gate \"stage\"",
            Self::Room => "waits for room in the queue of \"first\"",
            Self::Queued | Self::Run => ", which is queued",
            Self::Borrow => "waits for the end of the borrowing tasks in \"first\"",
        }
    }

    /// The second one is told, also if it waits first: it may do without.
    fn asks(self) -> bool {
        matches!(self, Self::Value | Self::Gate)
    }

    /// The second one cannot be told.
    fn is_deaf(self) -> bool {
        self == Self::Borrow
    }
}

enum First {
    Task(TaskHandle<Told>),
    Thread(thread::JoinHandle<Told>),
}

/// Two that wait for each other; what each was told. In order, the second one waits before the first one does.
fn play(link: Link, key: u64, in_order: bool) -> [Told; 2] {
    let scope = Scope::new("test");
    let first_pool = started(&scope, "first", link.config());
    let second_pool = started(&scope, "second", workers(2));
    let inner = Scope::new_in(&scope, "inner");
    let (ready, is_ready) = mpsc::channel();
    let (hand, handed) = mpsc::channel::<TaskHandle<Told>>();
    let (tells, told_first) = mpsc::channel();
    let body = move || {
        let out = link.first(key, ready, || told_or(handed.recv().expect("handed over")));
        tells.send(out.clone()).expect("the test listens");
        out
    };
    let first = if link == Link::Thread {
        First::Thread(thread::Builder::new().name("first").spawn(body).expect("a thread starts"))
    } else {
        First::Task(inner.run(|| first_pool.submit(body)).expect("accepted"))
    };
    is_ready.recv().expect("the first one is ready");
    let fills = (link == Link::Room).then(|| first_pool.submit(|| ()).expect("there is room for one"));
    let pool = first_pool.clone();
    let (tells, told_second) = mpsc::channel();
    let second = second_pool.submit(move || {
        let out = second(link, key, &pool, inner, first);
        tells.send(out.clone()).expect("the test listens");
        out
    });
    if in_order {
        eventually("the second one waits", || second_pool.stats().waiting == 1);
    }
    hand.send(second.expect("accepted")).expect("the first one listens");
    let out = [told_first.recv().expect("it ends"), told_second.recv().expect("it ends")];
    drop(fills);
    assert!(scope.stop().expect("from outside").is_complete());
    out
}

/// The circle that was told to this join, or nothing: what the task itself was told is its own.
fn told_or(task: TaskHandle<Told>) -> Told {
    told(task.join())
}

fn second(link: Link, key: u64, pool: &PoolManager, inner: Scope, first: First) -> Told {
    match (link, first) {
        (Link::Join, First::Task(first)) => told(first.join()),
        (Link::JoinCancelling, First::Task(first)) => told(first.join_cancelling()),
        (Link::Set, First::Task(first)) => {
            let mut set = TaskSet::from_iter([first]);
            let out = set.join_next().expect("there is one").1;
            assert!(set.is_empty());
            told(out)
        }
        (Link::Idle, _) => told(pool.wait_idle()),
        (Link::Stop, _) => told(pool.stop()),
        (Link::ScopeStop, _) => {
            let out = told(inner.stop());
            inner.finish();
            out
        }
        (Link::Thread, First::Thread(first)) => told(first.join()),
        (Link::Value, _) => told(VALUES.get_or_init(&key, || unreachable!("the first one makes it"))),
        (Link::Gate, _) => told(STAGE.enter_timeout(Duration::MAX).map(drop)),
        (Link::Room, _) => told(pool.submit_timeout(|| (), Duration::MAX).map(drop)),
        (Link::Queued, _) => told(pool.submit(|| ()).expect("accepted").join()),
        (Link::Run, _) => told(pool.run(|| ())),
        (Link::Borrow, _) => {
            pool.scope(|s| drop(s.submit(|| ()).expect("accepted")));
            None
        }
        (link, _) => unreachable!("{link:?} waits for the other kind"),
    }
}

#[test]
fn whoever_closes_a_circle_of_two_is_told() {
    bounded(|| {
        for (key, link) in LINKS.into_iter().enumerate() {
            let [first, second] = play(link, key as u64, true);
            let (circle, other) = if link.asks() { (second, first) } else { (first, second) };
            let circle = circle.unwrap_or_else(|| panic!("{link:?}: nobody was told"));
            assert_eq!(other, None, "{link:?}");
            assert_eq!(circle.links().len(), 2, "{circle}");
            let text = circle.to_string();
            assert!(text.contains(link.words()), "{link:?}: {text}");
            assert!(text.contains("of \"second\" on thread"), "{link:?}: {text}");
        }
    });
}

#[test]
fn of_two_that_close_a_circle_together_exactly_one_is_told() {
    bounded(|| {
        for round in 0..40 {
            for (at, link) in LINKS.into_iter().enumerate() {
                let [first, second] = play(link, 1000 + round * 100 + at as u64, false);
                assert_eq!(usize::from(first.is_some()) + usize::from(second.is_some()), 1, "{link:?}");
                if link.asks() {
                    assert!(second.is_some(), "{link:?}");
                }
                if link.is_deaf() {
                    assert!(first.is_some(), "{link:?}");
                }
            }
        }
    });
}

#[test]
fn a_ring_of_three_is_told_once() {
    bounded(|| {
        for _ in 0..100 {
            let scope = Scope::new("test");
            let pools = ["a", "b", "c"].map(|name| started(&scope, name, workers(1)));
            let channels: [_; 3] = std::array::from_fn(|_| mpsc::channel::<TaskHandle<Told>>());
            let [(to_a, a), (to_b, b), (to_c, c)] = channels;
            let (tells, tell) = mpsc::channel();
            let joins = |pool: &PoolManager, next: mpsc::Receiver<TaskHandle<Told>>| {
                let tells = tells.clone();
                let task = pool.submit(move || {
                    let out = told_or(next.recv().expect("handed over"));
                    tells.send(out.clone()).expect("the test listens");
                    out
                });
                task.expect("accepted")
            };
            let (a, b, c) = (joins(&pools[0], a), joins(&pools[1], b), joins(&pools[2], c));
            to_a.send(b).expect("it listens");
            to_b.send(c).expect("it listens");
            to_c.send(a).expect("it listens");
            let all: Vec<Circle> = tell.iter().take(3).flatten().collect();
            let [circle] = &all[..] else { panic!("{all:?}") };
            assert_eq!(circle.links().len(), 3, "{circle}");
        }
    });
}

#[test]
fn a_joined_task_that_was_refused_goes_on_detached() {
    bounded(|| {
        let scope = Scope::new("test");
        let [a, b] = ["a", "b"].map(|name| started(&scope, name, PoolConfig::leased(1)));
        let (hand, handed) = mpsc::channel::<TaskHandle<()>>();
        let (does, done) = mpsc::channel();
        let first = a.submit(move || {
            handed
                .recv()
                .expect("handed over")
                .join()
                .is_err_and(|error| error.kind() == heirloom::ErrorKind::WouldDeadlock)
        });
        let waiting = b.submit(move || {
            let refused = first.expect("accepted").join().expect("it ends");
            does.send(refused).expect("the test listens");
        });
        eventually("it waits", || b.stats().waiting == 1);
        hand.send(waiting.expect("accepted")).expect("it listens");
        assert!(done.recv().expect("the task goes on"));
    });
}

#[test]
fn a_wait_with_a_deadline_is_left_alone_in_a_circle() {
    bounded(|| {
        let scope = Scope::new("test");
        let [a, b] = ["a", "b"].map(|name| started(&scope, name, PoolConfig::leased(1)));
        let (hand, handed) = mpsc::channel::<TaskHandle<bool>>();
        let first = a.submit(move || told(handed.recv().expect("handed over").join()).is_some()).expect("accepted");
        let second = b.submit(move || match first.join_timeout(Duration::from_millis(200)) {
            Err(not_yet) => {
                drop(not_yet); // it waited its time, and was not told
                true
            }
            Ok(_) => false,
        });
        hand.send(second.expect("accepted")).expect("it listens");
        a.wait_idle().expect("nobody waits for this thread");
    });
}

#[test]
fn a_thread_that_drives_its_pool_is_held_up_by_what_its_future_waits_for() {
    static DOOR: Gate = Gate::new("door");
    bounded(|| {
        for asks_first in [true, false] {
            let scope = Scope::new("test");
            let work = started(&scope, "work", PoolConfig::leased(1));
            let local = scope.create("ui").start_local(PoolConfig::local()).expect("starts");
            let _in = DOOR.enter_timeout(Duration::MAX).expect("it is free");
            let (go, gate) = mpsc::channel::<()>();
            let asks = work.submit(move || {
                let _ = gate.recv();
                told(DOOR.enter_timeout(Duration::MAX).map(drop))
            });
            if asks_first {
                drop(go);
                eventually("it waits", || work.stats().waiting == 1);
            } else {
                let _later = std::thread::spawn(move || {
                    std::thread::yield_now();
                    drop(go);
                });
            }
            assert!(local.run_until(asks.expect("accepted")).expect("runs").is_some());
        }
    });
}

#[test]
fn a_join_of_what_waits_for_the_local_pool_of_the_joiners_thread_is_told() {
    bounded(|| {
        let scope = Scope::new("test");
        let work = started(&scope, "work", PoolConfig::leased(1));
        let ui = scope.create("ui");
        let _local = ui.start_local(PoolConfig::local()).expect("starts");
        let needs_the_thread = work.submit(move || ui.submit(|| "clicked").expect("accepted").join().is_ok());
        eventually("it waits", || work.stats().waiting == 1);
        let circle = told(needs_the_thread.expect("accepted").join()).expect("nobody runs what is queued here");
        assert!(circle.to_string().contains("of \"ui\", which is queued"), "{circle}");
    });
}

#[test]
fn a_run_that_is_queued_behind_its_caller_does_not_run() {
    bounded(|| {
        let scope = Scope::new("test");
        let [a, b] = ["a", "b"].map(|name| started(&scope, name, PoolConfig::leased(1).holds_permit()));
        let (hand, handed) = mpsc::channel::<TaskHandle<bool>>();
        let first = a.submit(move || told(handed.recv().expect("handed over").join()).is_some()).expect("accepted");
        let behind = a.clone();
        let second = b.submit(move || {
            let mut ran = false;
            let out = behind.run(|| ran = true);
            out.is_err_and(|error| error.kind() == heirloom::ErrorKind::WouldDeadlock) && !ran
        });
        hand.send(second.expect("accepted")).expect("it listens");
        // One of the two was told; whichever it was, both end.
        let was_told = first.join().expect("runs");
        assert!(scope.stop().expect("from outside").is_complete());
        let _ = was_told;
    });
}

/// Random waits that never form a circle: each handle has one joiner, which was submitted later; gates are entered one
/// at a time, and values need no others.
#[test]
fn waits_that_form_no_circle_are_never_told() {
    static GATES: [Gate; 3] = [const { Gate::new("random") }; 3];
    static VALUE: Heirloom<u32> = Heirloom::new("random");
    fn leaf(n: u64) -> u64 {
        let gate = &GATES[(n % 3) as usize];
        match n % 5 {
            0 => gate.enter_timeout(Duration::MAX).map(|_in| n).expect("no circle"),
            1 => u64::from(*VALUE.get_or_init(|| 7).expect("no circle")),
            _ => n,
        }
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pools = [
            started(&scope, "two", PoolConfig::leased(2)),
            started(&scope, "keeps", PoolConfig::leased(2).holds_permit()),
            started(&scope, "own", PoolConfig::dedicated(2)),
        ];
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut open: Vec<TaskHandle<u64>> = Vec::new();
        for n in 0..4000 {
            let takes = (random() % 3) as usize;
            let at = open.len().saturating_sub(takes);
            let earlier = open.split_off(at);
            // What keeps its places waits for nothing that is queued in such a pool.
            let pool =
                if earlier.is_empty() { &pools[(random() % 3) as usize] } else { &pools[(random() % 2 * 2) as usize] };
            let as_set = random() % 2 == 0;
            let task = pool.submit(move || {
                let mut sum = leaf(n);
                if as_set {
                    let mut set = TaskSet::from_iter(earlier);
                    while let Some((_, out)) = set.join_next() {
                        sum ^= out.expect("no circle");
                    }
                } else {
                    for task in earlier {
                        sum ^= task.join().expect("no circle");
                    }
                }
                sum
            });
            open.push(task.expect("accepted"));
            if n % 97 == 0 {
                open.pop().expect("there is one").join().expect("no circle");
            }
        }
        for task in open {
            task.join().expect("no circle");
        }
        for pool in &pools {
            pool.wait_idle().expect("no circle");
        }
        assert!(scope.stop().expect("no circle").is_complete());
    });
}
