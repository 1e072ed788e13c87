//! [`Scoped`]: the calling code's own default `tracing` subscriber, for whatever goes on elsewhere for it.
//!
//! A subscriber is the default of the process, which every thread has anyway, or of a part of one thread's code
//! (`tracing::subscriber::set_default`, `with_default`): only the latter has to be brought along. To set a default makes
//! every look-up of a default in the process dearer, so nothing is set for the others.

use std::fmt::{self, Write};

use tracing::dispatcher::{self, DefaultGuard, Dispatch};
use tracing::level_filters::LevelFilter;

use crate::sync::unwind::swallow_drop;

/// A subscriber that is the default of a part of a thread's code. Whoever drops it may be its last owner, and a
/// subscriber's drop is user code.
#[derive(Debug)]
pub(crate) struct Scoped(Option<Dispatch>);

impl Scoped {
    /// That of the calling code, if it has one. Costs a load where no subscriber listens, and about 15 ns where one does.
    #[inline]
    pub(crate) fn here() -> Option<Self> {
        if LevelFilter::current() == LevelFilter::OFF {
            return None;
        }
        dispatcher::get_default(|default| is_scoped(default).then(|| Self(Some(default.clone()))))
    }

    /// Makes it the calling thread's default until the guard is dropped.
    pub(crate) fn enter(&self) -> Option<DefaultGuard> {
        self.0.as_ref().map(dispatcher::set_default)
    }
}

impl Drop for Scoped {
    fn drop(&mut self) {
        swallow_drop(self.0.take());
    }
}

/// `tracing` tells the process's default from others in its debug output alone. The first piece of it is enough, and
/// whatever is not known to be the process's is brought along.
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
