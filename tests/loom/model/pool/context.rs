//! The tasks that a thread runs.

#[path = "../../../../src/pool/context/code.rs"]
pub(crate) mod code;
#[path = "../../../../src/pool/context/enter.rs"]
pub(crate) mod enter;
#[path = "../../../../src/pool/context/frame.rs"]
pub(crate) mod frame;
/// As `cancel_listener`: no task is notified.
pub(crate) mod interrupted {
    use crate::error::{CancelReason, Cancelled};
    use crate::pool::context::frame::Frame;

    pub(crate) fn note_if_cancelled() {}

    pub(crate) fn cancelled() -> Cancelled {
        cause()
    }

    pub(crate) fn cancel_requested() -> bool {
        false
    }

    pub(crate) fn cause() -> Cancelled {
        Cancelled::new(CancelReason::Request, "the code")
    }

    impl Frame<'_> {
        pub(crate) fn was_interrupted(&self) -> bool {
            false
        }
    }
}
#[path = "../../../../src/pool/context/thread.rs"]
pub(crate) mod thread;
