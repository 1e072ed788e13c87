//! [`Job`]: data that names its code, so that another process can run it.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A task as data: it can be run here or in another process that knows the type.
///
/// A closure cannot travel; a job is the closure's captures, as a type with a name. Its [`run`](Self::run) is the code.
///
/// ```
/// use heirloom::remote::Job;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Words {
///     text: String,
/// }
///
/// impl Job for Words {
///     const NAME: &'static str = "words";
///     type Output = usize;
///
///     fn run(self) -> usize {
///         self.text.split_whitespace().count()
///     }
/// }
/// ```
///
/// # Two versions at a time
/// During a deploy, the origin and the worker may be built from two versions of the type. Both the job and its output travel
/// as MessagePack with field names. A field may be added with `#[serde(default)]`, and a field that the reader does not know is
/// ignored. A renamed type needs a new `NAME`.
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The job's name: its task type, and all that names code on the wire. One name means one type in all processes.
    const NAME: &'static str;

    /// Whether the job may begin again after a worker died in it. By default it begins at most once.
    ///
    /// A repeatable job must be harmless when it is run twice, also at the same time: a worker that was only paused may
    /// finish beside its successor. [`Origin::attempt`](crate::remote::Origin::attempt) is a fencing number for the job's own
    /// writes.
    const REPEATABLE: bool = false;

    /// The result. The origin decodes it on the thread that takes it from the handle; where the handle is dropped, never.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// Does the work, on a thread of a pool.
    fn run(self) -> Self::Output;
}

/// Encodes a value for the wire: MessagePack with field names.
///
/// # Errors
/// The text of the value's own `Serialize`.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes, String> {
    rmp_serde::to_vec_named(value).map(Bytes::from).map_err(|error| error.to_string())
}

/// Decodes such bytes.
///
/// # Errors
/// The text of the type's own `Deserialize`, or the form that was expected.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}
