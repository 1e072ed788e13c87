//! [`Lender`]: a value that one thread uses repeatedly, and that another may take between two uses.
//!
//! # The life of a value
//! ```text
//!   HERE --lend--> OUT --put back--> HERE
//!     \             \
//!      \-----take----+---keep-------> GONE (final)
//! ```
//! One lock decides between the user and the taker. It is held for a move alone: the value is used and dropped, and wakers
//! are woken and dropped, outside of it.
//!
//! # The race to fear
//! The taker comes while the value is out, and the user puts it back and never comes again: then no thread would take it. So
//! a taker that finds the value out has to [look again](Look::Again).
//!
//! The user may also come between the taker's look and its [`take`](Lender::take). So a taker sets its reason before it
//! looks, and the user checks for one after it has the value; or the taker looks until the value is gone.

use std::mem;
use std::task::Waker;

use crate::sync::os::Mutex;
use crate::sync::unwind::{swallow, swallow_drop};

pub(crate) struct Lender<T>(Mutex<Stage<T>>);

enum Stage<T> {
    Here(Rest<T>),
    Out,
    Gone,
}

/// A value between two uses.
struct Rest<T> {
    value: T,
    /// The user's, while the user waits for something to use the value for.
    waker: Option<Waker>,
    returns: bool,
    /// The value was not lent since a taker looked.
    is_idle: bool,
}

/// Why a value is not lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Another thread has the value for the moment.
    Out,
    Gone,
}

/// The taker's next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Take the value: its user may never come again.
    Take,
    /// Look again after a while: the user has the value, or was woken.
    Again,
    Gone,
}

impl<T> Lender<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(Stage::Here(Rest { value, waker: None, returns: false, is_idle: false })))
    }

    /// Lends the value until the returned guard is dropped.
    pub(crate) fn lend(&self) -> Result<Lent<'_, T>, Absent> {
        let mut stage = self.0.lock();
        match mem::replace(&mut *stage, Stage::Out) {
            Stage::Here(rest) => Ok(Lent { lender: self, rest: Some(Rest { is_idle: false, ..rest }) }),
            Stage::Out => Err(Absent::Out),
            Stage::Gone => {
                *stage = Stage::Gone;
                Err(Absent::Gone)
            }
        }
    }

    /// Takes the value, unless it is out.
    pub(crate) fn take(&self) -> Option<T> {
        let rest = {
            let mut stage = self.0.lock();
            if !matches!(*stage, Stage::Here(_)) {
                return None;
            }
            mem::replace(&mut *stage, Stage::Gone)
        };
        let Stage::Here(Rest { value, waker, .. }) = rest else { return None };
        swallow_drop(waker);
        Some(value)
    }

    /// Returns the taker's next step. A user that waits is woken, so that it comes for the value itself.
    pub(crate) fn look(&self) -> Look {
        let (look, waker) = match &mut *self.0.lock() {
            Stage::Here(rest) => {
                let waker = rest.waker.take();
                let look = if waker.is_some() || mem::take(&mut rest.returns) { Look::Again } else { Look::Take };
                (look, waker)
            }
            Stage::Out => (Look::Again, None),
            Stage::Gone => (Look::Gone, None),
        };
        if let Some(waker) = waker {
            swallow(|| waker.wake());
        }
        look
    }

    /// As [`look`](Self::look), for a taker that leaves the value to a user which comes again, or waits.
    pub(crate) fn look_whether_idle(&self) -> Look {
        match &mut *self.0.lock() {
            Stage::Here(rest) => {
                let was_idle = mem::replace(&mut rest.is_idle, true);
                if was_idle && rest.waker.is_none() { Look::Take } else { Look::Again }
            }
            Stage::Out => Look::Again,
            Stage::Gone => Look::Gone,
        }
    }
}

/// A lent value. Dropping it puts the value back.
pub(crate) struct Lent<'a, T> {
    lender: &'a Lender<T>,
    /// Taken at the end alone: by `keep`, or by the drop.
    rest: Option<Rest<T>>,
}

impl<T> Lent<'_, T> {
    fn rest(&mut self) -> &mut Rest<T> {
        match &mut self.rest {
            Some(rest) => rest,
            None => unreachable!("only the end takes it"),
        }
    }

    pub(crate) fn value(&mut self) -> &mut T {
        &mut self.rest().value
    }

    /// Registers the user, which waits now and comes again when the waker is woken.
    pub(crate) fn register(&mut self, waker: &Waker) {
        let rest = self.rest();
        if !rest.waker.as_ref().is_some_and(|before| before.will_wake(waker)) {
            let before = rest.waker.replace(waker.clone());
            swallow_drop(before);
        }
    }

    /// Removes the user's waker, since its wait has ended. The user may never come again, unless it `returns`.
    pub(crate) fn unregister(&mut self, returns: bool) {
        let rest = self.rest();
        rest.returns = returns;
        let before = rest.waker.take();
        swallow_drop(before);
    }

    /// Keeps the value: it is gone for all others.
    pub(crate) fn keep(mut self) -> T {
        let rest = self.rest.take();
        *self.lender.0.lock() = Stage::Gone;
        match rest {
            Some(Rest { value, waker, .. }) => {
                swallow_drop(waker);
                value
            }
            None => unreachable!("only the end takes it"),
        }
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            *self.lender.0.lock() = Stage::Here(rest);
        }
    }
}
