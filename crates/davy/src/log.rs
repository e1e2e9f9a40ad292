//! What is said on stderr, as lines of text or as JSON objects.

use std::fmt;

use clap::ValueEnum;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output::ColourChoice;

/// How what is said on stderr is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// Lines for people.
    Text,
    /// An object for each line.
    Json,
}

/// Stdout belongs to data: events, explanations, tables.
pub fn to_stderr(verbose: u8, colour: ColourChoice, form: LogForm) {
    let default = match verbose {
        // What the AWS libraries warn of on the way (no instance metadata here, one attempt of
        // several failed) is said better by the error that ends in the report.
        0 => "warn,aws_config=error,aws_runtime=error,aws_smithy_runtime=error",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match form {
        LogForm::Text => log.with_ansi(colour.on_stderr()).init(),
        LogForm::Json => log.event_format(Json).init(),
    }
}

/// An event as one line of JSON. The library's own form switches on a feature of `tracing-core`, which
/// has most of the workspace built anew.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said(Map::new());
        let about = event.metadata();
        let now = jiff::Timestamp::now().to_string();
        said.keep("timestamp", now.into());
        said.keep("level", about.level().as_str().into());
        said.keep("target", about.target().into());
        event.record(&mut said);
        writeln!(writer, "{}", Value::Object(said.0))
    }
}

/// What an event says, by field.
struct Said(Map<String, Value>);

impl Said {
    fn keep(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field.name(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("a lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_an_object_whatever_is_said() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Json)
            .finish();
        tracing::subscriber::with_default(log, || {
            let (by, nobody) = (Some("a\n\"b\""), None::<&str>);
            tracing::info!(status = 200, took_ms = 1.5, by, nobody, "answered");
        });
        let text = String::from_utf8(kept.0.lock().expect("a lock").clone()).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).expect("JSON");
        let wanted = serde_json::json!({
            "level": "INFO", "status": 200, "took_ms": 1.5, "by": "a\n\"b\"", "message": "answered",
        });
        for (name, value) in wanted.as_object().expect("members") {
            assert_eq!(&line[name], value, "{name}");
        }
        assert!(line.get("nobody").is_none() && line["timestamp"].is_string());
    }
}
