//! [`Spin`]: how a thread polls for a bounded time before it parks.
//!
//! Waking a parked thread takes 5 to 50 µs. A thread that spins about as long as the wake would take costs at most
//! twice the best choice (the ski-rental argument), and an idle process soon uses no CPU. Each policy of the crate is a
//! constant here, with the reason for its length.
//!
//! A pause lies between two polls, because a poll takes the cache line away from the thread that is to change it. After
//! each turn the spinner yields its CPU: the thread that it spins for may be runnable on that very CPU.
//!
//! On a crowded machine a yield costs a slice of time, some milliseconds, while a parked thread gets its CPU soon after its wake.
//! A spinner that loses its CPU for long ends its spin, and the spinners of the process leave out the next [`CROWDED_FOR`] spins. So
//! the process pays one slice in so many waits.

use std::time::{Duration, Instant};

use crate::sync::clock::spin_for;
use crate::sync::cpus;
use crate::sync::os::{AtomicU32, Ordering, thread};

/// One policy. It polls `turns` times `polls` times.
pub(crate) struct Spin {
    /// Nanoseconds before the first poll but one: no answer comes sooner.
    first: u32,
    /// Polls of one turn. The spinner yields its CPU between two turns.
    polls: u32,
    /// Nanoseconds between two polls. 0 is one pause instruction.
    pause: u32,
    turns: u32,
}

/// A joiner, about 8 µs. Shorter than a wake, because the joiner takes a CPU from the tasks that it waits for.
pub(crate) const JOIN: Spin = if cfg!(loom) {
    // The look of a parking wait is enough.
    Spin { first: 0, polls: 0, pause: 0, turns: 0 }
} else {
    Spin { first: 200, polls: 16, pause: 35, turns: 15 }
};

/// A worker with no queued task, before it releases its permit: about 2 µs.
pub(crate) const WORK: Spin = if cfg!(loom) {
    Spin { first: 0, polls: 1, pause: 70, turns: 1 }
} else {
    Spin { first: 0, polls: 15, pause: 70, turns: 2 }
};

/// The one idle thread of a cache that spins, until its caller's clock ends it.
pub(crate) const IDLE: Spin = Spin { first: 0, polls: if cfg!(loom) { 1 } else { 64 }, pause: 0, turns: u32::MAX };

/// So many spins are left out after a yield that lost the CPU.
const CROWDED_FOR: u32 = 64;
/// A yield that takes longer has lost the CPU to code with much to do. A short task takes less.
const LOST: Duration = Duration::from_micros(100);

/// The number of spins to leave out. Several spinners may count one spin; no protocol depends on it.
static CROWDED: AtomicU32 = AtomicU32::new(0);

/// Returns whether the caller is to leave out its spin.
#[inline]
fn is_crowded() -> bool {
    let left = CROWDED.load(Ordering::Relaxed);
    if left > 0 {
        CROWDED.store(left - 1, Ordering::Relaxed);
    }
    left > 0
}

/// Yields the CPU. Returns false when the caller has lost it for long.
fn yield_cpu() -> bool {
    // A model has no time.
    if cfg!(loom) {
        thread::yield_now();
        return true;
    }
    let began = Instant::now();
    thread::yield_now();
    let lost = began.elapsed() > LOST;
    if lost {
        CROWDED.store(CROWDED_FOR, Ordering::Relaxed);
    }
    !lost
}

impl Spin {
    /// Polls until `poll` returns a value. Returns `None` at the end of the policy, on a crowded machine, or when `ends` is true
    /// after a turn.
    #[inline]
    pub(crate) fn until<R>(&self, mut poll: impl FnMut() -> Option<R>, mut ends: impl FnMut() -> bool) -> Option<R> {
        if is_crowded() {
            return poll();
        }
        if self.first > 0 {
            if let Some(found) = poll() {
                return Some(found);
            }
            spin_for(self.first);
        }
        for turn in 1..=self.turns {
            for _ in 0..self.polls {
                if let Some(found) = poll() {
                    return Some(found);
                }
                spin_for(self.pause);
            }
            if turn == self.turns || ends() || !yield_cpu() {
                break;
            }
        }
        None
    }
}

/// Whether spinning helps at all: only another CPU can bring about the awaited change.
pub(crate) fn can_spin() -> bool {
    cpus() > 1
}
