//! [`TaskType`]: the tasks that a typed pool accepts; [`TaskKind`] and [`Task`]: the same, checked by the compiler.

use std::fmt;
use std::marker::PhantomData;

use crate::names::label::{Label, label_type};

/// The type of tasks that a typed pool accepts.
///
/// A text guards against mistakes: any code that knows the word can use it. [`TaskType::of`] with a private type guards
/// against intent too, since no code outside can name the type.
///
/// ```
/// use heirloom::TaskType;
/// struct Render; // private: only this module can make this task type
///
/// assert_ne!(TaskType::of::<Render>(), TaskType::from("Render"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TaskType(pub(crate) Label);

label_type!(TaskType);

/// A task type that the compiler knows. Implement it on an empty type and submit through
/// [`PoolManager::typed`](crate::PoolManager::typed).
///
/// Another kind's task does not compile:
///
/// ```compile_fail,E0308
/// use heirloom::TaskKind;
/// struct Render;
/// impl TaskKind for Render {}
/// struct Fetch;
/// impl TaskKind for Fetch {}
///
/// fn only_render(pool: &heirloom::TypedManager<Render>) {
///     pool.submit(Fetch::task(|| 1)).unwrap();
/// }
/// ```
pub trait TaskKind: Sized + 'static {
    /// Marks a closure as a task of this kind. Costs nothing at run time.
    fn task<F>(run: F) -> Task<Self, F> {
        Task { run, kind: PhantomData }
    }
}

/// A closure marked with its kind; made by [`TaskKind::task`].
#[must_use = "a task does nothing until it is submitted"]
pub struct Task<K, F> {
    pub(crate) run: F,
    kind: PhantomData<fn() -> K>,
}

impl<K, F> fmt::Debug for Task<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task<{}>", std::any::type_name::<K>())
    }
}
