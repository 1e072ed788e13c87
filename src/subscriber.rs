//! [`Scoped`]: the calling code's own default `tracing` subscriber, taken along to other threads.
//!
//! A subscriber is the default of the process, which every thread has anyway, or of a part of one thread's code
//! (`tracing::subscriber::set_default`, `with_default`). Only the latter is taken along: setting a default makes every
//! look-up of a default in the process dearer.

use std::fmt::{self, Write};

use tracing::dispatcher::{self, DefaultGuard, Dispatch};
use tracing::level_filters::LevelFilter;

use crate::sync::unwind::swallow_drop;

/// A subscriber that is the default of a part of a thread's code.
///
/// Its drop may drop the last handle to the subscriber, which runs user code; a panic there is swallowed.
#[derive(Debug)]
pub(crate) struct Scoped(Option<Dispatch>);

impl Scoped {
    /// Returns the calling code's own default, if it has one. Costs a load where no subscriber listens, and about 15 ns
    /// where one does.
    #[inline]
    pub(crate) fn here() -> Option<Self> {
        if LevelFilter::current() == LevelFilter::OFF {
            return None;
        }
        dispatcher::get_default(|default| is_scoped(default).then(|| Self(Some(default.clone()))))
    }

    /// Makes the subscriber the calling thread's default until the guard is dropped.
    pub(crate) fn enter(&self) -> Option<DefaultGuard> {
        self.0.as_ref().map(dispatcher::set_default)
    }
}

impl Drop for Scoped {
    fn drop(&mut self) {
        swallow_drop(self.0.take());
    }
}

/// Returns whether a default is not known to be the process's.
///
/// `tracing` marks the process's default in its debug output alone. The first piece of the output is enough.
fn is_scoped(default: &Dispatch) -> bool {
    struct First(bool);

    impl Write for First {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            self.0 = !piece.starts_with("Dispatch::Global");
            Err(fmt::Error)
        }
    }

    let mut first = First(true);
    let _ = write!(first, "{default:?}");
    first.0
}
