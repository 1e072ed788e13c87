//! [`run`]: runs user code for a thread that must not run any, such as the timer's.
//!
//! The threads are a cache of their own. In the cache of the pools a job could be in line behind tasks that only this job ends.

use std::io;
use std::time::Duration;

use crate::sync::os::{Arc, LazyLock, Mutex};
use crate::sync::unwind::swallow;
use crate::threads::cache::Cache;
use crate::threads::job::{Job, WorkerHandle};
use crate::threads::settings::Settings;

/// How long an idle thread stays.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// A job that does not return holds up no other one, until so many do. Jobs of one moment, such as ten thousand requests whose
/// deadlines pass together, are in line for these threads. A thread in one of heirloom's waits does not count.
const LIMIT: usize = 64;

static ASIDE: LazyLock<Arc<Cache>> = LazyLock::new(|| {
    let cache = Cache::new(Settings {
        prefix: "heirloom-cancel".into(),
        stack_size: None,
        keep_alive: Some(KEEP_ALIVE),
        limit: LIMIT,
        strict: false,
        private: false,
        policy: None,
        at_end: None,
    });
    cache.expect_limit();
    cache
});

type Code = Box<dyn FnOnce() + Send>;

/// Code that runs once.
struct Aside(Mutex<Option<Code>>);

/// Runs `f` on another thread, soon. Where the system refuses one, `f` runs here. A panic in it is swallowed.
pub(crate) fn run(f: impl FnOnce() + Send + 'static) {
    let job = Arc::new(Aside(Mutex::new(Some(Box::new(f)))));
    if ASIDE.request_thread(Arc::clone(&job) as Arc<dyn Job>).is_err() {
        job.run();
    }
}

impl Aside {
    fn run(&self) {
        let code = self.0.lock().take();
        if let Some(code) = code {
            swallow(code);
        }
    }
}

impl Job for Aside {
    fn work(self: Arc<Self>, _: &mut WorkerHandle<'_>) -> Option<Arc<dyn Job>> {
        self.run();
        None
    }

    fn refused(self: Arc<Self>, _: &io::Error) {
        self.run();
    }
}
