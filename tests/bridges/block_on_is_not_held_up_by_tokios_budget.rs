//! With the feature `tokio`: tokio's budget does not bound the receives of a `block_on` on a runtime's thread.
//!
//! The budget is for one poll of a future, in which `block_on` polls many times.

use heirloom::block_on;
use tokio::sync::mpsc;

use crate::common::bounded;

/// More than tokio grants for one poll.
const MANY: u32 = 1000;

#[test]
fn a_future_on_a_runtimes_thread_takes_more_than_one_budget() {
    bounded(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let taken = runtime.block_on(async {
            let (sends, mut parcels) = mpsc::unbounded_channel();
            (0..MANY).for_each(|n| sends.send(n).unwrap());
            let take = |n: &u32| block_on(parcels.recv()).is_ok_and(|parcel| parcel == Some(*n));
            (0..MANY).take_while(take).count()
        });
        assert_eq!(taken, MANY as usize);
    });
}
