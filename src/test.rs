//! A family of its own for each test: [`isolated`](isolated()).

use std::time::Duration;

use crate::lineage::future::InLineage;
use crate::registry::manager::PoolManager;
use crate::registry::registry::Registry;
use crate::registry::shutdown::ShutdownReport;

/// The time that tasks have to end after the test's code.
const BOUND: Duration = Duration::from_secs(10);

/// Runs a test in a family of its own, so that tests of one process meet no pool and no value of each other.
///
/// Code that `f` runs, on any thread that stands below it, creates and finds managers and values of this family: the code
/// under test needs no change. Returns the value of `f`, after every joining pool of the family has ended. A panic of `f`
/// goes on, after the tasks of the family were cancelled.
///
/// Blocks for at most ten seconds after `f` has returned. Costs a few microseconds.
///
/// `Lineage::process`, [`shutdown`](crate::shutdown()), and code that stands at the process (a `std` thread, tokio's own
/// `spawn`) leave the family; a [`Drain`](crate::Drain) stays in it.
///
/// ```
/// use heirloom::PoolConfig;
///
/// fn page() -> Result<usize, heirloom::Error> {
///     heirloom::get("render")?.submit(|| "<h1>7</h1>".len())?.join()
/// }
///
/// // #[test]
/// fn a_page_is_rendered() {
///     heirloom::test::isolated(|| {
///         heirloom::create("render").start(PoolConfig::leased(1)).unwrap();
///         assert_eq!(page().unwrap(), 10);
///     });
///     assert!(page().is_err()); // nothing is left of it
/// }
/// # a_page_is_rendered();
/// ```
///
/// # Panics
/// When a task of a joining pool, or spawned work, has not ended after ten seconds. The message names each of them.
#[track_caller]
pub fn isolated<T>(f: impl FnOnce() -> T) -> T {
    let family = EndsFamily(Registry::new());
    let out = family.0.root().run(f);
    assert_complete(&family.0.shutdown_timeout(BOUND));
    out
}

/// As [`isolated`](isolated()), for a future, on any runtime. Dropping it cancels the tasks of the family.
///
/// ```
/// use heirloom::{PoolConfig, test::isolated_async};
///
/// # async fn handler() -> Result<&'static str, heirloom::Error> {
/// #     heirloom::get("render")?.submit(|| "<h1>7</h1>")?.await
/// # }
/// // #[tokio::test]
/// async fn a_page_is_rendered() {
///     isolated_async(async {
///         heirloom::create("render").start(PoolConfig::leased(1)).unwrap();
///         assert_eq!(handler().await.unwrap(), "<h1>7</h1>");
///     })
///     .await;
/// }
/// # futures::executor::block_on(a_page_is_rendered());
/// ```
///
/// # Panics
/// As [`isolated`](isolated()).
pub async fn isolated_async<F: Future>(test: F) -> F::Output {
    let family = EndsFamily(Registry::new());
    let out = InLineage::new(family.0.root(), test).await;
    assert_complete(&family.0.shutdown_timeout_async(BOUND).await);
    out
}

#[track_caller]
fn assert_complete(report: &ShutdownReport) {
    assert!(report.is_complete(), "a test left work behind that has not ended in {BOUND:?}; {report}");
}

/// Ends what a test that panics, or is dropped, leaves behind.
struct EndsFamily(Registry);

impl Drop for EndsFamily {
    fn drop(&mut self) {
        self.0.cancel_scopes();
        self.0.managers().iter().for_each(PoolManager::cancel);
    }
}
