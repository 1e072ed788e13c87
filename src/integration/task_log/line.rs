//! [`LogLine`]: one event, as text.

use std::fmt;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::names::label::OneLine;
use crate::sync::unwind::swallow;

/// One line of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// When the event was made.
    pub at: SystemTime,
    /// The event's level.
    pub level: Level,
    /// The event's target: the module, unless the event sets another.
    pub target: &'static str,
    /// The event's message.
    pub message: String,
    /// The event's other fields, in its order, as text.
    pub fields: Vec<(&'static str, String)>,
}

impl LogLine {
    /// Formats the event's values, which is user code.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut line = Self {
            at: SystemTime::now(),
            level: *metadata.level(),
            target: metadata.target(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        line
    }

    fn note(&mut self, field: &Field, text: String) {
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push((field.name(), text));
        }
    }
}

impl Visit for LogLine {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = swallow(|| format!("{value:?}"));
        self.note(field, text.unwrap_or_else(|| "(it panicked when it was formatted)".to_string()));
    }
}

impl fmt::Display for LogLine {
    /// `INFO stage: moving axis=x`, on one line. Unprintable characters are escaped, and each text is cut after 1000
    /// characters; the struct's fields have all of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.level, self.target, OneLine(&self.message))?;
        for (name, value) in &self.fields {
            write!(f, " {name}={}", OneLine(value))?;
        }
        Ok(())
    }
}
