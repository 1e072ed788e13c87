//! [`TraceContext`]: the W3C headers that travel with a job, and the [`Propagator`] that ties them to a tracing library.

use std::fmt;

use crate::error::Error;
use crate::lineage::handle::Lineage;
use crate::sync::os::OnceLock;
use crate::value::heirloom::Heirloom;
use crate::wire::envelope::{self, TRACE_HEADERS};

/// Bound at each job's task, and where users bind one.
static CONTEXT: Heirloom<TraceContext> = Heirloom::new("heirloom.trace");

/// The W3C trace context and baggage of a job: `traceparent`, `tracestate` and `baggage`.
///
/// Each job carries them from its submitter to its worker. Without a [`Propagator`] a job that sends a job hands its own on, so the
/// headers of the first submitter reach the last worker unchanged.
///
/// ```
/// use heirloom::remote::TraceContext;
///
/// let mut context = TraceContext::new();
/// context.set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
/// context.set("x-other", "no header of a trace");
/// assert_eq!(context.traceparent(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
/// assert_eq!(context.get("x-other"), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TraceContext(Vec<(String, String)>);

impl TraceContext {
    /// Returns a context without headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the nearest context: that of the job that the running code belongs to, or one that was [bound](Self::bind_at) at a
    /// scope above; an empty one where there is none.
    ///
    /// For a call to a service that knows the headers.
    #[must_use]
    pub fn current() -> Self {
        CONTEXT.get().map(|context| TraceContext::clone(&context)).unwrap_or_default()
    }

    /// Binds the context at a node, such as a request's scope: jobs that are sent from there carry it.
    ///
    /// ```
    /// use heirloom::Scope;
    /// use heirloom::remote::TraceContext;
    ///
    /// let request = Scope::new("request 7");
    /// let mut context = TraceContext::new();
    /// context.set("baggage", "tenant=3"); // from the request's own headers
    /// context.bind_at(&request)?;
    /// assert_eq!(request.run(TraceContext::current).baggage(), Some("tenant=3"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Heirloom::bind`], such as in a scope that has ended.
    pub fn bind_at(self, at: &Lineage) -> Result<(), Error> {
        CONTEXT.at(at).bind(self).map(drop)
    }

    /// Returns the value of a header.
    #[must_use]
    pub fn get(&self, header: &str) -> Option<&str> {
        envelope::header(&self.0, header)
    }

    /// Returns the header `traceparent`: the ids of the trace and of the submitter's span.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.get("traceparent")
    }

    /// Returns the header `tracestate`.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.get("tracestate")
    }

    /// Returns the header `baggage`.
    #[must_use]
    pub fn baggage(&self) -> Option<&str> {
        self.get("baggage")
    }

    /// Returns the headers that are there.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Sets a header. Another header than the three, or a value with a control character, is ignored.
    pub fn set(&mut self, header: &str, value: impl Into<String>) {
        let value = value.into();
        let Some(known) = TRACE_HEADERS.iter().find(|known| known.eq_ignore_ascii_case(header)) else { return };
        if value.chars().any(char::is_control) {
            return;
        }
        self.0.retain(|(key, _)| key != known);
        self.0.push(((*known).to_string(), value));
    }

    pub(crate) fn of(headers: Vec<(String, String)>) -> Self {
        Self(headers)
    }

    /// Returns the headers of a job that the running code sends. Runs user code: the propagator.
    pub(crate) fn inject() -> Vec<(String, String)> {
        let mut context = Self::current();
        if let Some(propagator) = PROPAGATOR.get() {
            // A panic in it is the submitter's.
            propagator.inject(&mut context);
        }
        context.0
    }

    /// Lets the propagator make the job's span a child of the submitter's.
    pub(super) fn extract(&self, span: &tracing::Span) {
        if let Some(propagator) = PROPAGATOR.get() {
            propagator.extract(self, span);
        }
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

static PROPAGATOR: OnceLock<Box<dyn Propagator>> = OnceLock::new();

/// Ties the headers of jobs to a tracing library, such as OpenTelemetry. Set once, by [`set_propagator`].
pub trait Propagator: Send + Sync + 'static {
    /// Writes the running code's context into the headers of a job. Called where the job is sent, on the submitter's thread.
    ///
    /// `context` has the headers of the job that the submitter itself runs in, if any.
    fn inject(&self, context: &mut TraceContext);

    /// Makes `span`, that of the job on its worker, a child of the span in the headers. Called before the span is entered, on
    /// the thread that runs the job.
    fn extract(&self, context: &TraceContext, span: &tracing::Span);
}

/// Sets the propagator of this process. Returns whether it is set: the first one stays.
///
/// ```
/// use heirloom::remote::{Propagator, TraceContext, set_propagator};
///
/// /// With OpenTelemetry: `propagator.inject_context(&Span::current().context(), &mut Writer(context))`,
/// /// and `span.set_parent(propagator.extract(&Reader(context)))`.
/// struct Logged;
///
/// impl Propagator for Logged {
///     fn inject(&self, context: &mut TraceContext) {
///         context.set("baggage", "tenant=3");
///     }
///
///     fn extract(&self, context: &TraceContext, span: &tracing::Span) {
///         span.record("trace", context.traceparent().unwrap_or("none"));
///     }
/// }
///
/// assert!(set_propagator(Logged));
/// ```
pub fn set_propagator(propagator: impl Propagator) -> bool {
    PROPAGATOR.set(Box::new(propagator)).is_ok()
}
