//! The jobs of all rows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heirloom::remote::Job;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(crate) struct Echo {
    #[serde(with = "bytes_of")]
    pub(crate) data: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EchoAgain {
    #[serde(with = "bytes_of")]
    pub(crate) data: Vec<u8>,
}

/// Bytes as one piece, and not as a list of numbers.
mod bytes_of {
    use serde::{Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(data: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(data)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, data: &[u8]) -> Result<Vec<u8>, E> {
                Ok(data.to_vec())
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

impl Job for Echo {
    const NAME: &'static str = "echo";
    type Output = usize;

    fn run(self) -> usize {
        self.data.len()
    }
}

impl Job for EchoAgain {
    const NAME: &'static str = "echo-again";
    const REPEATABLE: bool = true;
    type Output = usize;

    fn run(self) -> usize {
        self.data.len()
    }
}

pub(crate) static BEGUN: AtomicUsize = AtomicUsize::new(0);
pub(crate) static STOPPED: AtomicUsize = AtomicUsize::new(0);

#[derive(Serialize, Deserialize)]
pub(crate) struct Sleep;

impl Job for Sleep {
    const NAME: &'static str = "sleep";
    type Output = ();

    fn run(self) {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        if heirloom::sleep(Duration::from_secs(60)).is_err() {
            STOPPED.fetch_add(1, Ordering::SeqCst);
        }
    }
}
