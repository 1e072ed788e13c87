//! Stands in for rayon: one queue of jobs, and workers that do them until the pool is dropped and every job has run.
//! The stealing of rayon is not there; a job that waits in rayon is one that calls [`run_one`].

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use loom::sync::{Condvar, Mutex};

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    /// Jobs that have not ended, and one for the handle. With none left the workers leave.
    count: usize,
    workers: usize,
    /// Workers that have come.
    come: usize,
}

pub(crate) struct Rayon(Arc<Shared>);

pub(crate) struct Part(Arc<Shared>);

thread_local! {
    static HERE: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

impl Rayon {
    pub(crate) fn new(
        workers: usize,
        _on_panic: impl Fn(Box<dyn Any + Send>) + Send + Sync + 'static,
    ) -> Result<(Self, Vec<Part>), String> {
        let shared = Arc::new(Shared::default());
        *shared.inner.lock().unwrap() = Inner { count: 1, workers, ..Inner::default() };
        let parts = (0..workers).map(|_| Part(Arc::clone(&shared))).collect();
        Ok((Self(shared), parts))
    }

    pub(crate) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.0.spawn(Box::new(job));
    }
}

impl Drop for Rayon {
    fn drop(&mut self) {
        self.0.one_less();
    }
}

impl Shared {
    fn spawn(&self, job: Job) {
        let mut inner = self.inner.lock().unwrap();
        assert!(inner.count > 0, "a job is given to a rayon pool that has ended");
        inner.count += 1;
        inner.jobs.push_back(job);
        drop(inner);
        self.changed.notify_all();
    }

    fn one_less(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.count -= 1;
        if inner.count == 0 {
            assert!(inner.jobs.is_empty());
            drop(inner);
            self.changed.notify_all();
        }
    }

    fn run(&self, job: Job) {
        job();
        self.one_less();
    }
}

impl Part {
    pub(crate) fn run(self) {
        HERE.with(|here| *here.borrow_mut() = Some(Arc::clone(&self.0)));
        self.0.inner.lock().unwrap().come += 1;
        self.0.changed.notify_all();
        loop {
            let mut inner = self.0.inner.lock().unwrap();
            while inner.jobs.is_empty() && inner.count > 0 {
                inner = self.0.changed.wait(inner).unwrap();
            }
            let next = inner.jobs.pop_front();
            drop(inner);
            let Some(job) = next else { break };
            self.0.run(job);
        }
        HERE.with(|here| *here.borrow_mut() = None);
    }
}

fn here() -> Arc<Shared> {
    HERE.with(|here| here.borrow().clone()).expect("it is called on a worker")
}

/// `rayon::spawn`, on a worker.
pub(crate) fn spawn(job: impl FnOnce() + Send + 'static) {
    here().spawn(Box::new(job));
}

/// `rayon::yield_now`, on a worker: does another job on top of the present one. False when there is none.
pub(crate) fn run_one() -> bool {
    let shared = here();
    let next = shared.inner.lock().unwrap().jobs.pop_front();
    next.map(|job| shared.run(job)).is_some()
}

/// The base of `rayon::broadcast`, on a worker: a job for each other worker. Returns the number of all workers.
pub(crate) fn wait_for_all() -> usize {
    let shared = here();
    let mut inner = shared.inner.lock().unwrap();
    while inner.come < inner.workers {
        inner = shared.changed.wait(inner).unwrap();
    }
    inner.workers
}
