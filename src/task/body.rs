//! [`Body`]: the code that a task is made of.

/// The code of a task: a closure, or a type whose parts a refusal gives back.
pub trait Job {
    /// The task's result.
    type Output;

    /// Runs the code.
    fn run(self) -> Self::Output;
}

impl<F, T> Job for F
where
    F: FnOnce() -> T,
{
    type Output = T;

    #[inline]
    fn run(self) -> T {
        self()
    }
}

/// A closure that may become a task. Neither the closure nor its result ends after the data that they borrow.
pub(crate) struct Body<F>(F);

impl<F> Body<F> {
    /// A closure that borrows nothing.
    #[inline]
    pub(crate) fn new<T: 'static>(f: F) -> Self
    where
        F: Job<Output = T> + 'static,
    {
        Self(f)
    }

    /// A closure that borrows.
    ///
    /// # Safety
    /// The caller lets neither the task, nor its closure, nor its result outlive what they borrow.
    #[inline]
    pub(crate) unsafe fn borrowing(f: F) -> Self {
        Self(f)
    }

    #[inline]
    pub(crate) fn into_inner(self) -> F {
        self.0
    }
}

/// Any value, to be dropped.
pub(super) trait Dropped: Send {}

impl<F: Send> Dropped for F {}

/// A closure that was taken out of its task. Dropping this drops the closure, which is user code.
pub(crate) struct Closure {
    _dropped: Box<dyn Dropped>,
}

impl Closure {
    pub(super) fn new(dropped: Box<dyn Dropped>) -> Self {
        Self { _dropped: dropped }
    }
}
