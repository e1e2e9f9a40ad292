//! What really happened: what an analysis of the logs is to find, and is measured by.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::event::Hand;

/// The name of the file below a story's folder.
pub const FILE: &str = "truth.json";

/// The file with the hand behind each event that was written: `eventID`, a tab, the hand.
pub const LABELS: &str = "labels.tsv";

/// The truth of a story. Moments are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// The seed it was made from.
    pub seed: u64,
    /// The scenario's name.
    pub scenario: String,
    /// The accounts.
    pub accounts: Vec<String>,
    /// From when the story tells, and until when.
    pub span: (i64, i64),
    /// When the attack began and when it was ended, if there was one.
    pub attack: Option<(i64, i64)>,
    /// Where the intrusion began.
    pub origin: Option<Origin>,
    /// Where the intruder called from.
    pub addresses: Vec<String>,
    /// What the intruder called with.
    pub agents: Vec<String>,
    /// The credentials that the intruder used or made.
    pub credentials: Vec<Credential>,
    /// Everybody who is named in the logs, with the verdict that is right.
    pub principals: Vec<Principal>,
    /// The machines that the intruder started.
    pub instances: Vec<Instance>,
    /// Other things that cost money, and that the intruder started.
    pub workloads: Vec<Workload>,
    /// Launches that failed.
    pub failed_launches: u64,
    /// What would let the intruder back in.
    pub persistence: Vec<Left>,
    /// What was done against logs and sensors.
    pub tampering: Vec<Tampering>,
    /// What the money went to.
    pub cost: Vec<CostBasis>,
    /// What was written.
    pub written: Written,
}

/// Where an intrusion began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The first event.
    pub event: String,
    /// When.
    pub at: i64,
    /// The credential that was used first: a key, or nothing at a sign-in.
    pub credential: Option<String>,
    /// The ARN of the user or role, or of the root user.
    pub principal: String,
    /// Where from.
    pub address: String,
    /// What with.
    pub agent: String,
    /// How: `leaked-key`, `instance-credentials`, `password`, `web-identity-token`, `insider`,
    /// `root-key`, `shared-exit`.
    pub how: String,
}

/// A credential that the intruder had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// The key's id.
    pub id: String,
    /// The ARN of whom it is of.
    pub principal: String,
    /// The credential that made it, where the intruder made it.
    pub parent: Option<String>,
    /// The event that made it, where the intruder made it or it was handed out in the story.
    pub made_by: Option<String>,
    /// When it was made, if in the story.
    pub made_at: Option<i64>,
    /// Whether the intruder made it.
    pub is_made_by_intruder: bool,
    /// Whether the owner uses it too.
    pub is_used_by_owner: bool,
}

/// The verdict that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The intruder made it: all it did is the intruder's.
    Guilty,
    /// The intruder did things in this one's name, with a credential made for it.
    Framed,
    /// Had nothing to do with it.
    Bystander,
    /// The intruder stole this one's credential.
    CompromisedOwnerInnocent,
    /// Did it himself.
    Insider,
    /// Nobody can tell from these logs.
    Undecidable,
}

/// Somebody who is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Principal {
    /// The ARN.
    pub arn: String,
    /// The name.
    pub name: String,
    /// The unique id, where two of one name have to be told apart.
    pub unique_id: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
}

/// A machine that the intruder started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The type.
    pub kind: String,
    /// `on-demand` or `spot`.
    pub market: String,
    /// `linux` or `windows`.
    pub system: String,
    /// When it was started.
    pub start: i64,
    /// When it was ended; nothing if it still runs at the end.
    pub end: Option<i64>,
    /// The event that started it; nothing if the machine came of a fleet.
    pub event: Option<String>,
}

/// Something else that the intruder started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// The recorder's kind, such as `ecs-service`.
    pub kind: String,
    /// Its name or ARN.
    pub id: String,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// When it was started.
    pub start: i64,
    /// When it was ended; nothing if it still runs at the end.
    pub end: Option<i64>,
    /// How large, in words.
    pub size: String,
    /// The event.
    pub event: String,
}

/// Something that the intruder left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// The recorder's kind, or what was done, such as `trust-policy`.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// The account.
    pub account: String,
    /// The event that made it.
    pub event: String,
    /// When.
    pub at: i64,
    /// When somebody took it away; nothing if it is still there at the end.
    pub removed_at: Option<i64>,
}

/// Something done against logs and sensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tampering {
    /// The event.
    pub event: String,
    /// The action.
    pub action: String,
    /// When.
    pub at: i64,
    /// Whether it worked.
    pub has_succeeded: bool,
    /// From when to when nothing was written because of it; no end if nothing was until the end.
    pub gap: Option<(i64, Option<i64>)>,
}

/// Hours of machines of a type in a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostBasis {
    /// The type.
    pub kind: String,
    /// The region.
    pub region: String,
    /// `on-demand` or `spot`.
    pub market: String,
    /// `linux` or `windows`.
    pub system: String,
    /// How many machines.
    pub count: u64,
    /// Hours of all of them, until the end of the story for those that still run.
    pub hours: f64,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Events that CloudTrail delivered, each counted once.
    pub events: u64,
    /// Deliveries beyond the first.
    pub repeated: u64,
    /// Events that happened while nothing was written.
    pub unlogged: u64,
    /// Delivered events of each hand.
    pub by_hand: BTreeMap<Hand, u64>,
    /// Files of events.
    pub files: u64,
    /// Bytes of events before compression.
    pub bytes: u64,
    /// Snapshots of the recorder.
    pub snapshots: u64,
}

impl Truth {
    /// Reads the truth of a story that was written to a folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(dir: &Path) -> std::io::Result<Self> {
        let text = std::fs::read(dir.join(FILE))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The right verdict on a principal.
    pub fn verdict(&self, arn: &str) -> Option<Verdict> {
        let is_it = |it: &&Principal| it.arn == arn;
        self.principals.iter().find(is_it).map(|it| it.verdict)
    }

    /// Gives a verdict, in place of an earlier one.
    pub(super) fn judge(&mut self, arn: &str, name: &str, verdict: Verdict) {
        match self.principals.iter_mut().find(|it| it.arn == arn) {
            Some(known) => known.verdict = verdict,
            None => self.principals.push(Principal {
                arn: arn.to_owned(),
                name: name.to_owned(),
                unique_id: None,
                verdict,
            }),
        }
    }

    /// Gives a verdict on one of two who bear the same name.
    pub(super) fn judge_one(&mut self, arn: &str, name: &str, unique_id: &str, verdict: Verdict) {
        self.principals.push(Principal {
            arn: arn.to_owned(),
            name: name.to_owned(),
            unique_id: Some(unique_id.to_owned()),
            verdict,
        });
    }

    /// Sums up what the machines cost, as hours.
    pub(super) fn sum_up(&mut self) {
        let mut sums: BTreeMap<_, (u64, i64)> = BTreeMap::new();
        for it in &self.instances {
            let what = (&it.kind, &it.region, &it.market, &it.system);
            let sum = sums.entry(what).or_default();
            sum.0 += 1;
            sum.1 += it.end.unwrap_or(self.span.1) - it.start;
        }
        self.cost = sums
            .into_iter()
            .map(
                |((kind, region, market, system), (count, secs))| CostBasis {
                    kind: kind.clone(),
                    region: region.clone(),
                    market: market.clone(),
                    system: system.clone(),
                    count,
                    // Short enough to be read back from JSON as it was written.
                    hours: (secs as f64 / 3.6).round() / 1_000.0,
                },
            )
            .collect();
    }
}

/// The hand behind each event that was written, from [`LABELS`].
///
/// # Errors
/// When the file cannot be read or is none of labels.
pub fn labels(dir: &Path) -> std::io::Result<BTreeMap<String, Hand>> {
    let text = std::fs::read_to_string(dir.join(LABELS))?;
    let read = |line: &str| {
        let (id, hand) = line.split_once('\t')?;
        let hand = serde_json::from_value(hand.into()).ok()?;
        Some((id.to_owned(), hand))
    };
    text.lines()
        .map(|line| read(line).ok_or_else(|| std::io::Error::other(format!("not a label: {line}"))))
        .collect()
}
