//! [`Map`]: the results of many tasks, in order.

use std::collections::VecDeque;
use std::fmt;
use std::iter::Fuse;

use crate::error::{Refused, SubmitError, TaskError};
use crate::id::TaskId;
use crate::lineage::current::{self, Pending};
use crate::lineage::handle::CutOnDrop;
use crate::lineage::node::Place;
use crate::pool::handle::TaskHandle;
use crate::pool::inner::Pool;
use crate::sync::os::{Arc, Ordering};
use crate::task_type::TaskType;

type Boxed<T> = Box<dyn FnOnce() -> T + Send>;
type Submitted<T> = Result<TaskHandle<T>, Refused<Boxed<T>>>;

/// Results in the order of their inputs; made by [`PoolManager::map`](crate::PoolManager::map).
///
/// Keeps up to four tasks for each of the pool's places under way, and submits the next ones as results are taken, so
/// an endless iterator is fine and a bounded queue is not overrun. Dropping it detaches what is under way.
#[must_use = "tasks are submitted as results are taken"]
pub struct Map<I: Iterator, F, T> {
    pool: Arc<Pool>,
    /// Where `map` was called, and the span there: all tasks stand there, whoever takes the results.
    place: Place,
    span: tracing::Span,
    task_type: Option<TaskType>,
    inputs: Fuse<I>,
    /// Drawn from the iterator, and refused for want of room.
    held: Option<Boxed<T>>,
    f: Arc<F>,
    window: usize,
    under_way: VecDeque<Result<TaskHandle<T>, TaskError>>,
}

impl<I, F, T> Map<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    /// Submits the first window. A refusal of the very first task is returned instead of a map.
    pub(crate) fn new(pool: Arc<Pool>, task_type: Option<TaskType>, inputs: I, f: F) -> Result<Self, SubmitError> {
        let window = pool.config.most_at_once().saturating_mul(4);
        let mut map = Self {
            pool,
            place: current::nearest(),
            span: tracing::Span::current(),
            task_type,
            inputs: inputs.fuse(),
            held: None,
            f: Arc::new(f),
            window,
            under_way: VecDeque::new(),
        };
        match map.submit_next() {
            Some(Err(refused)) if !matches!(refused.reason, SubmitError::QueueFull { .. }) => Err(refused.reason),
            Some(first) => {
                map.keep(first);
                map.refill();
                Ok(map)
            }
            None => Ok(map),
        }
    }

    fn submit_next(&mut self) -> Option<Submitted<T>> {
        if let Some(held) = self.held.take() {
            return Some(self.submit(held));
        }
        let input = self.inputs.next()?;
        let f = Arc::clone(&self.f);
        let job = move || f(input);
        Some(
            self.submit(job)
                .map_err(|refused| Refused { task: Box::new(refused.task) as Boxed<T>, reason: refused.reason }),
        )
    }

    fn submit<J: FnOnce() -> T + Send + 'static>(&self, job: J) -> Result<TaskHandle<T>, Refused<J>> {
        let _at = CutOnDrop(Some(current::stand(self.place.clone(), Pending::Nothing)));
        let _in = self.span.enter();
        self.pool.submit_static(self.task_type.clone(), job)
    }

    /// False when the queue had no room.
    fn keep(&mut self, next: Submitted<T>) -> bool {
        match next {
            Ok(handle) => self.under_way.push_back(Ok(handle)),
            Err(Refused { task, reason: SubmitError::QueueFull { .. } }) => {
                // Kept and tried again, so nothing was refused to anybody.
                self.pool.counters.refused.fetch_sub(1, Ordering::Relaxed);
                self.held = Some(task);
                return false;
            }
            Err(Refused { reason, .. }) => {
                let error = TaskError::refused(TaskId::next(), &self.pool.namespace, reason);
                self.under_way.push_back(Err(error));
            }
        }
        true
    }

    fn refill(&mut self) {
        while self.under_way.len() < self.window {
            let Some(next) = self.submit_next() else { return };
            if !self.keep(next) {
                return;
            }
        }
    }
}

impl<I, F, T> Iterator for Map<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = Result<T, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.refill();
        if self.under_way.is_empty() {
            // Others fill the queue, and none of ours is under way whose end would make room: wait for theirs.
            let held = self.held.take()?;
            let waited = {
                let _at = CutOnDrop(Some(current::stand(self.place.clone(), Pending::Nothing)));
                let _in = self.span.enter();
                self.pool.submit_waiting(self.task_type.clone(), held, None)
            };
            self.keep(waited);
        }
        match self.under_way.pop_front()? {
            Ok(handle) => Some(handle.join()),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<I: Iterator, F, T> fmt::Debug for Map<I, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("under_way", &self.under_way.len()).finish_non_exhaustive()
    }
}
