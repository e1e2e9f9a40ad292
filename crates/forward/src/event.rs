//! A line of the spool on its way.

use serde_json::Value;

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The line as the guard wrote it.
    pub(crate) line: String,
    /// The line read.
    pub(crate) value: Value,
}

impl Event {
    /// Reads a line.
    ///
    /// # Errors
    /// It is none of ours: why.
    pub(crate) fn read(line: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(line).map_err(|error| format!("it is not JSON: {error}"))?;
        // Under it a receiver knows the event when it comes again.
        let id = value.get("id").and_then(Value::as_str);
        if id.is_none_or(str::is_empty) {
            return Err("it has no id".to_owned());
        }
        Ok(Self {
            line: line.to_owned(),
            value,
        })
    }
}
