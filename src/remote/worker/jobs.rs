//! [`Jobs`]: the code of the jobs that a serving knows, by name.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::lineage::handle::Lineage;
use crate::remote::job::{self, Job};
use crate::remote::values::Taken;
use crate::wire::envelope::Values;

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

/// The jobs of one serving, and the keys that take in values. Nothing that travels selects code but a name in here.
#[derive(Default)]
pub(super) struct Jobs {
    jobs: BTreeMap<&'static str, Decode>,
    values: Vec<Taken>,
}

impl Jobs {
    /// Returns false for a name that is there already.
    pub(super) fn add<J: Job>(&mut self) -> bool {
        let decode: Decode = |bytes| Ok(Box::new(Decoded(job::decode::<J>(bytes)?)));
        self.jobs.insert(J::NAME, decode).is_none()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.jobs.keys().copied()
    }

    pub(super) fn get(&self, name: &str) -> Option<(&'static str, Decode)> {
        self.jobs.get_key_value(name).map(|(name, decode)| (*name, *decode))
    }

    pub(super) fn take(&mut self, key: Taken) {
        self.values.push(key);
    }

    /// Binds the values that have come with a job, and that this worker takes in. Runs user code.
    pub(super) fn bind(&self, values: &[u8], at: &Lineage) -> Result<(), String> {
        if values.is_empty() || self.values.is_empty() {
            return Ok(());
        }
        let values: Values = job::decode(values)?;
        let taken = self.values.iter().filter_map(|key| Some((key, values.get(key.name)?)));
        taken.into_iter().try_for_each(|(key, bytes)| key.bind(bytes, at))
    }
}
