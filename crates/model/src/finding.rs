//! One occurrence of a named behaviour, whoever reported it, in one shape.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::FindingId;
use crate::resource::{Place, Resource};

/// Who reported a finding, and in which form it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingSource {
    /// GuardDuty, in either casing, bare or in an EventBridge envelope.
    GuardDuty,
    /// Security Hub's ASFF.
    SecurityHub,
    /// OCSF, from Security Hub, Security Lake or another product.
    Ocsf,
    /// A CloudTrail API call delivered by EventBridge.
    CloudTrail,
    /// A budget, a cost anomaly or a billing alarm.
    Cost,
    /// Davylamp's own guard, hunt or audit.
    Davylamp,
}

/// What was seen, as far as deciding needs to know. Unknown behaviours are reported, never acted
/// on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Mining was seen: a pool was spoken to, its name looked up, or a miner executed
    /// (ATT&CK T1496.001).
    Mining,
    /// A malicious file was found or executed.
    MaliciousFile,
    /// Several signals that belong to one attack.
    AttackSequence,
    /// Data left through DNS.
    Exfiltration,
    /// A credential is used by someone who should not have it.
    StolenCredential,
    /// A public door was opened, such as an instance with a public address.
    PublicExposure,
    /// A sensor was stopped: a trail, GuardDuty.
    SensorStopped,
    /// The account's root was used.
    RootUsed,
    /// Money is spent faster than it should be.
    CostAlarm,
    /// A known finding type that is not about mining or what leads to it.
    Other,
    /// A type that Davylamp does not know.
    Unknown,
}

impl Behaviour {
    /// Its name, as in its stored form: what a playbook's trigger names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mining => "mining",
            Self::MaliciousFile => "malicious-file",
            Self::AttackSequence => "attack-sequence",
            Self::Exfiltration => "exfiltration",
            Self::StolenCredential => "stolen-credential",
            Self::PublicExposure => "public-exposure",
            Self::SensorStopped => "sensor-stopped",
            Self::RootUsed => "root-used",
            Self::CostAlarm => "cost-alarm",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

/// How bad, on GuardDuty's scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// GuardDuty 1.0 to 3.9, or less.
    Low,
    /// GuardDuty 4.0 to 6.9.
    Medium,
    /// GuardDuty 7.0 to 8.9.
    High,
    /// GuardDuty 9.0 to 10.0.
    Critical,
}

impl Severity {
    /// Its name, as in its stored form: what a playbook's trigger names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|severity| severity.as_str() == name)
    }
}

/// One thing that was observed, as the reporter gave it. Values may come from an attacker's host:
/// they are encoded wherever they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Observed {
    /// What it is: `domain`, `remote-address`, `remote-port`, `process`, `process-user` (of the
    /// operating system), `file`, `sha256`, `image`, `container`, `pod`, `pod-uid`, `node`, `user`
    /// (of the Hub, from our guard), `principal` and `access-key` (of AWS), `threat`, `signal` (of an
    /// attack sequence), `api-call`, `command-line`, `matched`, `public-address`, `interface`,
    /// `budget`, `amount`, and whatever another product calls what it saw.
    pub what: String,
    /// Its value, unaltered.
    pub value: String,
}

/// One occurrence of a named behaviour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The id the source gave it; where it gave none, a digest of its text.
    pub id: FindingId,
    /// Who reported it.
    pub source: FindingSource,
    /// Its type as the source spells it, such as `CryptoCurrency:EC2/BitcoinTool.B!DNS`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What that type means.
    pub behaviour: Behaviour,
    /// One line about it.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it happened, where the finding says so.
    pub place: Option<Place>,
    /// What it happened to, the one that acted first. Empty in half-empty findings.
    pub resources: Vec<Resource>,
    /// When it was first seen.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen.
    pub last_seen: Option<Timestamp>,
    /// How often it was seen.
    pub count: u64,
    /// A sample, not an occurrence.
    pub sample: bool,
    /// Archived by its source: somebody has dealt with it.
    pub archived: bool,
    /// The GuardDuty detector, needed to archive the finding.
    pub detector: Option<String>,
    /// What was observed.
    pub observed: Vec<Observed>,
    /// What was missing or could not be understood, each a whole sentence. A finding with gaps is
    /// never complete; whether it can be acted on is the planner's question.
    pub gaps: Vec<String>,
}
