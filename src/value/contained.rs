//! [`Contained`]: a user's value whose `Drop` may panic where no caller could take the panic.

use std::ops::Deref;

use crate::sync::unwind::swallow_drop;

/// A value whose panic in `Drop` is swallowed: a node may end, and drop its values, on any thread.
pub(crate) struct Contained<T>(Option<T>);

impl<T> Contained<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> Deref for Contained<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("it has its value until it is dropped"),
        }
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        swallow_drop(self.0.take());
    }
}
