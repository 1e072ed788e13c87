//! [`Pool`]: the work that every pool in the table does.

/// Workers of every pool.
pub(crate) const WORKERS: usize = 4;

/// A pool of [`WORKERS`] workers. Its tasks do nothing, and each one's result is waited for by itself.
pub(crate) trait Pool: Sync + Sized {
    const NAME: &'static str;

    /// A running pool.
    fn start() -> Self;

    /// Submits one task and waits for its result.
    fn round_trip(&self);

    /// Submits so many tasks, keeping a handle to each, then waits for each handle in turn.
    fn flood(&self, tasks: usize);

    /// Ends the pool the way its users do.
    fn stop(self);
}

/// The task of every row.
pub(crate) fn noop() {
    std::hint::black_box(());
}

/// A pool that is stopped when this goes.
pub(crate) struct Running<P: Pool>(Option<P>);

impl<P: Pool> Running<P> {
    pub(crate) fn start() -> Self {
        Self(Some(P::start()))
    }

    pub(crate) fn get(&self) -> &P {
        self.0.as_ref().expect("only the drop takes it")
    }
}

impl<P: Pool> Drop for Running<P> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            pool.stop();
        }
    }
}
