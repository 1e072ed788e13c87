//! [`Memo`]: the entries that a thread's last look-ups found.
//!
//! A look-up of the same name from the same node finds its entry here, however far above it is, as long as the epoch of
//! the name's stripe stands ([`super::epoch`]). The memo keeps nothing alive: it holds bare addresses, and one is used
//! only behind a hazard pointer, after the epoch was read again. So an entry that was removed is freed although the memos
//! of idle threads still have its address.
//!
//! # Why it needs hazard pointers
//! A hit lends the entry without a count, while another thread may remove it. A memo of counted handles would keep
//! removed managers alive on idle threads, and a count for each look-up is a cache line that all threads write.

use std::cell::Cell;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::ptr;

use crossbeam_utils::CachePadded;

use crate::lineage::epoch::{Epoch, STRIPES};
use crate::names::id::NodeId;
use crate::names::label::Key;
use crate::names::namespace::Namespace;
use crate::sync::os::AtomicU64;
use crate::sync::shards::Mix;

/// Pairs of places: a name at a node has the two places of one pair.
const PAIRS: usize = 8;

static EPOCHS: [CachePadded<Epoch>; STRIPES] = [const { CachePadded::new(Epoch(AtomicU64::new(0))) }; STRIPES];

/// The stripe of a name. Equal names have the same one, however they are stored.
pub(super) struct Stripe(usize);

impl Stripe {
    pub(super) fn of(name: &Namespace) -> Self {
        Self(BuildHasherDefault::<Mix>::default().hash_one(name) as usize % STRIPES)
    }

    pub(super) fn number(&self) -> usize {
        self.0
    }

    pub(super) fn epoch(&self) -> &'static Epoch {
        &EPOCHS[self.0]
    }
}

/// A question that a look-up answers: a name, a node, and which slots of the node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    /// The node's id, and the kind of slots in the lowest bit. Zero: none.
    at: u64,
    name: Key,
}

impl Question {
    /// `kind` is 0 or 1. 2^63 ids last for centuries, as 2^64 do.
    #[inline]
    pub(super) fn new(at: NodeId, kind: u64, name: Key) -> Self {
        Self { at: at.as_u64() * 2 + kind, name }
    }

    #[inline]
    fn pair(&self) -> usize {
        // 2^64 divided by the golden ratio: the upper bits depend on all.
        let hash = (self.at ^ self.name.word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> (u64::BITS - PAIRS.ilog2())) as usize
    }
}

/// The answer that a walk found.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    /// The address of the slot's entry.
    pub(super) entry: *const (),
    /// The address of the entry's value.
    pub(super) value: *const (),
    /// `None` in an empty place alone.
    pub(super) epoch: Option<&'static Epoch>,
    /// The epoch before the walk.
    pub(super) seen: u64,
}

impl Answer {
    /// Returns whether no change since the walk can have made another entry the nearest one.
    #[inline]
    pub(super) fn stands(&self) -> bool {
        self.epoch.is_some_and(|epoch| epoch.now() == self.seen)
    }
}

type Place = Cell<(Question, Answer)>;

/// The answers of one thread.
pub(super) struct Memo([[Place; 2]; PAIRS]);

impl Memo {
    pub(super) const fn new() -> Self {
        const NONE: (Question, Answer) = (
            Question { at: 0, name: Key::NONE },
            Answer { entry: ptr::null(), value: ptr::null(), epoch: None, seen: 0 },
        );
        Self([const { [const { Cell::new(NONE) }; 2] }; PAIRS])
    }

    /// Returns the last answer to this question, unless newer ones took its place.
    #[inline]
    pub(super) fn recall(&self, question: Question) -> Option<Answer> {
        let [newer, older] = &self.0[question.pair()];
        let answer = |(asked, answer): (Question, Answer)| (asked == question).then_some(answer);
        answer(newer.get()).or_else(|| answer(older.get()))
    }

    /// Keeps an answer, in the place of the older one of its pair.
    pub(super) fn keep(&self, question: Question, answer: Answer) {
        let [newer, older] = &self.0[question.pair()];
        if newer.get().0 != question {
            older.set(newer.get());
        }
        newer.set((question, answer));
    }
}
