//! [`Maker`]: the setting with which each thread makes its state.

use std::any::{Any, TypeId};
use std::fmt;

use crate::pool::config::worker_ctx::Failure;
use crate::sync::os::Arc;

type Make = dyn Fn() -> Result<Box<dyn Any>, Failure> + Send + Sync;

/// The function that makes the state of each thread. Two are equal when they make the same type.
#[derive(Clone)]
pub(crate) struct Maker {
    make: Arc<Make>,
    kind: StateType,
}

/// The type of a state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateType {
    id: TypeId,
    pub(crate) name: &'static str,
}

impl StateType {
    pub(crate) fn of<S: 'static>() -> Self {
        Self { id: TypeId::of::<S>(), name: std::any::type_name::<S>() }
    }
}

impl Maker {
    pub(crate) fn new<S: 'static, E: Into<Failure>>(f: impl Fn() -> Result<S, E> + Send + Sync + 'static) -> Self {
        let make = move || match f() {
            Ok(state) => Ok(Box::new(state) as Box<dyn Any>),
            Err(error) => Err(error.into()),
        };
        Self { make: Arc::new(make), kind: StateType::of::<S>() }
    }

    pub(crate) fn run(&self) -> Result<Box<dyn Any>, Failure> {
        (self.make)()
    }

    pub(crate) fn makes(&self) -> StateType {
        self.kind
    }
}

impl PartialEq for Maker {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Maker {}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Maker").field(&self.kind.name).finish()
    }
}
