//! What a check comes to. Unknown is never clean: it counts as neither passed nor failed, and is shown.

use serde::{Deserialize, Serialize};

use crate::finding::Severity;

/// Pass, fail, or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is as it should be.
    Pass,
    /// It is not.
    Fail,
    /// Nobody can say, and the reason stands beside it.
    Unknown,
}

impl Verdict {
    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Pass, Self::Fail, Self::Unknown]
            .into_iter()
            .find(|verdict| verdict.as_str() == name)
    }
}

/// What a check came to on one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The check's name or id.
    pub check: String,
    /// What it wants, in one line.
    pub title: String,
    /// What it came to.
    pub verdict: Verdict,
    /// How bad it is where it fails.
    pub severity: Severity,
    /// What was looked at: an ARN, a name. Unaltered.
    pub resource: String,
    /// Why it came to that.
    #[serde(default)]
    pub why: String,
    /// What to do where it fails.
    #[serde(default)]
    pub remedy: String,
    /// What mending it saves a month at most, in millionths of a US dollar, where somebody knows.
    #[serde(default)]
    pub saving_micro_usd_month: Option<i64>,
}

impl Outcome {
    /// What tells it from every other outcome of a run: its check and resource.
    pub fn subject(&self) -> String {
        format!("{} on {}", self.check, self.resource)
    }
}
