//! [`Envelope`]: one job as it travels, as headers and a body.
//!
//! The body is the values that travel, and after them the job: four bytes of the values' length, the values as a map from
//! names to bytes, the job's own bytes.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::address::JobId;
use crate::wire::path::Path;

/// The version of the headers and of the messages.
pub(crate) const VERSION: u32 = 1;

/// The headers of W3C trace context and baggage, which travel as they are.
pub(crate) const TRACE_HEADERS: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// Bytes by the names of the values that travel with a job.
pub(crate) type Values = BTreeMap<String, Bytes>;

/// One job as it travels.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub(crate) id: JobId,
    /// The job's name: the one text that selects code.
    pub(crate) job: String,
    pub(crate) path: Path,
    pub(crate) deadline: Option<SystemTime>,
    /// The number of this try, from 1 on.
    pub(crate) attempt: u32,
    /// How often the origin has published this try before. Does not travel.
    pub(crate) sent: u32,
    pub(crate) repeatable: bool,
    /// The job goes on when its origin has died.
    pub(crate) outlives_origin: bool,
    /// The [`TRACE_HEADERS`] that the submitter has.
    pub(crate) trace: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// Why headers are no envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A version that this crate does not know.
    Version(String),
    /// A header that is missing, or has another form.
    Header(&'static str),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "the job has version {version}, and this worker knows version {VERSION}; update the worker")
            }
            Self::Header(name) => write!(f, "the header `{name}` is missing or has another form"),
        }
    }
}

impl Envelope {
    /// Makes a job without scopes, values and deadline, as the tests of an engine send it.
    #[must_use]
    pub fn plain(id: JobId, job: &str, body: Bytes) -> Self {
        Self {
            path: Path { scopes: Vec::new(), sender: id.origin.clone() },
            id,
            job: job.into(),
            deadline: None,
            attempt: 1,
            sent: 0,
            repeatable: false,
            outlives_origin: false,
            trace: Vec::new(),
            body,
        }
    }

    /// Returns the text by which an engine knows that it has this very message already.
    ///
    /// A job that the origin publishes again, because the engine has lost it, is another message: an engine that remembers
    /// texts for longer than messages would drop it.
    #[must_use]
    pub fn dedup(&self) -> String {
        format!("{}.{}.{}", self.id, self.attempt, self.sent)
    }

    /// Returns the job's id.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("Hl-Version", VERSION.to_string()),
            ("Hl-Job", self.job.clone()),
            ("Hl-Id", self.id.to_string()),
            ("Hl-Path", self.path.write()),
            ("Hl-Attempt", self.attempt.to_string()),
        ];
        if let Some(deadline) = self.deadline {
            let since = deadline.duration_since(UNIX_EPOCH).unwrap_or_default();
            // Rounded up: the origin's own deadline is to be the first.
            headers.push(("Hl-Deadline", (since.as_millis() + 1).to_string()));
        }
        if self.repeatable {
            headers.push(("Hl-Repeatable", "1".into()));
        }
        if self.outlives_origin {
            headers.push(("Hl-Outlives", "1".into()));
        }
        for name in TRACE_HEADERS {
            if let Some((_, value)) = self.trace.iter().find(|(key, _)| key == name) {
                headers.push((name, value.clone()));
            }
        }
        headers
    }

    /// Reads a delivered job.
    pub(crate) fn read(headers: &[(String, String)], body: Bytes) -> Result<Self, Unreadable> {
        let get = |name: &'static str| header(headers, name).ok_or(Unreadable::Header(name));
        let version = get("Hl-Version")?;
        if version != VERSION.to_string() {
            return Err(Unreadable::Version(version.chars().take(16).collect()));
        }
        let deadline = match get("Hl-Deadline") {
            Ok(text) => {
                let millis = text.parse().map_err(|_| Unreadable::Header("Hl-Deadline"))?;
                UNIX_EPOCH.checked_add(Duration::from_millis(millis))
            }
            Err(_) => None,
        };
        let trace = TRACE_HEADERS.iter().filter_map(|name| Some(((*name).to_string(), get(name).ok()?.to_string())));
        Ok(Self {
            id: JobId::parse(get("Hl-Id")?).ok_or(Unreadable::Header("Hl-Id"))?,
            job: get("Hl-Job")?.to_string(),
            path: Path::read(get("Hl-Path")?).ok_or(Unreadable::Header("Hl-Path"))?,
            deadline,
            attempt: get("Hl-Attempt")?.parse().map_err(|_| Unreadable::Header("Hl-Attempt"))?,
            sent: 0,
            repeatable: get("Hl-Repeatable") == Ok("1"),
            outlives_origin: get("Hl-Outlives") == Ok("1"),
            trace: trace.collect(),
            body,
        })
    }
}

/// Returns the value of a header.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Joins values and a job's bytes to a body.
pub(crate) fn join_body(values: &[u8], job: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(4 + values.len() + job.len());
    // The values' size is bounded where they are encoded.
    body.put_u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
    body.put_slice(values);
    body.put_slice(job);
    body.freeze()
}

/// Splits a body into values and the job's bytes. Returns `None` for bytes that are no body.
pub(crate) fn split_body(body: &Bytes) -> Option<(Bytes, Bytes)> {
    let length = u32::from_be_bytes(*body.first_chunk::<4>()?) as usize;
    let end = 4_usize.checked_add(length).filter(|end| *end <= body.len())?;
    Some((body.slice(4..end), body.slice(end..)))
}
