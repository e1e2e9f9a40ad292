//! What a finding's entry does: its row, its keys and spans, the counts of its hour and incident.

use std::collections::BTreeSet;

use davylamp_model::resource::{KeyHolder, Resource};
use sha2::{Digest as _, Sha256};

use super::{HOUR_US, with_count, with_name};
use crate::record::FindingRecord;
use crate::rows::{FindingRow, KeyRow, UpdateRow, severity_rank};
use crate::table::json;
use crate::text::{SHOWN_BYTES, shown, words};
use crate::work::{Words, Work, keys_of};

/// The order of a finding's states: whichever is greater is the later one. The times, then how often
/// it was seen, then what sources change last; the digest only so that there is always one order.
pub(crate) fn version(record: &FindingRecord) -> (i64, i64, i64, i64, String) {
    (
        record.to_us,
        count_of(record),
        i64::from(record.finding.archived),
        severity_rank(record.finding.severity),
        digest(record),
    )
}

/// The same of a row.
pub(crate) fn version_of(row: &FindingRow) -> (i64, i64, i64, i64, String) {
    (
        row.at,
        row.count,
        row.archived,
        row.severity,
        row.digest.clone(),
    )
}

fn count_of(record: &FindingRecord) -> i64 {
    i64::try_from(record.finding.count).unwrap_or(i64::MAX)
}

fn digest(record: &FindingRecord) -> String {
    let text = json(&(&record.finding, record.taken));
    hex::encode(&Sha256::digest(text.as_bytes())[..16])
}

impl Work {
    pub(super) fn finding(&mut self, seq: i64, record: &FindingRecord) {
        let old = self.findings.get(&record.reference).cloned();
        let incident = record.incident.map(|incident| self.root(incident.0));
        let newer = old
            .as_ref()
            .is_none_or(|old| version(record) > version_of(old));
        let mut row = if newer {
            self.row(seq, record)
        } else {
            old.clone().unwrap_or_else(|| self.row(seq, record))
        };
        let mut keys: BTreeSet<String> = record.keys.iter().cloned().collect();
        row.first_at = record.from_us.min(row.first_at);
        row.opens = row.opens.max(i64::from(record.opens));
        row.incident = incident;
        if let Some(old) = &old {
            row.id = old.id;
            row.first_at = row.first_at.min(old.first_at);
            row.opens = row.opens.max(old.opens);
            keys.extend(keys_of(old));
            self.count(old, -1);
            self.updates.push(UpdateRow {
                finding: old.id,
                seq,
            });
        }
        row.keys = json(&keys);
        if newer {
            self.words.insert(
                row.id,
                Words {
                    id: row.id,
                    words: words_of(record),
                },
            );
        }
        self.count(&row, 1);
        self.keys(old.as_ref(), &row, &keys);
        if let Some(incident) = incident {
            if row.opens == 1 {
                let within = record.within_secs.saturating_mul(1_000_000);
                for key in &keys {
                    let zones = self
                        .spans
                        .cover(key, row.first_at, row.at, within, incident);
                    self.zones.extend(zones);
                }
                self.incident(incident, |incident| {
                    incident.severity = incident.severity.max(row.severity);
                    incident.first_at = incident.first_at.min(row.first_at);
                    incident.last_at = incident.last_at.max(row.at);
                    incident.clusters = with_name(&incident.clusters, &row.cluster);
                    incident.users = with_name(&incident.users, &row.hub_user);
                });
            }
            self.tell(incident, seq);
        }
        self.references.insert(row.id, row.reference.clone());
        self.findings.put(row.reference.clone(), row);
    }

    fn row(&self, seq: i64, record: &FindingRecord) -> FindingRow {
        let finding = &record.finding;
        let (user, pod) = who(record);
        FindingRow {
            id: seq,
            reference: record.reference.clone(),
            latest: seq,
            at: record.to_us,
            first_at: record.from_us,
            severity: severity_rank(finding.severity),
            action: record.taken.as_str().to_owned(),
            opens: i64::from(record.opens),
            count: count_of(record),
            archived: i64::from(finding.archived),
            digest: digest(record),
            type_name: shown(&finding.kind, SHOWN_BYTES),
            behaviour: finding.behaviour.as_str().to_owned(),
            title: shown(&finding.title, SHOWN_BYTES),
            cluster: shown(&record.place(), SHOWN_BYTES),
            node: shown(&record.reporter.node, SHOWN_BYTES),
            hub_user: shown(&user, SHOWN_BYTES),
            pod: shown(&pod, SHOWN_BYTES),
            incident: None,
            keys: String::new(),
        }
    }

    /// Stores a finding's keys where they are new or their time has changed.
    fn keys(&mut self, old: Option<&FindingRow>, row: &FindingRow, keys: &BTreeSet<String>) {
        let key_row = |row: &FindingRow, key: &str| KeyRow {
            key: key.to_owned(),
            opens: row.opens,
            at: row.at,
            finding: row.id,
        };
        if let Some(old) = old.filter(|old| (old.opens, old.at) != (row.opens, row.at)) {
            self.old_keys
                .extend(keys_of(old).iter().map(|key| key_row(old, key)));
        }
        for key in keys {
            self.new_keys
                .insert((key.clone(), row.id), key_row(row, key));
        }
    }

    /// Counts a finding in its hour and its incident, or takes it out.
    pub(super) fn count(&mut self, row: &FindingRow, n: i64) {
        let hour = row.at.div_euclid(HOUR_US);
        let place = (hour, row.cluster.clone(), row.action.clone());
        *self.tally.entry(place).or_default() += n;
        if let Some(incident) = row.incident {
            self.incident(incident, |incident| {
                incident.findings += n;
                incident.counts = with_count(&incident.counts, &row.action, n);
            });
        }
    }
}

/// The user and the pod of a finding, for lists and their filters.
fn who(record: &FindingRecord) -> (String, String) {
    let (mut user, mut pod) = (String::new(), String::new());
    for resource in &record.finding.resources {
        match resource {
            Resource::HubUser { user: name, .. } => user = name.0.clone(),
            Resource::AccessKey {
                holder: KeyHolder::User { user: name },
                ..
            } => user = name.0.clone(),
            Resource::Workload {
                namespace,
                kind,
                name,
                ..
            } if kind == "pods" => pod = format!("{namespace}/{name}"),
            _ => {}
        }
    }
    (user, pod)
}

fn words_of(record: &FindingRecord) -> String {
    let finding = &record.finding;
    let reporter = &record.reporter;
    let texts = [
        finding.title.as_str(),
        finding.kind.as_str(),
        &reporter.cluster,
        &reporter.node,
    ];
    let (user, pod) = who(record);
    let observed = finding.observed.iter().map(|seen| seen.value.as_str());
    words(
        texts
            .into_iter()
            .chain([user.as_str(), pod.as_str()])
            .chain(observed),
    )
    .join(" ")
}
