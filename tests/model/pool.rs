//! The engine, without its process exit, and with a wait that loom can follow.

#[path = "../../src/pool/config.rs"]
pub(crate) mod config;
#[path = "../../src/pool/crew.rs"]
pub(crate) mod crew;
#[path = "../../src/pool/end.rs"]
pub(crate) mod end;
#[path = "../../src/pool/frame.rs"]
pub(crate) mod frame;
#[path = "../../src/pool/handle.rs"]
pub(crate) mod handle;
#[path = "../../src/pool/inner.rs"]
pub(crate) mod inner;
#[path = "../../src/pool/places.rs"]
pub(crate) mod places;
#[path = "../../src/pool/queue.rs"]
pub(crate) mod queue;
#[path = "../../src/pool/scope.rs"]
pub(crate) mod scope;
#[path = "../../src/pool/stats.rs"]
pub(crate) mod stats;
#[path = "../../src/pool/wait.rs"]
pub(crate) mod wait;
#[path = "../../src/pool/worker.rs"]
pub(crate) mod worker;

/// The process never exits.
pub(crate) mod exit {
    pub(crate) fn arm() {}

    pub(crate) fn is_fork() -> bool {
        false
    }
}

/// Nobody asks the models' threads to stop while they wait.
pub(crate) mod passing {
    use std::task::Waker;

    pub(crate) struct Passing(());

    impl Passing {
        pub(crate) fn new() -> Self {
            Self(())
        }

        pub(crate) fn poll(&mut self, _waker: &Waker, _pass: impl FnMut()) {}

        pub(crate) fn passed(&self) -> bool {
            false
        }
    }
}

/// Sleeps on a loom thread. Never spins, and knows no time: a wait with a deadline times out at its first look.
pub(crate) mod park {
    use std::task::{Wake, Waker};
    use std::time::{Duration, Instant};

    use crate::sync::os::{Arc, thread};

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    pub(crate) fn waker() -> Waker {
        Waker::from(Arc::new(Unpark(thread::current())))
    }

    pub(crate) fn spin_until(mut done: impl FnMut() -> bool) -> bool {
        done()
    }

    pub(crate) fn block_until(deadline: Option<Instant>, mut ready: impl FnMut(&Waker) -> bool) -> bool {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        while !ready(&waker) {
            if deadline.is_some() {
                return false;
            }
            thread::park();
        }
        true
    }

    pub(crate) fn after(d: Duration) -> Option<Instant> {
        Instant::now().checked_add(d)
    }
}
