//! Values given outside the file: options and variables.

use std::ffi::{OsStr, OsString};

use super::suggest::leaves;
use super::{Section, defaults};

/// Variables that start so override the file, where two underscores separate the levels.
pub(super) const VARIABLE_PREFIX: &str = "DAVY_";

/// One value given outside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Where it was given: `--set`, another option's name, or `environment`.
    pub(super) origin: &'static str,
    /// The assignment as it was written, for errors.
    pub(super) written: String,
    /// Where the value starts in `written`, if it is an assignment.
    pub(super) value_at: Option<usize>,
    /// The key from the top of the file, with dots.
    pub(super) key: String,
    pub(super) is_utf8: bool,
}

impl Override {
    /// `--set key=value`, with the key from the top of the file: `guard.hold.deadline_ms=500`.
    pub fn set(assignment: &str) -> Self {
        let key = assignment.split('=').next().unwrap_or_default();
        Self {
            origin: "--set",
            written: assignment.to_owned(),
            value_at: assignment.find('=').map(|at| at + 1),
            key: key.trim().to_owned(),
            is_utf8: true,
        }
    }

    /// The value of an option that stands for a key: `--metrics` for `guard.metrics.listen`.
    pub fn option(origin: &'static str, key: &str, value: &OsStr) -> Self {
        Self {
            origin,
            written: format!("{key}={}", value.to_string_lossy()),
            value_at: Some(key.len() + 1),
            key: key.to_owned(),
            is_utf8: value.to_str().is_some(),
        }
    }

    /// The variables that override keys, sorted by name: `DAVY_GUARD__HOLD__DEADLINE_MS=500`.
    ///
    /// A variable without two underscores is somebody else's (Kubernetes makes
    /// `DAVY_SERVICE_HOST` of a service named davy), unless it is a key but for that.
    pub fn from_environment(
        sections: &[Section],
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Vec<Self> {
        let known = leaves(&defaults(sections));
        let mut found: Vec<Self> = variables
            .into_iter()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok()?;
                let rest = name.strip_prefix(VARIABLE_PREFIX)?;
                let is_slip = || {
                    known
                        .iter()
                        .any(|key| key.replace('.', "_") == rest.to_ascii_lowercase())
                };
                if !rest.contains("__") && !is_slip() {
                    return None;
                }
                let is_utf8 = value.to_str().is_some();
                Some(Self {
                    origin: "environment",
                    written: format!("{name}={}", value.to_string_lossy()),
                    value_at: Some(name.len() + 1),
                    key: rest.to_ascii_lowercase().replace("__", "."),
                    is_utf8,
                })
            })
            .collect();
        found.sort_by(|a, b| a.written.cmp(&b.written));
        found
    }
}
