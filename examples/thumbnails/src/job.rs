//! The job: data that the server sends, and the code that a worker runs.

use std::sync::atomic::{AtomicU64, Ordering};

use heirloom::Heirloom;
use heirloom::remote::{Job, TraceContext};
use serde::{Deserialize, Serialize};

use crate::svg;

/// The tenant of a request, from its header `x-tenant`. It travels: the job finds it on the worker.
pub(crate) static TENANT: Heirloom<String> = Heirloom::new("tenant").travels();

/// The worker at which the running code stands. No value of a worker travels.
pub(crate) static HERE: Heirloom<Here> = Heirloom::new("worker");

/// A worker's name, and its count of jobs that a cancel stopped.
pub(crate) struct Here {
    pub(crate) name: String,
    pub(crate) stopped: AtomicU64,
}

/// Draws a page.
#[derive(Serialize, Deserialize)]
pub(crate) struct Thumbnail {
    /// Markdown.
    pub(crate) page: String,
    pub(crate) width: u32,
    /// Draws the page as often as that: a heavy page, for the clients that hang up.
    #[serde(default = "once")] // an older server does not send it
    pub(crate) times: u64,
}

fn once() -> u64 {
    1
}

/// A picture, and what its worker knew of the request.
#[derive(Serialize, Deserialize)]
pub(crate) struct Picture {
    pub(crate) svg: String,
    pub(crate) worker: String,
    pub(crate) tenant: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) baggage: Option<String>,
}

impl Job for Thumbnail {
    const NAME: &'static str = "thumbnail";
    /// To draw a page twice is harmless, so a job begins without asking, and again when its worker dies.
    const REPEATABLE: bool = true;
    /// An error of heirloom travels: the kind, the text, and the cancel behind it.
    type Output = Result<Picture, heirloom::Error>;

    fn run(self) -> Self::Output {
        let context = TraceContext::current();
        let tenant = TENANT.get().ok().map(|tenant| tenant.to_string());
        let drawn = (0..self.times.max(1))
            .try_fold(String::new(), |_, _| svg::draw(&self.page, self.width, heirloom::checkpoint));
        let worker = HERE.with(|here| {
            here.stopped.fetch_add(u64::from(drawn.is_err()), Ordering::Relaxed);
            here.name.clone()
        });
        tracing::info!(
            traceparent = context.traceparent(),
            baggage = context.baggage(),
            tenant,
            ok = drawn.is_ok(),
            "drawn"
        );
        Ok(Picture {
            svg: drawn?,
            worker: worker.unwrap_or_default(),
            tenant,
            traceparent: context.traceparent().map(String::from),
            baggage: context.baggage().map(String::from),
        })
    }
}
