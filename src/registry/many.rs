//! The verbs of managers for many items: maps up to the first error or in the order of completion, and streams.

use crate::error::Error;
use crate::names::task_type::{Task, TaskKind};
use crate::pool::handle::feed::ToPool;
use crate::pool::handle::stream::reader::{self, TaskStream};
use crate::pool::handle::stream::sender::StreamSender;
use crate::pool::handle::try_map::TryMap;
use crate::pool::handle::unordered::MapUnordered;
use crate::registry::manager::PoolManager;
use crate::registry::of_type::OfType;
use crate::registry::stateful::StatefulManager;
use crate::registry::typed::TypedManager;

/// The items that a stream's task sends ahead of its reader.
const AHEAD: usize = 16;

/// Gives a handle these verbs. They are written once for both handles.
macro_rules! many {
    ($handle:ident) => {
        impl $handle {
            /// Runs `f` on every item, and yields the results as the tasks finish.
            ///
            /// As [`map`](Self::map), where the order of the items does not matter: a slow item holds up no other. The
            /// consumer's thread runs no item.
            /// [`indexed`](MapUnordered::indexed) adds the position of each result's item.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # pool.start(PoolConfig::leased(2))?;
            /// let mut total = 0;
            /// for square in pool.map_unordered(1..=4, |n: u64| n * n)? {
            ///     total += square?;
            /// }
            /// assert_eq!(total, 30);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            ///
            /// # Errors
            /// As [`map`](Self::map).
            pub fn map_unordered<I, F, T>(&self, items: I, f: F) -> Result<MapUnordered<I::IntoIter, F, T>, Error>
            where
                I: IntoIterator,
                I::Item: Send + 'static,
                F: Fn(I::Item) -> T + Send + Sync + 'static,
                T: Send + 'static,
            {
                let pool = self.started()?;
                let to = ToPool::new(&pool, self.type_of_tasks());
                MapUnordered::new(&pool, to, items.into_iter(), f).map_err(|refusal| self.explain(refusal))
            }

            /// Runs `f` on every item, and yields the values up to the first error.
            ///
            /// Values keep the order of the items. The error is the closure's own, into which [`Error`] converts. The first one to happen cancels the tasks under way,
            /// is yielded next, and ends the map; see [`TryMap`]. A refusal of the first task is the first item.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # pool.start(PoolConfig::leased(2))?;
            /// let texts = pool.try_map(["Cargo.toml", "README.md"], std::fs::read_to_string);
            /// let all: std::io::Result<Vec<String>> = texts.collect();
            /// assert_eq!(all?.len(), 2);
            ///
            /// let missing = pool.try_map(["Cargo.toml", "no such file"], std::fs::read_to_string);
            /// assert!(missing.collect::<std::io::Result<Vec<String>>>().is_err());
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn try_map<I, F, T, E>(&self, items: I, f: F) -> TryMap<I::IntoIter, F, T, E>
            where
                I: IntoIterator,
                I::Item: Send + 'static,
                F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
                T: Send + 'static,
                E: From<Error> + Send + 'static,
            {
                TryMap::new(self.map_unordered(items, f))
            }

            /// Submits a task that sends items, and returns the stream of them.
            ///
            /// Returns an iterator that blocks, and a `futures::Stream` with the feature `stream`. The task sends 16 items ahead of
            /// its reader, and waits then ([`StreamSender::send`]): it runs no faster than the reader reads.
            /// [`stream_with_capacity`](Self::stream_with_capacity) sets another number. Where the reader and the task share one
            /// thread (a local pool's thread, or a worker of a work-stealing pool), the task cannot wait for the reader:
            /// the buffer grows past its capacity there.
            ///
            /// An error of the closure, a panic or a cancel is the last item, so a stream without an error is whole. Dropping the
            /// stream cancels the task.
            ///
            /// ```
            /// # use heirloom::{PoolConfig, Scope};
            /// # let scope = Scope::new("doc");
            /// # let pool = scope.create("work");
            /// # pool.start(PoolConfig::leased(1))?;
            /// use std::io::{self, BufRead};
            ///
            /// let lines = pool.stream(|out| {
            ///     for line in io::BufReader::new(std::fs::File::open("Cargo.toml")?).lines() {
            ///         out.send(line?)?; // fails when the reader is gone, or the request was cancelled
            ///     }
            ///     Ok::<_, io::Error>(())
            /// })?;
            /// for line in lines.take(3) {
            ///     println!("{}", line?);
            /// }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            ///
            /// # Errors
            /// As [`submit`](Self::submit).
            pub fn stream<F, T, E>(&self, f: F) -> Result<TaskStream<T, E>, Error>
            where
                F: FnOnce(&StreamSender<T>) -> Result<(), E> + Send + 'static,
                T: Send + 'static,
                E: From<Error> + Send + 'static,
            {
                self.stream_with_capacity(AHEAD, f)
            }

            /// As [`stream`](Self::stream), where the task sends `n` items, at least one, ahead of its reader.
            ///
            /// # Errors
            /// As [`submit`](Self::submit).
            pub fn stream_with_capacity<F, T, E>(&self, n: usize, f: F) -> Result<TaskStream<T, E>, Error>
            where
                F: FnOnce(&StreamSender<T>) -> Result<(), E> + Send + 'static,
                T: Send + 'static,
                E: From<Error> + Send + 'static,
            {
                let (stream, sender) = reader::new(n);
                Ok(stream.of(self.submit(move || f(&sender))?))
            }
        }
    };
}

many!(PoolManager);
many!(OfType);

impl<K: TaskKind> TypedManager<K> {
    /// As [`PoolManager::map_unordered`].
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_unordered<I, F, T>(&self, items: I, f: Task<K, F>) -> Result<MapUnordered<I::IntoIter, F, T>, Error>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let to = ToPool::new(&self.pool, Self::kind());
        MapUnordered::new(&self.pool, to, items.into_iter(), f.run).map_err(|refusal| self.manager().explain(refusal))
    }

    /// As [`PoolManager::try_map`].
    pub fn try_map<I, F, T, E>(&self, items: I, f: Task<K, F>) -> TryMap<I::IntoIter, F, T, E>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        TryMap::new(self.map_unordered(items, f))
    }

    /// As [`PoolManager::stream`].
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn stream<F, T, E>(&self, task: Task<K, F>) -> Result<TaskStream<T, E>, Error>
    where
        F: FnOnce(&StreamSender<T>) -> Result<(), E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.stream_with_capacity(AHEAD, task)
    }

    /// As [`PoolManager::stream_with_capacity`].
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn stream_with_capacity<F, T, E>(&self, n: usize, task: Task<K, F>) -> Result<TaskStream<T, E>, Error>
    where
        F: FnOnce(&StreamSender<T>) -> Result<(), E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (f, (stream, sender)) = (task.run, reader::new(n));
        Ok(stream.of(self.submit(K::task(move || f(&sender)))?))
    }
}

impl<S: 'static> StatefulManager<S> {
    /// As [`PoolManager::stream`], with the state of the worker, such as a connection whose rows the task sends.
    ///
    /// ```
    /// use heirloom::{PoolConfig, Scope};
    ///
    /// let scope = Scope::new("doc");
    /// let db = scope.create("db");
    /// db.start(PoolConfig::dedicated(1).worker_state(|| Ok::<_, std::io::Error>(vec!["bolt", "nut"])))?; // "rows"
    /// let rows = db.with_state::<Vec<&str>>()?.stream(|rows, out| rows.iter().try_for_each(|row| out.send(*row)))?;
    /// let rows: Result<Vec<_>, heirloom::Error> = rows.collect();
    /// assert_eq!(rows?, ["bolt", "nut"]);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn stream<F, T, E>(&self, f: F) -> Result<TaskStream<T, E>, Error>
    where
        F: FnOnce(&mut S, &StreamSender<T>) -> Result<(), E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.stream_with_capacity(AHEAD, f)
    }

    /// As [`PoolManager::stream_with_capacity`], with the state of the worker.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn stream_with_capacity<F, T, E>(&self, n: usize, f: F) -> Result<TaskStream<T, E>, Error>
    where
        F: FnOnce(&mut S, &StreamSender<T>) -> Result<(), E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (stream, sender) = reader::new(n);
        Ok(stream.of(self.submit(move |state: &mut S| f(state, &sender))?))
    }
}
