//! Every verb returns `heirloom::Error`, so that one `#[from]` of it in an enum of the caller's own is all that `?` needs,
//! beside `#[from]`s of others.

use std::fs;
use std::io;
use std::num::ParseIntError;
use std::path::Path;
use std::time::Duration;

use heirloom::{
    Error, Gate, GateMode, Heirloom, HeirloomMap, Lineage, PoolConfig, PoolManager, Scope, TaskKind, TaskSet,
    TypedManager, thread,
};

use crate::common::bounded;
use crate::common::pools::block_on;

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Pools(#[from] Error),
    #[error(transparent)]
    Files(#[from] io::Error),
    #[error(transparent)]
    Numbers(#[from] ParseIntError),
}

struct Page;
impl TaskKind for Page {}

const SOON: Duration = Duration::from_millis(1);

static KEY: Heirloom<u32> = Heirloom::new("key");
static MAP: HeirloomMap<u32, u32> = HeirloomMap::new("map");
static GATE: Gate = Gate::new("gate");
static FOUND_GATE: Heirloom<Gate> = Heirloom::new("found gate");

/// Each verb with one `?`: this compiles.
fn managers(at: &Lineage) -> Result<PoolManager, AppError> {
    heirloom::get("work")?;
    heirloom::with("work", |_| ())?;
    at.get("work")?;
    at.with("work", |_| ())?;
    heirloom::get_or_start("work", || PoolConfig::leased(1))?;
    at.get_or_start("work", || PoolConfig::leased(1))?;
    let work = heirloom::create("work");
    work.start(PoolConfig::leased(1))?;
    work.ensure_started(PoolConfig::leased(1))?;
    let _local = work.start_local(PoolConfig::local())?;
    let _report = work.stop()?;
    let _report = work.stop_timeout(SOON)?;
    work.wait_idle()?;
    work.wait_idle_timeout(SOON)?;
    let scope = Scope::new("scope");
    let _report = scope.stop()?;
    let _report = scope.stop_timeout(SOON)?;
    Ok(work)
}

fn tasks(work: &PoolManager, typed: &TypedManager<Page>) -> Result<usize, AppError> {
    let mut set: TaskSet<usize> = [work.submit(|| 1)?, work.of_type("page").submit(|| 2)?].into_iter().collect();
    set.join_next_timeout(SOON)?;
    set.join_next().ok_or(io::Error::other("empty"))?.1?;
    work.submit_timeout(|| 1, SOON)?.join()?;
    work.submit_as("page", || 1)?.join_cancelling()?;
    if let Ok(joined) = work.submit(|| 1)?.join_timeout(SOON) {
        joined?;
    }
    work.submit_with_state(|n: &mut usize| *n)?.join()?;
    let stateful = work.with_state::<usize>()?;
    stateful.submit(|n| *n)?.join()?;
    stateful.submit_timeout(|n| *n, SOON)?.join()?;
    work.map(0..3, |n| n)?.next_timeout(SOON)?.transpose()?;
    for item in work.map(0..3, |n| n)? {
        item?;
    }
    work.run(|| 1)?;
    #[cfg(feature = "rayon")]
    work.install(|| 1)?;
    work.scope(|s| s.submit(|| 1)?.join())?;
    let typed_again = work.typed::<Page>()?;
    typed_again.submit(Page::task(|| 1))?.join()?;
    typed.submit_timeout(Page::task(|| 1), SOON)?.join()?;
    typed.map([1], Page::task(|n| n))?.next().transpose()?;
    typed.run(Page::task(|| 1))?;
    typed.scope(|s| s.submit(Page::task(|| 1))?.join())?;
    Ok("7".parse::<usize>()?)
}

fn threads_values_and_gates(at: &Lineage) -> Result<(), AppError> {
    thread::spawn(|| ())?.join()?;
    thread::Builder::new().spawn(|| ())?.join_cancelling()?;
    thread::scope(|s| s.spawn(|| ())?.join())?;
    thread::scope(|s| thread::Builder::new().spawn_scoped(s, || ())?.join())?;
    heirloom::checkpoint()?;
    heirloom::sleep(SOON)?;
    heirloom::block_on(async {})?;
    KEY.get()?;
    KEY.with(|_| ())?;
    KEY.place()?;
    KEY.bind(1_u32)?;
    KEY.bind_unique(1_u32)?;
    KEY.run_with(1_u32, || ())?;
    KEY.get_or_init(|| 1)?;
    KEY.get_or_try_init(|| "7".parse())?;
    KEY.at(at).get()?;
    KEY.at(at).bind(1_u32)?;
    KEY.at(at).get_or_init(|| 1)?;
    MAP.get(&1)?;
    MAP.with(&1, |_| ())?;
    MAP.bind(1, 1_u32)?;
    MAP.bind_unique(1, 1_u32)?;
    MAP.publish(1, 1_u32)?;
    MAP.preload([(1, 1_u32)])?;
    MAP.get_or_init(&1, || 1)?;
    MAP.get_or_try_init(&1, || fs::read("page").map(|page| page.len() as u32))?;
    MAP.at(at).get(&1)?;
    drop((GATE.enter()?, GATE.try_enter()?, GATE.enter_timeout(SOON)?));
    FOUND_GATE.enter(GateMode::Skip)?;
    Ok(())
}

async fn async_forms(work: PoolManager, typed: TypedManager<Page>) -> Result<(), AppError> {
    work.start_async(PoolConfig::leased(1)).await?;
    work.ensure_started_async(PoolConfig::leased(1)).await?;
    heirloom::get_or_start_async("work", || PoolConfig::leased(1)).await?;
    work.submit(|| 1)?.await?;
    work.submit_async(|| 1).await?.join_cancelling_async().await?;
    typed.submit_async(Page::task(|| 1)).await?.await?;
    work.with_state::<usize>()?.submit_async(|n| *n).await?.await?;
    work.map(0..3, |n| n)?.next_async().await.transpose()?;
    let mut set: TaskSet<usize> = [work.submit(|| 1)?].into_iter().collect();
    set.join_next_async().await.ok_or(io::Error::other("empty"))?.1?;
    thread::spawn(|| ())?.join_async().await?;
    KEY.get_or_init_async(|| async { 1 }).await?;
    KEY.get_or_try_init_async(|| async { "7".parse() }).await?;
    MAP.get_or_init_async(&1, || async { 1 }).await?;
    MAP.get_or_try_init_async(&1, || async { "7".parse() }).await?;
    drop(GATE.enter_async().await?);
    drop(GATE.enter_timeout_async(SOON).await?);
    FOUND_GATE.enter_async(GateMode::Skip).await?;
    work.wait_idle_async().await?;
    let _report = work.stop_async().await?;
    let _report = Scope::new("scope").stop_async().await?;
    #[cfg(feature = "tokio")]
    on_a_runtime().await?;
    Ok(())
}

#[cfg(feature = "tokio")]
async fn on_a_runtime() -> Result<(), AppError> {
    heirloom::spawn(async {})?.await?;
    heirloom::spawn_blocking(|| ())?.await?;
    let mut set = heirloom::JoinSet::new();
    set.spawn(async {})?;
    set.join_next().await.transpose()?;
    let portal = heirloom::Portal::current()?;
    portal.bind()?;
    portal.bind_at(&Lineage::process())?;
    heirloom::portal()?.spawn(async {}).await?;
    portal.spawn(async {}).join()?;
    portal.block_on(async {})?;
    Ok(())
}

#[test]
fn one_conversion_takes_in_the_errors_of_all_verbs() {
    // Each function compiles; here the first error of each comes out as the one variant.
    bounded(|| {
        let scope = Scope::new("test");
        let is_ours = |error: AppError| matches!(error, AppError::Pools(_));
        assert!(scope.run(|| managers(scope.lineage())).is_err_and(is_ours));
        let work = scope.create("other");
        work.start(PoolConfig::leased(1).task_type(heirloom::TaskType::of::<Page>())).expect("starts");
        let typed = work.typed::<Page>().expect("it takes pages");
        assert!(tasks(&work, &typed).is_err_and(is_ours));
        assert!(threads_values_and_gates(scope.lineage()).is_err_and(is_ours));
        assert!(block_on(async_forms(work, typed)).is_err_and(is_ours));
    });
}

/// The types of the details: a verb returns none of them by itself.
const DETAILS: &[&str] = &[
    "ManagerNotFound",
    "StartError",
    "SubmitError",
    "TaskError",
    "StopError",
    "Cancelled",
    "NotBound",
    "BindError",
    "InitError",
    "Busy",
    "UnknownTaskType",
    "TimedOut",
    "JoinError",
    "SpawnError",
    "PortalError",
    "io::Result",
    "thread::Result",
];

#[test]
fn no_public_verb_returns_another_error() {
    let mut wrong = Vec::new();
    signatures(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut |file, signature| {
        let returned = signature.rsplit_once("->").map_or("", |(_, returned)| returned);
        let fails = returned.contains("Result<");
        let by_detail = DETAILS.iter().any(|detail| {
            returned.contains(&format!(", {detail}>")) || (detail.contains("::") && returned.contains(detail))
        });
        if fails && by_detail {
            wrong.push(format!("{}: {signature}", file.display()));
        }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Calls `each` with the signature of each public function below `at`, up to its body.
fn signatures(at: &Path, each: &mut dyn FnMut(&Path, &str)) {
    for entry in fs::read_dir(at).expect("the sources are there") {
        let path = entry.expect("it is listed").path();
        if path.is_dir() {
            signatures(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("it is text");
            let verbs = text.match_indices("    pub fn ").chain(text.match_indices("pub async fn "));
            let free = text.match_indices("\npub fn ");
            for (from, _) in verbs.chain(free) {
                let rest = &text[from..];
                each(&path, &rest[..rest.find(" {\n").unwrap_or(rest.len())]);
            }
        }
    }
}
