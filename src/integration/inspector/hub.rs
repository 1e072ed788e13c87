//! [`Hub`]: one look at the family at a time, for all readers.
//!
//! # The thread
//! The inspector has a thread of its own, so that a large family holds up no runtime's thread and no runtime is needed. A
//! reader that joins starts it if there is none, and the thread ends itself when it finds no reader. Both decide under the
//! lock, so there is never one too few, or two.
//!
//! # The race to fear
//! A reader registers between a look and its notification. A reader registers before it reads the state
//! ([`Updates`](super::updates::Updates)), and a look is published before readers are notified, so one of the two sees the
//! other.
//!
//! No user code runs under the lock: the look drops its nodes and managers before the lock is taken, and wakers are woken
//! after it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;

use super::host::Hosts;
use super::view::{Look, View, millis};
use crate::names::id::NodeId;
use crate::pool::blocking::release::block_on_wakers;
use crate::registry::registry::Registry;
use crate::sync::fork;
use crate::sync::os::{Arc, AtomicU64, AtomicUsize, Mutex, OnceLock, Ordering, thread};
use crate::sync::unwind::swallow;
use crate::wait::waker_set::WakerSet;

/// At most four looks a second.
pub(super) const PACE: Duration = Duration::from_millis(250);
/// The pause after a look, in multiples of the look's own time: at most a tenth of a CPU. [`SIGN_OF_LIFE`] bounds it.
const REST: u32 = 9;
/// The interval of updates without a change, by which a page sees that the server lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// The number of changes that a slow reader may be behind before it is sent everything again.
const KEPT: usize = 8;

pub(super) struct Hub {
    family: Registry,
    pub(super) max_nodes: AtomicUsize,
    pub(super) old_after: AtomicU64,
    pub(super) max_readers: AtomicUsize,
    pub(super) hosts: Hosts,
    began: Instant,
    /// Tells this process's answers from those of the process before it.
    run: u64,
    shared: Mutex<Shared>,
    /// Notified of each change, and of the hub's close.
    pub(super) changed: WakerSet,
    /// Notified of each look, and of the hub's close.
    pub(super) looked: WakerSet,
    /// Notified when the thread may have to end.
    leave: WakerSet,
}

#[derive(Default)]
struct Shared {
    /// The number of readers of each kind.
    readers: [usize; 2],
    /// The thread is there.
    looking: bool,
    closed: bool,
    latest: Option<Arc<Latest>>,
    /// The begin of the newest look, also of one without a change: later events may be missing in it.
    looked: Option<Instant>,
    /// The newest changes, each with the version it leads to.
    changes: VecDeque<(u64, Bytes)>,
    version: u64,
}

/// All that is shown at one time.
pub(super) struct Latest {
    pub(super) version: u64,
    nodes: Vec<(NodeId, Arc<str>)>,
    counts: String,
    /// Made for the first reader that needs it.
    full: OnceLock<Bytes>,
}

/// Why a reader gets nothing.
pub(super) enum Unable {
    Closed,
    /// There are as many readers as the limit.
    Full(usize),
    Thread(io::Error),
}

/// A reader's kind.
#[derive(Clone, Copy)]
pub(super) enum Reader {
    /// Reads until it disconnects.
    Follows = 0,
    /// Reads one look.
    Once = 1,
}

/// A reader's next step.
pub(super) enum Next {
    Wait,
    Full(Arc<Latest>),
    Change(u64, Bytes),
    Over,
}

impl Hub {
    pub(super) fn new(family: &Registry) -> Self {
        family.root().0.node().family().index().totals.want_times();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            family: family.clone(),
            max_nodes: AtomicUsize::new(2_000),
            old_after: AtomicU64::new(10_000),
            max_readers: AtomicUsize::new(100),
            hosts: Hosts::default(),
            began: Instant::now(),
            // JavaScript's numbers have 53 bits.
            run: (now.as_micros() as u64 ^ u64::from(std::process::id())) & ((1 << 53) - 1),
            shared: Mutex::default(),
            changed: WakerSet::new(),
            looked: WakerSet::new(),
            leave: WakerSet::new(),
        }
    }

    /// Counts a reader in, and starts the thread if there is none.
    pub(super) fn join(self: &Arc<Self>, who: Reader) -> Result<(), Unable> {
        // No thread of a fork's child releases a lock that was held at the fork.
        if fork::is_fork() {
            return Err(Unable::Closed);
        }
        let mut shared = self.shared.lock();
        if shared.closed {
            return Err(Unable::Closed);
        }
        let most = self.max_readers.load(Ordering::Relaxed);
        if shared.readers[who as usize] >= most {
            return Err(Unable::Full(most));
        }
        if !shared.looking {
            let hub = Arc::clone(self);
            let thread = thread::Builder::new().name("heirloom-inspector".to_owned());
            thread.spawn(move || hub.work()).map_err(Unable::Thread)?;
            shared.looking = true;
        }
        shared.readers[who as usize] += 1;
        Ok(())
    }

    pub(super) fn part(&self, who: Reader) {
        let mut shared = self.shared.lock();
        shared.readers[who as usize] -= 1;
        let last = shared.readers == [0, 0];
        drop(shared);
        if last {
            self.leave.wake_all();
        }
    }

    pub(super) fn close(&self) {
        self.shared.lock().closed = true;
        self.leave.wake_all();
        self.notify(true);
    }

    /// Wakers are user code, so no lock is held.
    fn notify(&self, news: bool) {
        self.looked.wake_all();
        if news {
            self.changed.wake_all();
        }
    }

    /// Returns the news for a reader that has seen a version.
    pub(super) fn next(&self, seen: Option<u64>) -> Next {
        let shared = self.shared.lock();
        if shared.closed {
            return Next::Over;
        }
        let Some(latest) = &shared.latest else { return Next::Wait };
        match seen {
            Some(seen) if seen == latest.version => Next::Wait,
            Some(seen) => match shared.changes.iter().find(|(version, _)| *version == seen + 1) {
                Some((version, change)) => Next::Change(*version, change.clone()),
                None => Next::Full(Arc::clone(latest)),
            },
            None => Next::Full(Arc::clone(latest)),
        }
    }

    /// Returns the newest look, if it began at most `PACE` before `asked`.
    pub(super) fn as_of(&self, asked: Instant) -> Next {
        let shared = self.shared.lock();
        let fresh = shared.looked.is_some_and(|looked| looked + PACE >= asked);
        match &shared.latest {
            _ if shared.closed => Next::Over,
            Some(latest) if fresh => Next::Full(Arc::clone(latest)),
            _ => Next::Wait,
        }
    }

    /// Returns the beginning of a message, which differs each time it is sent.
    pub(super) fn head(&self) -> String {
        format!(r#"{{"now":{},"run":{},"#, millis(self.began.elapsed()), self.run)
    }

    fn work(&self) {
        let mut view = View::new(self.began);
        let mut sent = Instant::now();
        loop {
            let began = Instant::now();
            // A snapshot may hold a node or a manager last, and so drop a user's value.
            let max_nodes = self.max_nodes.load(Ordering::Relaxed);
            let old_after = self.old_after.load(Ordering::Relaxed);
            let look = swallow(|| view.look(&self.family.snapshot(), max_nodes, old_after));
            let news = look.is_some_and(|look| self.publish(look, began, sent.elapsed() >= SIGN_OF_LIFE));
            if news {
                sent = Instant::now();
            }
            self.notify(news);
            let took = began.elapsed();
            let pause = PACE.saturating_sub(took).max((took * REST).min(SIGN_OF_LIFE));
            if !self.rest(pause) {
                return;
            }
        }
    }

    /// Sleeps until the next look. Returns false when the thread has to end.
    fn rest(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        !block_on_wakers(&self.leave, Some(until), || self.ends_without_readers())
    }

    /// Returns whether the thread ends, which it does without a reader.
    fn ends_without_readers(&self) -> bool {
        let mut shared = self.shared.lock();
        let ends = shared.readers == [0, 0] || shared.closed;
        if ends {
            shared.looking = false;
            // Kept looks would be old for the next reader.
            let kept = (shared.latest.take(), std::mem::take(&mut shared.changes));
            shared.looked = None;
            drop(shared);
            drop(kept);
        }
        ends
    }

    /// Makes a look the newest. Returns true when readers are to be notified of a change.
    fn publish(&self, look: Look, began: Instant, sign_of_life: bool) -> bool {
        let before = self.shared.lock().latest.clone();
        // Made outside the lock: this thread alone publishes.
        let change = before.as_ref().map(|before| Change::between(before, &look));
        let news = sign_of_life || change.as_ref().is_none_or(|change| !change.is_empty);
        let change = change.map(|change| self.message("diff", &change.body));
        let mut shared = self.shared.lock();
        shared.looked = Some(began);
        if news {
            shared.version += 1;
            let version = shared.version;
            if shared.changes.len() == KEPT {
                shared.changes.pop_front();
            }
            shared.changes.extend(change.map(|change| (version, change)));
            let Look { nodes, counts } = look;
            shared.latest = Some(Arc::new(Latest { version, nodes, counts, full: OnceLock::new() }));
        }
        news
    }

    /// Returns a whole server-sent event.
    fn message(&self, event: &str, body: &str) -> Bytes {
        format!("event: {event}\ndata: {}{body}\n\n", self.head()).into()
    }
}

struct Change {
    body: String,
    is_empty: bool,
}

impl Change {
    fn between(before: &Latest, now: &Look) -> Self {
        let mut gone: HashMap<NodeId, &str> = before.nodes.iter().map(|(id, json)| (*id, &**json)).collect();
        let changed = now.nodes.iter().filter(|(id, json)| gone.remove(id) != Some(&**json));
        let changed: Vec<&str> = changed.map(|(_, json)| &**json).collect();
        let is_empty = changed.is_empty() && gone.is_empty() && before.counts == now.counts;
        let ids: Vec<String> = gone.keys().map(NodeId::to_string).collect();
        let body = format!(r#"{},"nodes":[{}],"gone":[{}]}}"#, now.counts, changed.join(","), ids.join(","));
        Self { body, is_empty }
    }
}

impl Latest {
    /// Returns the message after its head.
    pub(super) fn body(&self) -> Bytes {
        let make = || {
            let nodes: Vec<&str> = self.nodes.iter().map(|(_, json)| &**json).collect();
            format!("{},\"nodes\":[{}]}}\n\n", self.counts, nodes.join(",")).into()
        };
        self.full.get_or_init(make).clone()
    }
}
