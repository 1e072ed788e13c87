//! [`TaskSet::try_join_all`]: all values of a set, or the first error.

use std::future::{Future, poll_fn};

use crate::error::Error;
use crate::pool::handle::set::{Numbered, TaskSet};

impl<T, E: From<Error>> TaskSet<Result<T, E>> {
    /// Waits for all tasks, and returns their values in the order of the pushes. The first error cancels the rest.
    ///
    /// The first error is the first to happen, of whichever task: the task's own, or one of this crate (a panic, a cancel),
    /// converted. After it the wait goes on until the cancelled tasks have ended, so none of them runs when this returns. A
    /// running task ends at its next [`checkpoint`](crate::checkpoint) or by itself. The wait for each is that of
    /// [`join_next`](Self::join_next).
    ///
    /// ```
    /// use heirloom::{Error, PoolConfig, Scope, TaskSet};
    ///
    /// let scope = Scope::new("doc");
    /// let pool = scope.create("work");
    /// pool.start(PoolConfig::leased(2))?;
    /// let mut squares = TaskSet::new();
    /// for n in 1..=4_u64 {
    ///     squares.push(pool.submit(move || Ok::<_, Error>(n * n))?);
    /// }
    /// assert_eq!(squares.try_join_all()?, [1, 4, 9, 16]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The first error of a task.
    pub fn try_join_all(self) -> Result<Vec<T>, E> {
        // A panic of the error's conversion cancels the rest too.
        let mut set = self.cancel_on_drop();
        let mut all = All::new(set.pushed());
        while let Some(ended) = set.join_numbered() {
            if all.take(ended) {
                set.cancel_all();
            }
        }
        all.finish()
    }

    /// As [`try_join_all`](Self::try_join_all), without blocking the runtime. Dropping the future cancels the unfinished
    /// tasks, and does not wait for them.
    ///
    /// # Errors
    /// As [`try_join_all`](Self::try_join_all).
    pub fn try_join_all_async(self) -> impl Future<Output = Result<Vec<T>, E>> {
        // Also before the first poll.
        let mut set = self.cancel_on_drop();
        async move {
            let mut all = All::new(set.pushed());
            while let Some(ended) = poll_fn(|cx| set.poll_numbered(cx)).await {
                if all.take(ended) {
                    set.cancel_all();
                }
            }
            all.finish()
        }
    }
}

/// The values so far, by the numbers of their pushes, or the first error.
struct All<T, E>(Result<Vec<Option<T>>, E>);

impl<T, E: From<Error>> All<T, E> {
    fn new(pushed: usize) -> Self {
        let mut values = Vec::new();
        values.resize_with(pushed, || None);
        Self(Ok(values))
    }

    /// Takes a result in. Returns whether it is the first error.
    fn take(&mut self, (number, (_, result)): Numbered<Result<T, E>>) -> bool {
        let Ok(values) = &mut self.0 else { return false };
        match result.map_err(E::from).and_then(|own| own) {
            Ok(value) => {
                values[number] = Some(value);
                false
            }
            Err(error) => {
                self.0 = Err(error);
                true
            }
        }
    }

    /// A task that was yielded before has no value here.
    fn finish(self) -> Result<Vec<T>, E> {
        Ok(self.0?.into_iter().flatten().collect())
    }
}
