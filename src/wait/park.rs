//! Blocking on a waker: a cached parker for each thread.

use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use crossbeam_utils::sync::{Parker, Unparker};

use crate::sync::clock::spin_for;
use crate::sync::os::Arc;

/// About 8 µs of looking, which is what sleeping and being woken would cost; see `threads::cache::SPIN`. Shorter here,
/// because a joiner that spins takes a CPU from the tasks it waits for.
const SPINS: u32 = 240;
/// Nanoseconds between two looks: looking all the time would take the cache line away from who is to change it.
const BETWEEN: u32 = 35;
const FIRST: u32 = 200;

thread_local! {
    static PARKER: (Parker, Waker) = new();
}

struct Unpark(Unparker);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

fn new() -> (Parker, Waker) {
    let parker = Parker::new();
    let waker = Waker::from(Arc::new(Unpark(parker.unparker().clone())));
    (parker, waker)
}

/// The calling thread's waker, which wakes it in [`block_until`].
pub(crate) fn waker() -> Waker {
    PARKER.try_with(|(_, waker)| waker.clone()).unwrap_or_else(|_| new().1)
}

/// Looks a little while, without sleeping, where another CPU can make it true.
#[inline]
pub(crate) fn spin_until(mut done: impl FnMut() -> bool) -> bool {
    if done() {
        return true;
    }
    if !crate::threads::cache::can_spin() {
        return false;
    }
    // No answer comes sooner than this, and an early look only disturbs whoever is at work on it.
    spin_for(FIRST);
    for round in 0..SPINS {
        if done() {
            return true;
        }
        spin_for(BETWEEN);
        // A thread woken just now may have been put on this very CPU.
        if round % 16 == 15 {
            std::thread::yield_now();
        }
    }
    done()
}

/// Sleeps until `ready` is true, or until the deadline. `ready` gets a waker, and arranges for it to be woken before it
/// answers false. Wakes for no reason are fine: nested waits of one thread share its parker.
pub(crate) fn block_until(deadline: Option<Instant>, mut ready: impl FnMut(&Waker) -> bool) -> bool {
    let mut block = |parker: &Parker, waker: &Waker| {
        while !ready(waker) {
            match deadline {
                None => parker.park(),
                Some(deadline) => {
                    if Instant::now() >= deadline {
                        return false;
                    }
                    parker.park_deadline(deadline);
                }
            }
        }
        true
    };
    match PARKER.try_with(|(parker, waker)| block(parker, waker)) {
        Ok(ready) => ready,
        // The thread's locals are being destroyed.
        Err(_) => {
            let (parker, waker) = new();
            block(&parker, &waker)
        }
    }
}

/// The moment `d` from now; `None`, for ever, when the clock cannot express it.
pub(crate) fn after(d: Duration) -> Option<Instant> {
    Instant::now().checked_add(d)
}
