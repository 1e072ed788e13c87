//! [`Builder`]: settings for a thread, and its start.

use std::io;

use crate::error::{Error, SpawnError};
use crate::lineage::current::{self, LazyNode};
use crate::lineage::handle::ExitOnDrop;
use crate::lineage::node::NodeRef;
use crate::lineage::thread_state::ThreadState;
use crate::subscriber::Scoped;
use crate::sync::os::Arc;
use crate::thread::handle::JoinHandle;

/// Settings for a thread, as `std::thread::Builder`.
///
/// ```
/// use heirloom::{Lineage, Scope, thread};
///
/// let request = Scope::new("request 7");
/// let _at = request.enter();
/// let parent = || heirloom::current().parent();
/// let child = thread::Builder::new().name("reader").stack_size(256 << 10).spawn(parent)?;
/// let stranger = thread::Builder::new().detached().spawn(parent)?;
/// assert_eq!(child.join()?.as_ref(), Some(request.lineage()));
/// assert_eq!(stranger.join()?, Some(Lineage::process()));
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a thread is started by `spawn`"]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
    detached: bool,
    shielded: bool,
}

impl Builder {
    /// Makes the default settings, which are those of `std`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the thread, and its node.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the stack size in bytes.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Cuts the edge to the caller's node: the thread stands directly below the process, and no scope's end cancels it.
    ///
    /// ```
    /// use heirloom::{Scope, thread};
    /// use std::{sync::LazyLock, time::Duration};
    ///
    /// static CLEANER: LazyLock<thread::JoinHandle<()>> = LazyLock::new(|| {
    ///     let cleans = || while heirloom::sleep(Duration::from_millis(10)).is_ok() {};
    ///     thread::Builder::new().detached().spawn(cleans).expect("a thread is to be had")
    /// });
    ///
    /// let request = Scope::new("request 7");
    /// request.run(|| LazyLock::force(&CLEANER)); // started by the first request
    /// drop(request);
    /// std::thread::sleep(Duration::from_millis(30));
    /// assert!(!CLEANER.is_finished()); // and serves all requests
    /// ```
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Shields the thread: a cancel of the nodes above reaches neither the thread nor the work that it starts.
    ///
    /// It still finds their managers and values. Cancel it by its [`JoinHandle`], or join it with
    /// [`join_cancelling`](JoinHandle::join_cancelling), which passes cancel requests on.
    ///
    /// A shielded thread still stands in its scope: below a scope that has ended, also by a cancel, no pool accepts a
    /// task. Tasks that it must submit then it submits from outside, with [`Lineage::run`](crate::Lineage::run).
    ///
    /// ```
    /// use heirloom::{Scope, thread};
    ///
    /// let request = Scope::new("request 7");
    /// let _at = request.enter();
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let saves = thread::Builder::new().shielded().spawn(move || {
    ///     let _ = wait.recv();
    ///     heirloom::checkpoint()
    /// })?;
    /// request.cancel();
    /// drop(go);
    /// assert!(saves.join()?.is_ok()); // shielded
    /// assert!(heirloom::checkpoint().is_err());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn shielded(mut self) -> Self {
        self.shielded = true;
        self
    }

    /// Starts the thread below the current node.
    ///
    /// # Errors
    /// [`SpawnError::Thread`]: the operating system refuses a thread, or the name has a zero byte.
    pub fn spawn<F, T>(self, f: F) -> Result<JoinHandle<T>, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let builder = self.std()?;
        let (child, started) = self.child();
        let inner = builder.spawn(move || child.run(f)).map_err(SpawnError::from)?;
        Ok(JoinHandle { inner, started })
    }

    pub(super) fn std(&self) -> Result<std::thread::Builder, SpawnError> {
        let mut builder = std::thread::Builder::new();
        if let Some(name) = &self.name {
            if name.contains('\0') {
                // `std` panics here; a caller's mistake is an error.
                let problem = "a thread name cannot contain a zero byte";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, problem).into());
            }
            builder = builder.name(name.clone());
        }
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        Ok(builder)
    }

    pub(super) fn child(self) -> (Child, Arc<ThreadState>) {
        let parent = if self.detached { NodeRef::PROCESS } else { current::here() };
        let started = ThreadState::new(self.shielded);
        (Child { parent, name: self.name, started: Arc::clone(&started), subscriber: Scoped::here() }, started)
    }
}

/// The state that a new thread takes with it.
pub(super) struct Child {
    parent: NodeRef,
    name: Option<String>,
    started: Arc<ThreadState>,
    subscriber: Option<Scoped>,
}

impl Child {
    pub(super) fn run<T>(self, f: impl FnOnce() -> T) -> T {
        // This entry stays on the stack when `f` has returned: code in the destructors of the thread's locals stands at
        // the process, instead of becoming a second node of this thread.
        std::mem::forget(current::enter_as_thread(NodeRef::PROCESS, LazyNode::Nothing));
        let shielded = self.started.shielded;
        let runs = ThreadState::begin(&self.started);
        let itself = LazyNode::Thread(self.name, Some(self.started));
        let guard = ExitOnDrop(Some(current::enter_as_thread(self.parent, itself)));
        if shielded {
            // A node from the beginning: the cancel requests of the nodes above end at it.
            drop(current::here());
        }
        let default = self.subscriber.as_ref().and_then(Scoped::enter);
        let out = f();
        drop(default);
        drop(guard);
        drop(runs);
        out
    }
}
