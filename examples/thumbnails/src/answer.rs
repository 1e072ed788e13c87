//! [`Answer`]: a whole answer of HTTP/1.1.

use std::io;

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads an answer, which a server marks by its length, and by the end of the connection.
    pub(crate) fn read(text: &str) -> io::Result<Self> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the answer is cut off");
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
        let answer = Self { status, head: head.to_string(), body: body.to_string() };
        let whole = answer.header("content-length").is_none_or(|bytes| bytes.parse() == Ok(answer.body.len()));
        if whole { Ok(answer) } else { Err(malformed()) }
    }

    /// Returns a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(':').is_some_and(|(is, _)| is.eq_ignore_ascii_case(name));
        let line = self.head.lines().find(|line| of(line))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}
