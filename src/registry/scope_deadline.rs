//! [`Scope::deadline`] and [`Scope::run_timeout`]: scopes that are cancelled at a moment.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::pool::run::deadline;
use crate::registry::node_end;
use crate::registry::scope::Scope;
use crate::timer::deadlines::{Owner, deadlines};
use crate::wait::park;

impl Scope {
    /// Cancels the scope at a moment, with everything below it. A later call moves the moment, earlier or later.
    ///
    /// At the deadline the scope is cancelled as by [`cancel`](Self::cancel), with the reason
    /// [`CancelReason::Deadline`](crate::CancelReason::Deadline): queued tasks end, waits are interrupted, running code sees
    /// the request at its next [`checkpoint`](crate::checkpoint), and the scope refuses new tasks. Code below finds the
    /// earliest of the deadlines above it with [`heirloom::deadline`](crate::deadline()) and
    /// [`heirloom::remaining`](crate::remaining).
    ///
    /// A moment that has passed cancels at once, on this thread. A deadline that has passed stays, and a further call does
    /// nothing. A scope that was [closed](Self::close) keeps its deadline until its tasks have ended; the end, or the drop of
    /// an unfinished scope, removes it. The deadline of this scope alone is [`Lineage::deadline`](crate::Lineage::deadline) of
    /// its [`lineage`](Self::lineage), unless a scope above has an earlier one.
    ///
    /// One thread serves all deadlines of the process; the cancel's own work runs on threads of this crate. A deadline costs
    /// about 0.3 µs to set and to remove, however many there are, and about 250 bytes until then. On an idle machine it comes
    /// a few milliseconds late at most, and never early. Where the system refuses the thread, and in a fork's child, it does
    /// not come.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use heirloom::{ErrorKind, PoolConfig, Scope};
    ///
    /// let request = Scope::new("request 7");
    /// let db = request.create("db");
    /// db.start(PoolConfig::leased(1))?;
    /// request.deadline(Instant::now() + Duration::from_millis(500));
    /// let query = request.run(|| db.submit(|| heirloom::sleep(Duration::from_secs(3600))))?;
    /// let cancelled = query.join()?.unwrap_err();
    /// assert_eq!(cancelled.kind(), ErrorKind::DeadlineExceeded);
    /// assert!(cancelled.as_cancelled().unwrap().at().ends_with("\"request 7\""));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn deadline(&self, at: Instant) {
        deadline::set(&self.lineage().0, at, node_end::carry_deadline);
    }

    /// [`run`](Self::run)s `f` in a scope with a deadline, `d` from now.
    ///
    /// Returns the value of `f`, when `f` has returned and the scope's tasks have ended. The deadline ends neither by itself:
    /// `f` and the tasks see the request at their next checkpoint, and it interrupts their waits in heirloom.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::Scope;
    ///
    /// let slept = Scope::run_timeout("report", Duration::from_millis(5), |_| heirloom::sleep(Duration::from_secs(3600)));
    /// assert_eq!(slept.unwrap_err().kind(), heirloom::ErrorKind::DeadlineExceeded);
    /// let answer = Scope::run_timeout("report", Duration::from_secs(3600), |_| heirloom::remaining().is_some());
    /// assert!(answer);
    /// ```
    pub fn run_timeout<T>(name: impl Into<Cow<'static, str>>, d: Duration, f: impl FnOnce(&Scope) -> T) -> T {
        let scope = Self::new(name);
        scope.end_after(d);
        scope.run_to_end(f)
    }

    /// Sets the deadline to `d` from now. A time that the clock cannot express never ends.
    pub(super) fn end_after(&self, d: Duration) {
        match park::after(d) {
            Some(at) => self.deadline(at),
            None => self.no_deadline(),
        }
    }

    /// Removes the deadline, unless it has passed.
    pub(super) fn no_deadline(&self) {
        if deadlines().any() {
            deadlines().end(Owner::Node(self.lineage().0.node().id()));
        }
    }
}
