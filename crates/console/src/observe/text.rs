//! The Prometheus text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! Written here, as the guard's page is: `prometheus-client` writes OpenMetrics alone.

use std::fmt::{Display, Write as _};

/// What every name of ours begins with.
const PREFIX: &str = "davylamp_console_";

/// The answer being written.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// A family whose samples come next.
pub(super) struct Family<'a> {
    out: &'a mut String,
    name: &'static str,
}

impl Text {
    /// Begins a family.
    pub fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a String cannot fail.
        let _ = write!(
            self.0,
            "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}\n"
        );
        Family {
            out: &mut self.0,
            name,
        }
    }

    /// A family of one sample, which is left out where it is not known.
    pub fn one(&mut self, name: &'static str, kind: &str, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.family(name, kind, help).sample(&[], value);
        }
    }

    pub fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    pub fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.out, "{PREFIX}{}{suffix}", self.name);
        for (index, (name, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            let _ = write!(self.out, "{before}{name}=\"{text}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.out, "{after} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn a_label_cannot_break_out_of_its_line() {
        let mut text = Text::default();
        text.family("x", "gauge", "An x.")
            .sample(&[("a", "\"} 1\n\\"), ("b", "c")], 1.5);
        text.one("y", "gauge", "A y.", None::<u64>);
        assert_eq!(
            text.finish(),
            "# HELP davylamp_console_x An x.\n# TYPE davylamp_console_x gauge\n\
             davylamp_console_x{a=\"\\\"} 1\\n\\\\\",b=\"c\"} 1.5\n"
        );
    }
}
