//! The maps of a [`TaskScope`]: tasks that borrow, one for each item.

use std::fmt;

use crate::error::{Error, Refused};
use crate::names::task_type::{Task as KindTask, TaskKind};
use crate::pool::handle::feed::Submitter;
use crate::pool::handle::map::Map;
use crate::pool::handle::scope::TaskScope;
use crate::pool::handle::task::TaskHandle;
use crate::pool::handle::try_map::TryMap;
use crate::pool::handle::unordered::MapUnordered;
use crate::task::body::Job;

/// A borrowing scope, for tasks that borrow for `'scope`.
pub struct ToScope<'scope, 'env, K>(&'scope TaskScope<'scope, 'env, K>);

impl<'scope, K> Submitter<'scope> for ToScope<'scope, '_, K> {
    fn submit<F, T>(&self, f: F) -> Result<TaskHandle<T>, Refused<F>>
    where
        F: Job<Output = T> + Send + 'scope,
        T: Send + 'scope,
    {
        self.0.try_submit(f)
    }
}

impl<K> fmt::Debug for ToScope<'_, '_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'scope, 'env> TaskScope<'scope, 'env> {
    /// Runs `f` on every item, and yields the results in order. Items and `f` may borrow from outside the scope.
    ///
    /// In all else as [`PoolManager::map`](crate::PoolManager::map): the map's drop cancels the tasks under way, and the
    /// scope waits for those that run.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let words = vec![String::from("walk"), String::from("up")];
    /// let lengths: Vec<usize> = pool.scope(|s| s.map(&words, |word| word.len())?.collect::<Result<_, _>>())?;
    /// assert_eq!(lengths, [4, 2]);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PoolManager::map`](crate::PoolManager::map).
    pub fn map<I, F, T>(
        &'scope self,
        items: I,
        f: F,
    ) -> Result<Map<I::IntoIter, F, T, ToScope<'scope, 'env, ()>>, Error>
    where
        I: IntoIterator,
        I::Item: Send + 'scope,
        F: Fn(I::Item) -> T + Send + Sync + 'scope,
        T: Send + 'scope,
    {
        Map::new(self.pool, ToScope(self), items.into_iter(), f)
    }

    /// As [`map`](Self::map), with the results in the order in which the tasks finish.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_unordered<I, F, T>(
        &'scope self,
        items: I,
        f: F,
    ) -> Result<MapUnordered<I::IntoIter, F, T, ToScope<'scope, 'env, ()>>, Error>
    where
        I: IntoIterator,
        I::Item: Send + 'scope,
        F: Fn(I::Item) -> T + Send + Sync + 'scope,
        T: Send + 'scope,
    {
        MapUnordered::new(self.pool, ToScope(self), items.into_iter(), f)
    }

    /// As [`map`](Self::map), up to the first error, which cancels the rest. See
    /// [`PoolManager::try_map`](crate::PoolManager::try_map).
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(2))?;
    /// let files = ["Cargo.toml".to_string(), "README.md".to_string()];
    /// let sizes: Vec<u64> = pool.scope(|s| s.try_map(&files, |file| Ok(std::fs::metadata(file)?.len())).collect::<Result<_, Box<dyn std::error::Error + Send + Sync>>>())?;
    /// assert_eq!(sizes.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn try_map<I, F, T, E>(&'scope self, items: I, f: F) -> TryMap<I::IntoIter, F, T, E, ToScope<'scope, 'env, ()>>
    where
        I: IntoIterator,
        I::Item: Send + 'scope,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'scope,
        T: Send + 'scope,
        E: From<Error> + Send + 'scope,
    {
        TryMap::new(MapUnordered::new(self.pool, ToScope(self), items.into_iter(), f))
    }
}

impl<'scope, 'env, K: TaskKind> TaskScope<'scope, 'env, K> {
    /// As the [`map`](TaskScope::map) of a scope without a kind, for a closure of the scope's kind.
    ///
    /// # Errors
    /// As [`TypedManager::map`](crate::TypedManager::map).
    pub fn map<I, F, T>(
        &'scope self,
        items: I,
        f: KindTask<K, F>,
    ) -> Result<Map<I::IntoIter, F, T, ToScope<'scope, 'env, K>>, Error>
    where
        I: IntoIterator,
        I::Item: Send + 'scope,
        F: Fn(I::Item) -> T + Send + Sync + 'scope,
        T: Send + 'scope,
    {
        Map::new(self.pool, ToScope(self), items.into_iter(), f.run)
    }

    /// As [`map`](Self::map), with the results in the order in which the tasks finish.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_unordered<I, F, T>(
        &'scope self,
        items: I,
        f: KindTask<K, F>,
    ) -> Result<MapUnordered<I::IntoIter, F, T, ToScope<'scope, 'env, K>>, Error>
    where
        I: IntoIterator,
        I::Item: Send + 'scope,
        F: Fn(I::Item) -> T + Send + Sync + 'scope,
        T: Send + 'scope,
    {
        MapUnordered::new(self.pool, ToScope(self), items.into_iter(), f.run)
    }

    /// As [`map`](Self::map), up to the first error, which cancels the rest.
    pub fn try_map<I, F, T, E>(
        &'scope self,
        items: I,
        f: KindTask<K, F>,
    ) -> TryMap<I::IntoIter, F, T, E, ToScope<'scope, 'env, K>>
    where
        I: IntoIterator,
        I::Item: Send + 'scope,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'scope,
        T: Send + 'scope,
        E: From<Error> + Send + 'scope,
    {
        TryMap::new(MapUnordered::new(self.pool, ToScope(self), items.into_iter(), f.run))
    }
}
