//! [`Hub`]: one look at the family at a time, for all who listen.
//!
//! # Who looks
//! A thread of the inspector's own, so that no runtime's thread is held up by a large family and none is needed.
//! Whoever joins starts it if there is none; it ends itself when it finds that nobody listens. Both decide under the
//! lock, so there is never one too few, or two.
//!
//! # The race to fear
//! Somebody begins to listen between a look and its announcement. A listener is made before the state is read
//! ([`Updates`](super::updates::Updates)), and a look is published before it is announced, so one of the two happens.
//!
//! Nothing of a user's runs under the lock: nodes and managers are let go by the look before it is taken, and wakers
//! are woken after.

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
/// At most a tenth of a CPU: so many times as long as a look takes, none is begun; but [`SIGN_OF_LIFE`] comes first.
const REST: u32 = 9;
/// A sign of life when nothing changes, so that a page sees when the server is gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How many changes a slow listener may be behind before it is sent everything again.
const KEPT: usize = 8;

pub(super) struct Hub {
    family: Registry,
    pub(super) max_nodes: AtomicUsize,
    pub(super) old_after: AtomicU64,
    pub(super) max_readers: AtomicUsize,
    pub(super) hosts: Hosts,
    began: Instant,
    /// Tells this process's answers from those of the one before it.
    run: u64,
    shared: Mutex<Shared>,
    /// Something changed, or the hub closed.
    pub(super) told: WakerSet,
    /// A look was taken, or the hub closed.
    pub(super) looked: WakerSet,
    /// The thread that looks has a reason to end.
    leave: WakerSet,
}

struct Shared {
    /// Those who follow, and those who wait for one look.
    listeners: [usize; 2],
    /// The thread is there.
    looking: bool,
    closed: bool,
    latest: Option<Arc<Latest>>,
    /// When the newest look began, also when nothing had changed: what came later may be missing in it.
    looked: Option<Instant>,
    /// The newest changes, each with the version it leads to.
    changes: VecDeque<(u64, Bytes)>,
    version: u64,
}

/// Everything that is shown at one time.
pub(super) struct Latest {
    pub(super) version: u64,
    nodes: Vec<(NodeId, Arc<str>)>,
    counts: String,
    /// Made for the first who needs it.
    full: OnceLock<Bytes>,
}

/// Why nothing can be shown.
pub(super) enum Unable {
    Closed,
    /// As many as there may be are here.
    Full(usize),
    Thread(io::Error),
}

/// Who listens.
#[derive(Clone, Copy)]
pub(super) enum Reader {
    /// Until it goes.
    Follows = 0,
    /// For one look.
    Once = 1,
}

/// What a listener has to do.
pub(super) enum Next {
    Wait,
    Full(Arc<Latest>),
    Change(u64, Bytes),
    Over,
}

impl Hub {
    pub(super) fn new(family: &Registry) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            family: family.same(),
            max_nodes: AtomicUsize::new(2_000),
            old_after: AtomicU64::new(10_000),
            max_readers: AtomicUsize::new(100),
            hosts: Hosts::new(),
            began: Instant::now(),
            // JavaScript's numbers have 53 bits.
            run: (now.as_micros() as u64 ^ u64::from(std::process::id())) & ((1 << 53) - 1),
            shared: Mutex::new(Shared {
                listeners: [0, 0],
                looking: false,
                closed: false,
                latest: None,
                looked: None,
                changes: VecDeque::new(),
                version: 0,
            }),
            told: WakerSet::new(),
            looked: WakerSet::new(),
            leave: WakerSet::new(),
        }
    }

    /// Counts a listener in; there is a thread that looks as long as there is one.
    pub(super) fn join(self: &Arc<Self>, who: Reader) -> Result<(), Unable> {
        // Nobody lets go of a lock that was held when the process forked.
        if fork::is_fork() {
            return Err(Unable::Closed);
        }
        let mut shared = self.shared.lock();
        if shared.closed {
            return Err(Unable::Closed);
        }
        let most = self.max_readers.load(Ordering::Relaxed);
        if shared.listeners[who as usize] >= most {
            return Err(Unable::Full(most));
        }
        if !shared.looking {
            let hub = Arc::clone(self);
            let thread = thread::Builder::new().name("heirloom-inspector".to_owned());
            thread.spawn(move || hub.work()).map_err(Unable::Thread)?;
            shared.looking = true;
        }
        shared.listeners[who as usize] += 1;
        Ok(())
    }

    pub(super) fn part(&self, who: Reader) {
        let mut shared = self.shared.lock();
        shared.listeners[who as usize] -= 1;
        let last = shared.listeners == [0, 0];
        drop(shared);
        if last {
            self.leave.wake_all();
        }
    }

    pub(super) fn close(&self) {
        self.shared.lock().closed = true;
        self.leave.wake_all();
        self.tell(true);
    }

    /// Wakers are user code.
    fn tell(&self, news: bool) {
        self.looked.wake_all();
        if news {
            self.told.wake_all();
        }
    }

    /// What is new for one who has seen a version.
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

    /// The family as it is at most `PACE` before `asked`.
    pub(super) fn as_of(&self, asked: Instant) -> Next {
        let shared = self.shared.lock();
        let fresh = shared.looked.is_some_and(|looked| looked + PACE >= asked);
        match &shared.latest {
            _ if shared.closed => Next::Over,
            Some(latest) if fresh => Next::Full(Arc::clone(latest)),
            _ => Next::Wait,
        }
    }

    /// The beginning of each message: what is different each time it is sent.
    pub(super) fn head(&self) -> String {
        format!(r#"{{"now":{},"run":{},"#, millis(self.began.elapsed()), self.run)
    }

    fn work(&self) {
        let mut view = View::new(self.began);
        let mut said = Instant::now();
        loop {
            let began = Instant::now();
            // What a snapshot lets go of may be the last of it, and so a user's drop.
            let max_nodes = self.max_nodes.load(Ordering::Relaxed);
            let old_after = self.old_after.load(Ordering::Relaxed);
            let look = swallow(|| view.look(&self.family.snapshot(), max_nodes, old_after));
            let news = look.is_some_and(|look| self.publish(look, began, said.elapsed() >= SIGN_OF_LIFE));
            if news {
                said = Instant::now();
            }
            self.tell(news);
            let took = began.elapsed();
            let pause = PACE.saturating_sub(took).max((took * REST).min(SIGN_OF_LIFE));
            if !self.rest(pause) {
                return;
            }
        }
    }

    /// Until the next look. False when there is to be none.
    fn rest(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        !block_on_wakers(&self.leave, Some(until), || self.ends_if_unheard())
    }

    /// Ends the looking when nobody listens. True when it does.
    fn ends_if_unheard(&self) -> bool {
        let mut shared = self.shared.lock();
        let ends = shared.listeners == [0, 0] || shared.closed;
        if ends {
            shared.looking = false;
            // What is kept would be old when somebody comes again.
            let kept = (shared.latest.take(), std::mem::take(&mut shared.changes));
            shared.looked = None;
            drop(shared);
            drop(kept);
        }
        ends
    }

    /// Makes a look the newest. True when there is something to be told.
    fn publish(&self, look: Look, began: Instant, sign_of_life: bool) -> bool {
        let before = self.shared.lock().latest.clone();
        // Made outside the lock: only this thread publishes.
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

    /// A whole server-sent event.
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
        let mut changed = String::new();
        for (id, json) in &now.nodes {
            if gone.remove(id) != Some(json) {
                separated(&mut changed, json);
            }
        }
        let is_empty = changed.is_empty() && gone.is_empty() && before.counts == now.counts;
        let mut ids = String::new();
        for id in gone.keys() {
            separated(&mut ids, &id.to_string());
        }
        let body = format!(r#"{},"nodes":[{changed}],"gone":[{ids}]}}"#, now.counts);
        Self { body, is_empty }
    }
}

fn separated(list: &mut String, item: &str) {
    if !list.is_empty() {
        list.push(',');
    }
    list.push_str(item);
}

impl Latest {
    /// Everything after the head.
    pub(super) fn body(&self) -> Bytes {
        let make = || {
            let size: usize = self.nodes.iter().map(|(_, json)| json.len() + 1).sum();
            let mut body = String::with_capacity(size + self.counts.len() + 16);
            body.push_str(&self.counts);
            body.push_str(r#","nodes":["#);
            for (i, (_, json)) in self.nodes.iter().enumerate() {
                if i > 0 {
                    body.push(',');
                }
                body.push_str(json);
            }
            body.push_str("]}\n\n");
            body.into()
        };
        self.full.get_or_init(make).clone()
    }
}
