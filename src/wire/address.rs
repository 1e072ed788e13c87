//! [`ProcessId`] and [`JobId`]: names of a process and of one of its jobs, unique over all machines.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

use serde::{Deserialize, Serialize};

use crate::sync::os::Arc;

/// Names one end of an engine: a process, since it opened the engine.
///
/// It is `host-pid-random`, in letters, digits, `_` and `-`, so it fits into subjects and headers. A process that opens
/// two engines has two.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessId(Arc<str>);

impl TryFrom<String> for ProcessId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a process's name has letters, digits, `_` and `-`")
    }
}

impl From<ProcessId> for String {
    fn from(process: ProcessId) -> Self {
        process.as_str().into()
    }
}

impl ProcessId {
    /// Makes a name that no other process has.
    #[must_use]
    pub fn unique() -> Self {
        // The keys of a `RandomState` are random; the hash of nothing is random as well.
        let random = RandomState::new().build_hasher().finish();
        Self(format!("{}-{}-{random:016x}", host(), std::process::id()).into())
    }

    /// Reads a name that [`as_str`](Self::as_str) gave. Returns `None` for a text that is no name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (!text.is_empty() && text.len() <= 128 && text.chars().all(fits)).then(|| Self(text.into()))
    }

    /// Returns the name as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the host.
    pub(crate) fn host(&self) -> &str {
        self.0.rsplitn(3, '-').nth(2).unwrap_or(&self.0)
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessId({self})")
    }
}

/// Returns the host's name, with other characters than those of a [`ProcessId`] replaced.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    let name = name.as_deref().map_or("host", str::trim);
    name.chars().take(40).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Names one job: its origin, and a number there that is never reused.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId {
    /// The process that sent the job.
    pub origin: ProcessId,
    /// The id of the job's task there.
    pub number: u64,
}

impl JobId {
    /// Reads an id that its `Display` gave.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (origin, number) = text.rsplit_once('.')?;
        Some(Self { origin: ProcessId::parse(origin)?, number: number.parse().ok()? })
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.origin, self.number)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}
