//! What members of a state say.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::things::{Id, Table, Thing};
use crate::case::EvidenceId;
use crate::cite::Cites;

/// A moment that a member says.
pub fn moment(json: &Json) -> Option<Timestamp> {
    json.as_str()?.parse().ok()
}

/// A text that a member says; the empty one where there is none.
pub fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

/// A use of a key, the last at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// When.
    pub at: Timestamp,
    /// The service.
    pub service: String,
    /// The region.
    pub region: String,
}

impl Used {
    /// The last use that the state of a key shows.
    pub fn of(state: &Json) -> Option<Self> {
        let used = &state["AccessKeyLastUsed"];
        Some(Self {
            at: moment(&used["LastUsedDate"])?,
            service: text(&used["ServiceName"]).to_owned(),
            region: text(&used["Region"]).to_owned(),
        })
    }
}

/// The processors of an instance type, as its name has it: the names go by powers of two from `large`.
pub fn vcpus(instance_type: &str) -> u64 {
    let size = instance_type.split_once('.').map_or("", |(_, size)| size);
    match size {
        "nano" | "micro" | "small" => 1,
        "medium" | "large" => 2,
        "xlarge" => 4,
        _ if size.starts_with("metal") => 96,
        _ => {
            let times = size.strip_suffix("xlarge").and_then(|it| it.parse().ok());
            4_u64.saturating_mul(times.unwrap_or(1))
        }
    }
}

/// Whether a type has accelerators.
pub fn is_accelerated(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    ["p", "g", "trn", "inf", "dl", "vt"].iter().any(|prefix| {
        let rest = family.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    })
}

/// The ARN of a user by name.
pub fn user_arn(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:user/{name}")
}

/// Cites the line by which a snapshot shows a state of a thing.
pub fn cite(cites: &mut Cites, id: &Id, thing: &Thing, at: Timestamp) -> Vec<EvidenceId> {
    let Some(change) = thing.at(at).or_else(|| thing.first()) else {
        return Vec::new();
    };
    let evidence = cites.place(change.table.name(), &change.source, Some(change.at));
    cites.tell(evidence, &about(change.table, id, "as it was"), || {
        record(id, change.state())
    });
    vec![evidence]
}

/// Cites the line by which a thing is gone.
pub fn cite_gone(cites: &mut Cites, id: &Id, thing: &Thing) -> Vec<EvidenceId> {
    let Some(gone) = thing.gone.as_ref().filter(|gone| !gone.source.is_empty()) else {
        return Vec::new();
    };
    let evidence = cites.place(gone.table.name(), &gone.source, Some(gone.by));
    cites.tell(evidence, &about(gone.table, id, "gone"), || {
        record(id, Json::Null)
    });
    vec![evidence]
}

fn about(table: Table, id: &Id, how: &str) -> String {
    let what = match table {
        Table::Recorder => "snapshot",
        Table::Config => "item of AWS Config",
    };
    format!("{what} of {} {} in {}: {how}", id.kind, id.id, id.region)
}

fn record(id: &Id, state: Json) -> serde_json::Map<String, Json> {
    [
        ("account_id", Json::from(id.account.clone())),
        ("region", id.region.clone().into()),
        ("kind", id.kind.clone().into()),
        ("id", id.id.clone().into()),
        ("state", state),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
