//! A line of the spool on its way.

use serde_json::Value;

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The line as the guard wrote it.
    pub(crate) line: String,
    /// The line read.
    pub(crate) value: Value,
    /// Its id, under which a receiver knows it when it comes again.
    pub(crate) id: String,
}

impl Event {
    /// Reads a line.
    ///
    /// # Errors
    /// It is none of ours: why.
    pub(crate) fn read(line: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(line).map_err(|error| format!("it is not JSON: {error}"))?;
        let id = value
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty())
            .ok_or("it has no id")?
            .to_owned();
        Ok(Self {
            line: line.to_owned(),
            value,
            id,
        })
    }
}
