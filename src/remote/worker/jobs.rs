//! [`Jobs`]: the code of the jobs that a serving knows, by name.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::remote::job::{self, Job};

/// A decoded job.
pub(super) trait Code {
    /// Runs the job. Returns its output's bytes, or why the output cannot be written.
    fn run(self: Box<Self>) -> Result<Bytes, String>;
}

/// Decodes the bytes of one type of job.
pub(super) type Decode = fn(&[u8]) -> Result<Box<dyn Code>, String>;

struct Decoded<J>(J);

impl<J: Job> Code for Decoded<J> {
    fn run(self: Box<Self>) -> Result<Bytes, String> {
        job::encode(&self.0.run())
    }
}

/// The jobs of one serving. Nothing that travels selects code but a name in here.
#[derive(Clone, Default)]
pub(super) struct Jobs(BTreeMap<&'static str, Decode>);

impl Jobs {
    /// Returns false for a name that is there already.
    pub(super) fn add<J: Job>(&mut self) -> bool {
        let decode: Decode = |bytes| Ok(Box::new(Decoded(job::decode::<J>(bytes)?)));
        self.0.insert(J::NAME, decode).is_none()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(super) fn get(&self, name: &str) -> Option<(&'static str, Decode)> {
        self.0.get_key_value(name).map(|(name, decode)| (*name, *decode))
    }
}
