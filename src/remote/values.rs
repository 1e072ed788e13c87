//! Values that travel: [`Heirloom::travels`], and the keys of a worker that take them in.

use serde::Serialize;
use serde::de::DeserializeOwned;

use bytes::Bytes;

use crate::lineage::handle::Lineage;
use crate::remote::job;
use crate::value::heirloom::Heirloom;
use crate::value::travel;
use crate::wire::envelope::Values;

/// The most bytes of all values that travel with one job.
const MOST: usize = 64 << 10;

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Heirloom<T> {
    /// Lets the key's values travel with remote jobs.
    ///
    /// A job that is [sent](crate::PoolManager::send) to a remote pool takes along the value that a look-up at its submitter finds,
    /// as MessagePack with field names. A worker that [lists the key](crate::remote::Serve::value) binds it at the job's task. It
    /// is a copy: later changes do not reach it. A value that travelled is data, and no proof of a right.
    ///
    /// All values of one job have at most 64 KiB. Two keys that travel need two names.
    ///
    /// ```
    /// use heirloom::Heirloom;
    ///
    /// static TENANT: Heirloom<String> = Heirloom::new("tenant").travels();
    /// ```
    #[must_use]
    pub const fn travels(mut self) -> Self {
        self.travels = Some(job::encode::<T>);
        self
    }
}

/// A worker's key that takes in the values of its name.
pub(crate) struct Taken {
    pub(crate) name: &'static str,
    bind: Bind,
}

/// Decodes a value and binds it at a node.
type Bind = Box<dyn Fn(&Bytes, &Lineage) -> Result<(), String> + Send + Sync>;

impl Taken {
    pub(crate) fn by<T: DeserializeOwned + Send + Sync + 'static>(key: &'static Heirloom<T>) -> Self {
        let bind = move |bytes: &Bytes, at: &Lineage| {
            let value: T = job::decode(bytes)?;
            key.at(at).bind(value).map(drop).map_err(|error| error.to_string())
        };
        Self { name: key.name(), bind: Box::new(bind) }
    }

    /// Binds the value at the node.
    ///
    /// # Errors
    /// The text of the type's own `Deserialize`, or of the refused binding.
    pub(crate) fn bind(&self, bytes: &Bytes, at: &Lineage) -> Result<(), String> {
        (self.bind)(bytes, at).map_err(|why| format!("the value \"{}\": {why}", self.name))
    }
}

/// Encodes the values that travel from the node.
///
/// # Errors
/// The text of a value's own `Serialize`, or of too many bytes.
pub(crate) fn collect(at: &Lineage) -> Result<Bytes, String> {
    let mut values = Values::new();
    let mut size = 0;
    for (name, bytes) in travel::values_at(at) {
        let bytes = bytes.map_err(|why| format!("the value \"{name}\" travels, and does not encode: {why}"))?;
        size += bytes.len();
        if size > MOST {
            return Err(format!(
                "its values, up to \"{name}\", have {size} bytes, and {MOST} travel; send a name of the data"
            ));
        }
        values.insert(name.into(), bytes);
    }
    if values.is_empty() { Ok(Bytes::new()) } else { job::encode(&values) }
}
