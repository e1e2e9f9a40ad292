//! Findings, as they come and as they are stored.

use davylamp_model::finding::{Finding, Observed, Severity};
use davylamp_model::intake::guard_finding;
use serde::{Deserialize, Serialize};

use super::IncidentNo;

/// What the place of a finding begins with that is of an account and of no cluster.
pub const ACCOUNT: &str = "account:";

/// What was done about a finding where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// The process was killed.
    Killed,
    /// It matched and was left alone on purpose.
    Spared,
    /// It was stopped, and a later line decides.
    Held,
    /// It would have been killed, and the guard only observes.
    WouldKill,
    /// It should have been killed and was not.
    Missed,
    /// A person should look at it.
    Alerted,
    /// It was frozen for evidence.
    Frozen,
    /// Told by somebody who does nothing about it, such as GuardDuty.
    Reported,
}

impl Taken {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Killed,
        Self::Spared,
        Self::Held,
        Self::WouldKill,
        Self::Missed,
        Self::Alerted,
        Self::Frozen,
        Self::Reported,
    ];

    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Spared => "spared",
            Self::Held => "held",
            Self::WouldKill => "would-kill",
            Self::Missed => "missed",
            Self::Alerted => "alerted",
            Self::Frozen => "frozen",
            Self::Reported => "reported",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|taken| taken.as_str() == name)
    }

    /// Whether a finding of this kind opens an incident. What was spared or only held does not.
    pub fn opens(self) -> bool {
        !matches!(self, Self::Spared | Self::Held)
    }
}

/// Who reported a finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Reporter {
    /// The cluster or fleet, by the name the console gave it; empty where there is none.
    pub cluster: String,
    /// The node it was seen on; empty where it was seen on none.
    #[serde(default)]
    pub node: String,
    /// The agent's name.
    #[serde(default)]
    pub agent: String,
}

/// A finding on its way into the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The finding.
    pub finding: Finding,
    /// Who reported it.
    pub reporter: Reporter,
    /// What was done about it.
    pub taken: Taken,
    /// The line it came as, unaltered.
    pub line: Option<String>,
}

impl Reported {
    /// A line of the guard's log, whatever was done: what it spared and held is kept as well. `None`
    /// where it is no line about a process.
    pub fn from_guard_line(text: &str, cluster: &str, agent: &str) -> Option<Self> {
        Self::from_guard_value(&serde_json::from_str(text).ok()?, text, cluster, agent)
    }

    /// The same of a line that is read already.
    pub fn from_guard_value(
        line: &serde_json::Value,
        text: &str,
        cluster: &str,
        agent: &str,
    ) -> Option<Self> {
        let said = |member: &str| line.get(member).and_then(serde_json::Value::as_str);
        let (taken, severity) = match said("action")?.to_ascii_lowercase().as_str() {
            "killed" => (Taken::Killed, Severity::High),
            "frozen" => (Taken::Frozen, Severity::High),
            "alerted" => (Taken::Alerted, Severity::Medium),
            "would-kill" => (Taken::WouldKill, Severity::Critical),
            // A connection is logged by that word, too: nothing matched.
            "observed" if line.get("matched").is_some() => (Taken::WouldKill, Severity::Critical),
            "missed" | "missed-kill" => (Taken::Missed, Severity::Critical),
            "spared" => (Taken::Spared, Severity::Low),
            "held" => (Taken::Held, Severity::Low),
            _ => return None,
        };
        let mut finding = guard_finding(line, severity);
        // On a bare machine the user is the one thing that links what one person starts.
        if said("container_id").is_none()
            && let Some(uid) = line.get("uid").and_then(serde_json::Value::as_u64)
        {
            finding.observed.push(Observed {
                what: "process-user".to_owned(),
                value: uid.to_string(),
            });
        }
        Some(Self {
            finding,
            reporter: Reporter {
                cluster: cluster.to_owned(),
                node: said("node").unwrap_or_default().to_owned(),
                agent: agent.to_owned(),
            },
            taken,
            line: Some(text.to_owned()),
        })
    }
}

/// A finding, or a later state of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// What tells it from every other finding: see [`crate::keys::reference`].
    pub reference: String,
    /// The incident it belongs to now.
    pub incident: Option<IncidentNo>,
    /// Whether it opens incidents and joins them together.
    pub opens: bool,
    /// What links it to others, in order.
    pub keys: Vec<String>,
    /// When it was first seen, in microseconds; where the finding does not say, when it arrived.
    pub from_us: i64,
    /// When it was last seen, alike.
    pub to_us: i64,
    /// How near in time findings have to be to be linked.
    pub within_secs: i64,
    /// Who reported it.
    pub reporter: Reporter,
    /// What was done about it.
    pub taken: Taken,
    /// The finding.
    pub finding: Finding,
    /// The line it came as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

impl FindingRecord {
    /// Of what it is: the cluster that reported it, or where none did the account that it names, as
    /// `account:123456789012`. What somebody may see goes by this.
    pub fn place(&self) -> String {
        let account = self
            .finding
            .place
            .as_ref()
            .map(|place| place.account.as_str());
        match (self.reporter.cluster.as_str(), account) {
            ("", Some(account)) if !account.is_empty() => format!("{ACCOUNT}{account}"),
            (cluster, _) => cluster.to_owned(),
        }
    }
}

/// Findings that open nothing now belong to an incident, because it has come near to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingJoined {
    /// The incident.
    pub incident: IncidentNo,
    /// Their references.
    pub findings: Vec<String>,
}
