//! Inside of tokio a promise is awaited, completed and dropped on the runtime's own threads, which it never blocks.

use std::time::Duration;

use heirloom::{ErrorKind, FutureExt, PoolConfig, PoolManager, Scope};

use crate::common::bounded;

fn on_one_thread(test: impl AsyncFnOnce(PoolManager) + Send + 'static) {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("builds");
        runtime.block_on(test(pool));
    });
}

#[test]
fn a_future_awaits_what_another_one_completes() {
    on_one_thread(async |pool| {
        let request = Scope::new("request");
        let (promise, task) = request.run(|| pool.promise()).expect("accepted");
        let completes = tokio::spawn(async move {
            tokio::task::yield_now().await;
            promise.complete(7);
        });
        assert_eq!(task.in_scope(request).await.expect("completed"), 7);
        completes.await.expect("ends");
    });
}

#[test]
fn a_future_that_is_aborted_abandons_its_promise() {
    on_one_thread(async |pool| {
        let (promise, task) = pool.promise::<u8>().expect("accepted");
        let holder = tokio::spawn(async move {
            std::future::pending::<()>().await;
            promise.complete(7);
        });
        tokio::task::yield_now().await;
        holder.abort();
        assert_eq!(task.await.expect_err("its holder is gone").kind(), ErrorKind::Abandoned);
    });
}

#[test]
fn a_future_that_holds_it_sees_a_cancel() {
    on_one_thread(async |pool| {
        let (promise, task) = pool.promise::<u8>().expect("accepted");
        let holder = tokio::spawn(async move {
            assert!(promise.begin());
            let at = promise.lineage();
            tokio::select! {
                () = at.cancelled() => promise.cancel(),
                () = tokio::time::sleep(Duration::from_secs(3600)) => promise.complete(7),
            }
        });
        tokio::task::yield_now().await;
        task.cancel();
        assert!(task.await.expect_err("was cancelled").is_cancelled());
        holder.await.expect("ends");
    });
}
