//! A worker: a pool of its own, and a serving that takes jobs from the queue as the pool has permits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use heirloom::inspector::Inspector;
use heirloom::remote::{self, Queue, Serving};
use heirloom::{Drain, Lineage, PoolConfig, Registry, Scope};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::Outcome;
use crate::job::{HERE, Here, TENANT, Thumbnail};

/// The limit of a worker's pool.
const AT_ONCE: usize = 2;
/// The time from SIGTERM until a worker gives up the jobs that it still runs.
const LAST_JOBS: Duration = Duration::from_secs(20);

pub(crate) struct Worker {
    /// Has the pool and the serving below it. Its drop cancels both.
    scope: Scope,
    here: Arc<Here>,
    serving: Serving,
}

/// How a worker ended. A worker process prints it as its last line.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) worker: String,
    /// Jobs that ended here, by whatever end.
    pub(crate) jobs: u64,
    /// Those of them that saw a cancel.
    pub(crate) stopped: u64,
    /// No job was lost, and none still runs.
    pub(crate) complete: bool,
    pub(crate) report: String,
}

impl Worker {
    /// Begins to take jobs from the queue.
    pub(crate) fn start(queue: Queue) -> Result<Self, heirloom::Error> {
        let process = queue.process();
        let scope = Scope::new_in(&Lineage::process(), format!("worker {process}"));
        let here = Arc::new(Here { name: process.to_string(), stopped: AtomicU64::new(0) });
        HERE.at(&scope).bind(here.clone())?;
        let pool = scope.create("thumbs-here");
        pool.start(PoolConfig::leased(AT_ONCE))?;
        let serving = remote::serve(queue, &pool).job::<Thumbnail>().value(&TENANT).start()?;
        Ok(Self { scope, here, serving })
    }

    /// Takes no new job, and waits for those that are here: the end of a deploy.
    pub(crate) async fn stop(self) -> Result<Ended, heirloom::Error> {
        let report = self.serving.stop_timeout_async(LAST_JOBS).await?;
        self.scope.finish();
        Ok(Ended {
            worker: self.here.name.clone(),
            jobs: report.stats.done,
            stopped: self.here.stopped.load(Ordering::Relaxed),
            complete: report.is_complete(),
            report: report.to_string(),
        })
    }
}

/// The program of a worker process: serves until SIGTERM, with its own page of the inspector.
pub(crate) async fn run(nats: &str, listen: SocketAddr) -> Outcome<()> {
    let nats = heirloom_nats::connect(nats).app("thumbnails").open_async().await?;
    let worker = Worker::start(nats.queue("thumbs"))?;
    worker.serving.wait_ready_async().await?; // a missing right is an error of the start
    let inspector = Inspector::new(Registry::global());
    let page = Router::new().nest_service("/heirloom", inspector.router());
    let listener = TcpListener::bind(listen).await?;
    println!("http://{}/heirloom", listener.local_addr()?); // read by the process that started this one

    let end = async {
        heirloom::terminated().await;
        inspector.close(); // an open page would hold up the end
    };
    // The page, the pool and the serving: one call ends all.
    let drained = Drain::within(LAST_JOBS + Duration::from_secs(5))
        .grace(LAST_JOBS)
        .serve(end, |stopping| axum::serve(listener, page).with_graceful_shutdown(stopping))
        .await;
    println!("{}", serde_json::to_string(&worker.stop().await?)?);
    nats.close_async().await; // the last results leave
    drained.server.unwrap_or(Ok(()))?;
    Ok(())
}
