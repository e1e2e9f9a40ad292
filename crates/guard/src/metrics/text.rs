//! The Prometheus text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write};

/// What every name of ours begins with.
const PREFIX: &str = "davylamp_guard_";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The answer being written.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
}

/// A family whose samples come next.
pub(super) struct Family<'a> {
    out: &'a mut String,
    name: String,
}

impl Text {
    /// Begins a family of ours.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        self.foreign(format!("{PREFIX}{name}"), kind, help)
    }

    /// Begins a family of another program's name.
    pub fn foreign(&mut self, name: String, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        write_to(
            &mut self.out,
            format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
        );
        Family {
            out: &mut self.out,
            name,
        }
    }

    pub fn finish(self) -> String {
        self.out
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.line("", labels, value);
    }

    pub fn seconds(&mut self, value: f64) {
        self.line("", &[], value);
    }

    pub fn bucket(&mut self, upper_bound: &str, count: u64) {
        self.line("_bucket", &[("le", upper_bound)], count);
    }

    pub fn sum_and_count(&mut self, sum: f64, count: u64) {
        self.line("_sum", &[], sum);
        self.line("_count", &[], count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        write_to(self.out, format_args!("{}{suffix}", self.name));
        for (index, (name, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            write_to(self.out, format_args!("{before}{name}=\"{text}\""));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        write_to(self.out, format_args!("{after} {value}\n"));
    }
}

fn write_to(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}
