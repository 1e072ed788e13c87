//! [`Path`]: where a job was sent, as a list of scopes from the first process on.
//!
//! As a text it is `process:id=name,id=name|process:id=name`: the scopes of the first process, from the outermost on, then
//! those of the process that the job's sender worked in, and so on. Names are percent-encoded.

use std::fmt::Write;

use crate::wire::address::ProcessId;

/// The most scopes of a path. The innermost of more scopes are left out.
pub(crate) const MOST_SCOPES: usize = 32;
/// The most bytes of a path as a text. Longer names are cut.
const MOST_BYTES: usize = 4096;
const MOST_NAME: usize = 64;

/// A scope of the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PathScope {
    pub(crate) process: ProcessId,
    /// The id of the scope's node in its process.
    pub(crate) id: u64,
    pub(crate) name: String,
}

/// The scopes above a job's sender, from the outermost of the first process on; and the sender's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) scopes: Vec<PathScope>,
    pub(crate) sender: ProcessId,
}

impl Path {
    /// The processes of the path, each once.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &ProcessId> {
        let mut seen: Vec<&ProcessId> = self.scopes.iter().map(|scope| &scope.process).chain([&self.sender]).collect();
        seen.sort();
        seen.dedup();
        seen.into_iter()
    }

    pub(crate) fn write(&self) -> String {
        let mut text = String::new();
        let mut process = None;
        for scope in self.scopes.iter().take(MOST_SCOPES) {
            let before = text.len();
            if process == Some(&scope.process) {
                text.push(',');
            } else {
                let _ = write!(text, "{}{}:", if process.is_some() { "|" } else { "" }, scope.process);
                process = Some(&scope.process);
            }
            let _ = write!(text, "{}=", scope.id);
            encode(&scope.name, &mut text);
            if text.len() > MOST_BYTES - 256 {
                text.truncate(before);
                break;
            }
        }
        if self.scopes.last().is_none_or(|last| last.process != self.sender) {
            let _ = write!(text, "{}{}:", if text.is_empty() { "" } else { "|" }, self.sender);
        }
        text
    }

    /// Returns `None` for a text that is no path.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let (mut scopes, mut sender) = (Vec::new(), None);
        for part in text.split('|') {
            let (process, list) = part.split_once(':')?;
            let process = ProcessId::parse(process)?;
            for scope in list.split(',').filter(|scope| !scope.is_empty()) {
                let (id, name) = scope.split_once('=')?;
                scopes.push(PathScope { process: process.clone(), id: id.parse().ok()?, name: decode(name)? });
            }
            sender = Some(process);
        }
        (scopes.len() <= MOST_SCOPES).then_some(Self { scopes, sender: sender? })
    }
}

fn encode(name: &str, text: &mut String) {
    for byte in name.chars().take(MOST_NAME).collect::<String>().bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./ ".contains(&byte) {
            text.push(byte as char);
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (hex, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}
