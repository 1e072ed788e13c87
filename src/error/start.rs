//! [`StartError`]: a pool was not started.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;
use crate::error::kind::ErrorKind;
use crate::error::no_place::NO_PLACE;
use crate::names::label::InCode;
use crate::names::namespace::Namespace;
use crate::sync::os::Arc;

/// Why a pool was not started. Nothing was changed.
///
/// ```
/// use heirloom::{PoolConfig, Scope, StartErrorKind};
///
/// let scope = Scope::new("doc");
/// let render = scope.create("render");
/// render.start(PoolConfig::leased(4))?;
/// let error = render.start(PoolConfig::leased(8)).unwrap_err();
/// assert_eq!(error.namespace(), Some(render.namespace()));
/// match error.as_start().map(|error| error.kind()) {
///     Some(StartErrorKind::AlreadyRunning) => {} // the first start goes on
///     Some(StartErrorKind::StillStopping { remaining }) => println!("{remaining} tasks are left"),
///     _ => return Err(error),
/// }
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Debug)]
pub struct StartError(Box<Repr>);

#[derive(Debug)]
struct Repr {
    namespace: Namespace,
    kind: StartErrorKind,
}

/// The reasons for a [`StartError`].
#[derive(Debug)]
#[non_exhaustive]
pub enum StartErrorKind {
    /// The manager's pool runs already.
    AlreadyRunning,
    /// The last start is stopping, and some of its tasks have not finished.
    StillStopping {
        /// Tasks accepted and not finished.
        remaining: usize,
    },
    /// The pool runs with other settings than the ones asked for.
    ConfigMismatch {
        /// The first setting that differs.
        setting: &'static str,
        /// All settings that differ.
        settings: Vec<&'static str>,
    },
    /// A setting is not possible, alone or for this kind of pool.
    Invalid {
        /// The setting.
        setting: &'static str,
        /// The fault of the value, and the value that would be right.
        problem: &'static str,
    },
    /// The closure that gives [`get_or_start`](crate::get_or_start()) its settings asked for the same manager.
    Reentrant,
    /// Another caller's closure is to give the manager its settings, and waits, directly or through others, for the
    /// caller.
    WouldDeadlock {
        /// The waits that hold each other up.
        circle: Circle,
    },
    /// The scope at or above the manager's owner has ended.
    ScopeEnded {
        /// The scope, in words, unless it was dropped.
        scope: Option<String>,
        /// The cancel that ended it, such as its deadline; `None` when it was closed without one, or dropped.
        cause: Option<Cancelled>,
    },
    /// The code that created the manager had no node of its own, so no look-up finds the manager. Such code shares its
    /// thread with other code: it is a runtime's future, or runs on a thread that was
    /// [marked](crate::thread::mark_shared).
    NoPlace,
    /// The initialiser of a worker failed or panicked, so the pool was ended again.
    WorkerInit {
        /// The setting that gave the initialiser: `on_worker_start` or `worker_state`.
        setting: &'static str,
        /// The initialiser's own error, or the text of its panic.
        error: Arc<dyn Error + Send + Sync>,
    },
    /// Some of the workers to be warm were not ready in time, so the pool was ended again.
    WarmTimeout {
        /// Workers that were ready.
        ready: usize,
        /// Workers that were asked for.
        wanted: usize,
        /// The time that was allowed.
        after: Duration,
    },
    /// The operating system refused a thread that was to be warm. Trying again later may work.
    ThreadSpawn {
        /// The system's error.
        source: io::Error,
    },
    /// The pool was ended by another caller before its workers were ready.
    Ended,
    /// This process is a fork of the one that made the pools; their threads do not exist here.
    Forked,
}

impl StartError {
    #[cold]
    pub(crate) fn new(namespace: &Namespace, kind: StartErrorKind) -> Self {
        Self(Box::new(Repr { namespace: namespace.clone(), kind }))
    }

    /// The manager's name.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The reason, to match on.
    #[must_use]
    pub fn kind(&self) -> &StartErrorKind {
        &self.0.kind
    }

    pub(super) fn flat(&self) -> ErrorKind {
        match self.kind() {
            StartErrorKind::AlreadyRunning => ErrorKind::AlreadyRunning,
            StartErrorKind::StillStopping { .. } => ErrorKind::StillStopping,
            StartErrorKind::ConfigMismatch { .. } => ErrorKind::ConfigMismatch,
            StartErrorKind::Invalid { .. } => ErrorKind::Invalid,
            StartErrorKind::Reentrant => ErrorKind::Reentrant,
            StartErrorKind::WouldDeadlock { .. } => ErrorKind::WouldDeadlock,
            StartErrorKind::ScopeEnded { cause, .. } => Cancelled::kind_of(cause.as_ref(), ErrorKind::ScopeEnded),
            StartErrorKind::NoPlace => ErrorKind::NoPlace,
            StartErrorKind::WorkerInit { .. } => ErrorKind::WorkerInit,
            StartErrorKind::WarmTimeout { .. } => ErrorKind::TimedOut,
            StartErrorKind::ThreadSpawn { .. } => ErrorKind::NoThread,
            StartErrorKind::Ended => ErrorKind::Closed,
            StartErrorKind::Forked => ErrorKind::Forked,
        }
    }

    pub(super) fn cancelled(&self) -> Option<&Cancelled> {
        match self.kind() {
            StartErrorKind::ScopeEnded { cause, .. } => cause.as_ref(),
            _ => None,
        }
    }

    pub(super) fn circle(&self) -> Option<&Circle> {
        match self.kind() {
            StartErrorKind::WouldDeadlock { circle } => Some(circle),
            _ => None,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One call for each text: the methods of `Formatter` are inlined.
        let f: &mut dyn fmt::Write = f;
        let Repr { namespace, kind } = &*self.0;
        match kind {
            StartErrorKind::AlreadyRunning => write!(
                f,
                "\"{namespace}\" is running already; submit to it as it is (`get_or_start` returns the running one, or \
                 starts one), or `stop` it before starting it with other settings"
            ),
            StartErrorKind::StillStopping { remaining } => write!(
                f,
                "\"{namespace}\" still has {remaining} task(s) of its last start; wait with `stop` or `wait_idle` before \
                 starting it again"
            ),
            StartErrorKind::ConfigMismatch { settings, .. } => write!(
                f,
                "\"{namespace}\" runs with another {}; take it as it is with `get_or_start`, ask for the settings it has, \
                 or `stop` it before starting it with these",
                Listed(settings)
            ),
            StartErrorKind::Invalid { setting, problem } => write!(f, "\"{namespace}\": `{setting}` {problem}"),
            StartErrorKind::Reentrant => write!(
                f,
                "the settings for \"{namespace}\" wait for \"{namespace}\" itself; make them without `get_or_start` of \
                 the same name"
            ),
            StartErrorKind::WouldDeadlock { circle } => write!(
                f,
                "waiting for another caller to start \"{namespace}\" would never end: {circle}; make the settings \
                 without waiting for code that needs it"
            ),
            StartErrorKind::ScopeEnded { scope, cause } => write!(
                f,
                "\"{namespace}\" belongs to {}, which has ended{}; create the manager in a scope that is open",
                scope.as_deref().unwrap_or("a scope"),
                Cancelled::in_brackets(cause.as_ref())
            ),
            StartErrorKind::NoPlace => write!(
                f,
                "\"{namespace}\" was created by code that owns nothing: {NO_PLACE}, or create it with \
                 `Lineage::process().create({})` if the whole process is meant",
                InCode(&namespace.0, "Namespace")
            ),
            StartErrorKind::WorkerInit { setting, error } => write!(
                f,
                "\"{namespace}\": a worker's initialiser (`{setting}`) failed: {error}; correct that and start it again"
            ),
            StartErrorKind::WarmTimeout { ready, wanted, after } => write!(
                f,
                "\"{namespace}\": {ready} of {wanted} workers were ready after {after:.1?}; allow more with \
                 `warm_timeout`, or warm fewer"
            ),
            StartErrorKind::ThreadSpawn { source } => write!(
                f,
                "the system refused a thread for \"{namespace}\": {source}; raise its limits, or warm fewer workers"
            ),
            StartErrorKind::Ended => write!(
                f,
                "\"{namespace}\" was ended before its workers were ready; start it again if that was not meant"
            ),
            StartErrorKind::Forked => write!(
                f,
                "\"{namespace}\": this process is a fork, and threads do not survive a fork; start pools only after \
                 forking"
            ),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.kind() {
            StartErrorKind::WorkerInit { error, .. } => Some(&**error),
            StartErrorKind::ThreadSpawn { source } => Some(source),
            _ => None,
        }
    }
}

/// The names of settings, as code.
struct Listed<'a>(&'a [&'static str]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, setting) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}`{setting}`")?;
        }
        Ok(())
    }
}
