//! The waits. The code that waits is never cancelled.

/// The models' threads are never cancelled while they wait.
pub(crate) mod cancel_listener {
    use std::task::Waker;

    pub(crate) struct CancelListener(());

    impl CancelListener {
        pub(crate) fn new() -> Self {
            Self(())
        }

        pub(crate) fn poll(&mut self, _waker: &Waker, done: impl Fn(&Self) -> bool) -> bool {
            done(self)
        }

        pub(crate) fn cancel_requested(&self) -> bool {
            false
        }

        pub(crate) fn requests(&self) -> u64 {
            0
        }
    }
}

/// A look at a pool that keeps permits lets one at any time, once.
pub(crate) mod overdue {
    use crate::pool::blocking::let_through::let_one_through;
    use crate::pool::core::pool::Pool;
    use crate::sync::os::{Arc, thread};

    pub(crate) fn watch(pool: &Arc<Pool>) {
        let pool = Arc::clone(pool);
        let looks = thread::Builder::new().name("bound".into()).spawn(move || let_one_through(&pool));
        assert!(looks.is_ok(), "no model refuses it");
    }
}

#[path = "../../../../src/pool/blocking/cancel_forwarder.rs"]
pub(crate) mod cancel_forwarder;
#[path = "../../../../src/pool/blocking/hold.rs"]
pub(crate) mod hold;
#[path = "../../../../src/pool/blocking/lend.rs"]
pub(crate) mod lend;
#[path = "../../../../src/pool/blocking/let_through.rs"]
pub(crate) mod let_through;
#[path = "../../../../src/pool/blocking/local.rs"]
pub(crate) mod local;
#[path = "../../../../src/pool/blocking/polled.rs"]
pub(crate) mod polled;
#[path = "../../../../src/pool/blocking/release.rs"]
pub(crate) mod release;
#[path = "../../../../src/pool/blocking/wait_for.rs"]
pub(crate) mod wait_for;
#[path = "../../../../src/pool/blocking/woken.rs"]
pub(crate) mod woken;
