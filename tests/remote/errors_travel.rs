//! Errors of heirloom in the output of a job, and calls with one error.

use std::time::{Duration, Instant};

use heirloom::remote::{self, Job, Serving};
use heirloom::{CancelReason, Error, ErrorKind, PoolConfig, RemoteError, Scope};
use serde::{Deserialize, Serialize};

use crate::common::bounded;
use crate::world::{Key, World};

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
enum JobError {
    #[error(transparent)]
    Pools(#[from] Error),
    #[error("no {0}")]
    Missing(String),
}

/// Fails in the way that the test chooses.
#[derive(Serialize, Deserialize)]
enum Fails {
    /// Waits until it is cancelled.
    Waits,
    FindsNoPool,
    Panics,
    Itself,
}

impl Job for Fails {
    const NAME: &'static str = "fails";
    type Output = Result<u32, JobError>;

    fn run(self) -> Self::Output {
        match self {
            Self::Waits => heirloom::sleep(Duration::from_secs(3600))?,
            Self::FindsNoPool => drop(heirloom::get("nowhere")?),
            Self::Panics => {
                let pool = heirloom::get_or_start("panics", || PoolConfig::leased(1).log_panics(false))?;
                pool.submit(|| panic!("no ink"))?.join()?;
            }
            Self::Itself => return Err(JobError::Missing("page".into())),
        }
        Ok(1)
    }
}

fn served(world: &World) -> Serving {
    let here = world.scope.create("here");
    here.start(PoolConfig::leased(2)).expect("starts");
    remote::serve(world.origin.another().queue("work"), &here).job::<Fails>().start().expect("starts")
}

fn pools(outcome: Result<u32, JobError>) -> Error {
    match outcome {
        Err(JobError::Pools(error)) => error,
        other => panic!("an error of heirloom: {other:?}"),
    }
}

#[test]
fn a_cancel_that_a_job_passes_up_comes_back_with_its_reason() {
    bounded(|| {
        let world = World::new();
        let (pool, _serving) = (world.pool(1), served(&world));
        let request = Scope::new_in(&world.scope, "request 7");
        request.deadline(Instant::now() + Duration::from_millis(100));
        let task = request.run(|| pool.send(Fails::Waits)).expect("accepted");
        let error = pools(task.join().expect("the job gave a value"));
        assert!(error.as_remote().is_some());
        assert_eq!((error.kind(), error.is_cancelled()), (ErrorKind::DeadlineExceeded, true));
        assert_eq!(error.as_cancelled().expect("a cancel").reason(), CancelReason::Deadline);
        assert!(error.to_string().contains("deadline"), "{error}");
    });
}

#[test]
fn kind_and_text_of_each_error_come_back() {
    bounded(|| {
        let world = World::new();
        let (pool, _serving) = (world.pool(1), served(&world));
        let error = pools(pool.call_job(Fails::FindsNoPool).join());
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let text = error.to_string();
        let origin = world.origin.process();
        assert!(
            text.contains("no manager named \"nowhere\"") && text.contains(&format!("a job of {origin}")),
            "{text}"
        );
        assert!(!text.contains("this process has one"), "{text}");
        let error = pools(pool.call_job(Fails::Panics).join());
        assert_eq!((error.is_panic(), error.panic_message()), (true, Some("no ink")));
        assert!(matches!(pool.call_job(Fails::Itself).join(), Err(JobError::Missing(page)) if page == "page"));
    });
}

#[test]
fn a_name_that_the_origin_alone_has_is_named_with_the_remedy() {
    bounded(|| {
        let world = World::new();
        let (pool, _serving) = (world.pool(1), served(&world));
        // The worker stands beside it, as another process does.
        let request = Scope::new_in(&world.scope, "request 7");
        let _only_here = request.create("nowhere");
        let error = pools(request.run(|| pool.call_job(Fails::FindsNoPool).join()));
        let text = error.to_string();
        assert!(text.contains("this process has one at scope") && text.contains("request 7"), "{text}");
        assert!(text.contains("start one at the worker too"), "{text}");
    });
}

#[test]
fn a_call_of_a_job_has_one_error_for_all_that_fails() {
    bounded(|| {
        let world = World::new();
        let missing = pools(world.scope.run(|| remote::call_job("remote", Fails::Itself)).join());
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let pool = world.pool_with(PoolConfig::remote(1, world.origin.queue("work")).queue_limit(1));
        let first = pool.call_job(Fails::Waits);
        assert_eq!(pools(pool.call_job(Fails::Itself).join()).kind(), ErrorKind::QueueFull);
        drop(first);
        let _serving = served(&world);
        let own = world.scope.run(|| remote::call_job("remote", Fails::Itself));
        assert!(matches!(futures::executor::block_on(own), Err(JobError::Missing(_))));
    });
}

#[test]
fn a_dropped_call_cancels_its_job_on_the_worker() {
    #[derive(Serialize, Deserialize)]
    struct Holds(crate::world::Held);
    impl Job for Holds {
        const NAME: &'static str = "holds";
        type Output = Result<bool, Error>;

        fn run(self) -> Self::Output {
            Ok(self.0.run())
        }
    }

    bounded(|| {
        let world = World::new();
        let (pool, key, here) = (world.pool(1), Key::new(), world.scope.create("here"));
        here.start(PoolConfig::leased(1)).expect("starts");
        let serve = remote::serve(world.origin.another().queue("work"), &here).job::<Holds>();
        let _serving = serve.start().expect("starts");
        let call = pool.call_job(Holds(key.job()));
        key.has_begun(1);
        drop(call);
        key.was_cancelled();
    });
}

#[test]
fn a_call_of_a_job_runs_in_a_pool_of_this_process_too() {
    let scope = Scope::new("test");
    let pool = scope.create("here");
    pool.start(PoolConfig::leased(1)).expect("starts");
    let error = pools(scope.run(|| remote::call_job("here", Fails::FindsNoPool)).join());
    assert!(error.as_manager_not_found().is_some(), "it has not travelled");
}

#[test]
fn an_error_of_a_later_version_is_read() {
    let text = r#"{"kind":"OutOfInk","message":"no ink","cancelled":{"reason":"boredom","at":"x"},"more":1}"#;
    let error: Error = serde_json::from_str(text).expect("it is read");
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unknown, "no ink"));
    assert_eq!(error.as_cancelled().map(|cancelled| cancelled.reason()), Some(CancelReason::Request));
}

#[test]
fn an_error_travels_on_unchanged() {
    let sent = heirloom::get("nowhere").expect_err("there is none");
    let hop = |error: &Error| -> Error { rmp_serde::from_slice(&rmp_serde::to_vec_named(error).unwrap()).unwrap() };
    let (first, second) = (hop(&sent), hop(&hop(&sent)));
    assert_eq!((first.kind(), first.to_string()), (sent.kind(), sent.to_string()));
    assert_eq!(RemoteError::from(first), RemoteError::from(second));
}
