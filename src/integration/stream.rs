//! `futures::Stream` for the types that yield results of tasks (feature `stream`).

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::error::Error;
use crate::pool::handle::feed::Submitter;
use crate::pool::handle::map::Map;
use crate::pool::handle::set::{Ended, TaskSet};
use crate::pool::handle::stream::reader::TaskStream;
use crate::pool::handle::try_map::TryMap;
use crate::pool::handle::unordered::{Indexed, MapUnordered};

/// Implements the trait by the type's own `poll_next`.
macro_rules! streams {
    ($([$($generics:tt)*] $stream:ty where [$($bounds:tt)*] => $item:ty;)*) => {
        $(
            #[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
            impl<$($generics)*> Stream for $stream
            where
                $($bounds)*
            {
                type Item = $item;

                fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<$item>> {
                    <$stream>::poll_next(self.get_mut(), cx)
                }
            }
        )*
    };
}

streams! {
    [T, E: From<Error>] TaskStream<T, E> where [] => Result<T, E>;
    [T] TaskSet<T> where [] => Ended<T>;
    ['a, I, F, T, S] Map<I, F, T, S> where [
        S: Submitter<'a>,
        I: Iterator,
        I::Item: Send + 'a,
        F: Fn(I::Item) -> T + Send + Sync + 'a,
        T: Send + 'a,
    ] => Result<T, Error>;
    ['a, I, F, T, S] MapUnordered<I, F, T, S> where [
        S: Submitter<'a>,
        I: Iterator,
        I::Item: Send + 'a,
        F: Fn(I::Item) -> T + Send + Sync + 'a,
        T: Send + 'a,
    ] => Result<T, Error>;
    ['a, I, F, T, S] Indexed<MapUnordered<I, F, T, S>> where [
        S: Submitter<'a>,
        I: Iterator,
        I::Item: Send + 'a,
        F: Fn(I::Item) -> T + Send + Sync + 'a,
        T: Send + 'a,
    ] => (usize, Result<T, Error>);
    ['a, I, F, T, E, S] TryMap<I, F, T, E, S> where [
        S: Submitter<'a>,
        I: Iterator,
        I::Item: Send + 'a,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'a,
        T: Send + 'a,
        E: From<Error> + Send + 'a,
    ] => Result<T, E>;
}
