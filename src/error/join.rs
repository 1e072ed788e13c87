//! [`JoinError`]: a thread, or a spawned future or job, gave no value.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::thread::Thread;

#[cfg(feature = "tokio")]
use crate::error::cancelled::Cancelled;
use crate::error::circle::Circle;
use crate::error::kind::ErrorKind;
use crate::error::task::payload_text;
use crate::names::label::Printed;
use crate::sync::os::Mutex;
use crate::sync::unwind::swallow_drop;

/// Why a thread, or a spawned future or job, gave no value: it panicked, was cancelled, or cannot be waited for.
pub struct JoinError(Box<Repr>);

struct Repr {
    /// `None` for a spawned future or job.
    thread: Option<Thread>,
    reason: Reason,
}

enum Reason {
    /// The payload may hold anything that is `Send`; the mutex makes the error `Sync` without looking inside.
    Panic {
        payload: Mutex<Option<Box<dyn Any + Send>>>,
        text: Option<String>,
    },
    Deadlock(Circle),
    Forked,
    /// A cancel request came by the handle, or by the work's node.
    #[cfg(feature = "tokio")]
    Cancelled(Option<Cancelled>),
    /// The runtime was shut down.
    #[cfg(feature = "tokio")]
    Dropped,
}

impl JoinError {
    fn new(thread: Option<Thread>, reason: Reason) -> Self {
        Self(Box::new(Repr { thread, reason }))
    }

    pub(crate) fn panic(thread: Option<Thread>, payload: Box<dyn Any + Send>) -> Self {
        let text = payload_text(payload.as_ref()).map(String::from);
        Self::new(thread, Reason::Panic { payload: Mutex::new(Some(payload)), text })
    }

    pub(crate) fn deadlock(thread: &Thread, circle: Circle) -> Self {
        Self::new(Some(thread.clone()), Reason::Deadlock(circle))
    }

    pub(crate) fn forked(thread: &Thread) -> Self {
        Self::new(Some(thread.clone()), Reason::Forked)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn of_cancelled(cause: Option<Cancelled>) -> Self {
        Self::new(None, Reason::Cancelled(cause))
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn dropped() -> Self {
        Self::new(None, Reason::Dropped)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn is_by_runtime(&self) -> bool {
        matches!(self.0.reason, Reason::Dropped)
    }

    /// The reason: `Panicked`, `Cancelled`, `DeadlineExceeded`, `WouldDeadlock` or `Forked`.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0.reason {
            Reason::Panic { .. } => ErrorKind::Panicked,
            Reason::Deadlock(_) => ErrorKind::WouldDeadlock,
            Reason::Forked => ErrorKind::Forked,
            #[cfg(feature = "tokio")]
            Reason::Cancelled(cause) => Cancelled::kind_of(cause.as_ref(), ErrorKind::Cancelled),
            #[cfg(feature = "tokio")]
            Reason::Dropped => ErrorKind::Cancelled,
        }
    }

    #[cfg(feature = "tokio")]
    pub(super) fn cancelled(&self) -> Option<&Cancelled> {
        match &self.0.reason {
            Reason::Cancelled(cause) => cause.as_ref(),
            _ => None,
        }
    }

    pub(super) fn circle(&self) -> Option<&Circle> {
        match &self.0.reason {
            Reason::Deadlock(circle) => Some(circle),
            _ => None,
        }
    }

    /// The panic's message, when the payload is a text.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match &self.0.reason {
            Reason::Panic { text, .. } => text.as_deref(),
            _ => None,
        }
    }

    pub(super) fn into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        let payload = match &self.0.reason {
            Reason::Panic { payload, .. } => payload.lock().take(),
            _ => None,
        };
        payload.ok_or(self)
    }
}

impl Drop for Repr {
    fn drop(&mut self) {
        if let Reason::Panic { payload, .. } = &mut self.reason {
            // The payload's drop is user code, which may panic.
            swallow_drop(payload.get_mut().take());
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = Work(self.0.thread.as_ref());
        match &self.0.reason {
            Reason::Panic { text, .. } => {
                write!(f, "{work} panicked: {}", text.as_deref().unwrap_or("(a payload that is no text)"))
            }
            Reason::Deadlock(circle) => write!(
                f,
                "the wait for {work} would never end: {circle}; release what the others wait for before joining"
            ),
            Reason::Forked => write!(f, "{work} runs in the process that this one is a fork of; join it there"),
            #[cfg(feature = "tokio")]
            Reason::Cancelled(Some(cause)) => write!(f, "{work} was cancelled: {}; pass this up", cause.why()),
            #[cfg(feature = "tokio")]
            Reason::Cancelled(None) => {
                write!(f, "{work} was cancelled, by its handle or with the node that it runs at; pass this up")
            }
            #[cfg(feature = "tokio")]
            Reason::Dropped => {
                write!(f, "{work} was cancelled, because its runtime was shut down; stop the work's scopes first")
            }
        }
    }
}

struct Work<'a>(Option<&'a Thread>);

impl fmt::Display for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("spawned work"),
            Some(thread) => match thread.name() {
                Some(name) => write!(f, "thread {:?}", Printed(name)),
                None => write!(f, "a thread without a name ({:?})", thread.id()),
            },
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}
