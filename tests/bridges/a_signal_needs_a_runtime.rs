//! `terminated` where tokio would panic.

use futures::executor::block_on;

use crate::common::bounded;

#[test]
fn without_a_runtime_no_signal_is_seen() {
    bounded(|| block_on(async { assert!(futures::poll!(Box::pin(heirloom::terminated())).is_pending()) }));
}

#[test]
fn without_the_runtimes_io_no_signal_is_seen() {
    bounded(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it starts");
        runtime.block_on(async { assert!(futures::poll!(Box::pin(heirloom::terminated())).is_pending()) });
    });
}
