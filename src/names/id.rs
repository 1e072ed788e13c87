//! Ids that are never reused.

use std::fmt;
use std::num::NonZeroU64;

use crate::sync::local::WORDS;
use crate::sync::os::{AtomicU64, Ordering};

/// The number of ids that a thread takes from the shared counter at a time, so that many submitters do not contend for
/// one cache line. 2^64 ids last for centuries at any rate of waste.
const BLOCK: u64 = 256;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $taken:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU64);

        impl $name {
            #[inline]
            pub(crate) fn next() -> Self {
                static NEXT: AtomicU64 = AtomicU64::new(1);
                let id = WORDS.with(|words| {
                    let (mut next, mut end) = words.$taken.get();
                    if next == end {
                        next = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
                        end = next + BLOCK;
                    }
                    words.$taken.set((next + 1, end));
                    next
                });
                Self(NonZeroU64::new(id).unwrap_or(NonZeroU64::MAX))
            }

            /// The number itself, for logs and metrics.
            #[must_use]
            #[inline]
            pub fn as_u64(self) -> u64 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

id_type! {
    /// Names one node of the family tree.
    ///
    /// Never reused in this process: an OS thread id may come back after its thread exits, a node id does not. The
    /// value carries no order and no meaning.
    NodeId, node_ids
}

id_type! {
    /// Names one task.
    ///
    /// Never reused in this process. The value carries no order and no meaning.
    TaskId, task_ids
}
