//! Reading the ledger's new entries, and making items of what is worth telling.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_ledger::record::{IncidentMerged, IncidentNo};
use davylamp_ledger::rows::{IncidentRow, severity_rank};
use davylamp_ledger::{Entry, Ledger, Record, Taken};
use jiff::Timestamp;

use super::happening::{self, Happening, Seen};
use super::outbox::Outbox;
use super::{Trouble, What, route};
use crate::config::Notices;

/// Entries read at once.
const AT_ONCE: u32 = 500;

/// What an entry says, as far as it matters here.
enum Said {
    Finding(Seen),
    Merged(IncidentMerged),
    Happened(Happening),
}

impl Said {
    /// The incident that it names.
    fn incident(&self) -> Option<i64> {
        match self {
            Self::Finding(seen) => seen.incident,
            Self::Merged(merged) => Some(merged.into.0),
            Self::Happened(happening) => happening.incident,
        }
    }

    /// Whether more of its incident has to be known than how bad it was when it was last told of. In a storm
    /// most findings are nothing new.
    fn is_telling(&self, told: &BTreeMap<i64, i64>) -> bool {
        match self {
            Self::Finding(seen) => {
                let known = seen.incident.and_then(|incident| told.get(&incident));
                let severity = severity_rank(seen.finding.severity);
                seen.taken == Taken::Missed
                    || seen.opens && known.is_none_or(|known| *known < severity)
            }
            Self::Merged(_) | Self::Happened(_) => true,
        }
    }
}

/// Reads on from where somebody stopped; whether there may be more.
pub(super) async fn read_on(
    ledger: &Ledger,
    outbox: &Outbox,
    config: &Notices,
    now: Timestamp,
) -> Result<bool, Trouble> {
    let from = outbox.read_to().await?;
    if config.routes.is_empty() {
        // Nobody is told anything: what comes until somebody is, is no news then.
        let head = ledger.head().await?.seq;
        if head > from
            && let Some(transaction) = outbox.move_on(from, head).await?
        {
            transaction.commit().await?;
        }
        return Ok(false);
    }
    let entries = ledger.entries_since(from, AT_ONCE).await?;
    let Some(last) = entries.last() else {
        return Ok(false);
    };
    let said: Vec<(&Entry, Said)> = entries
        .iter()
        .filter_map(|entry| Some((entry, said(entry)?)))
        .collect();
    let named = said.iter().filter_map(|(_, said)| said.incident());
    let told = outbox.told_severity(named).await?;
    let mut told: BTreeMap<i64, i64> = told.into_iter().collect();
    let rows = incidents(ledger, &said, &told).await?;
    // What was told cannot have changed when the place has not.
    let Some(mut transaction) = outbox.move_on(from, last.seq).await? else {
        // Another console has read them.
        return Ok(true);
    };
    let before = told.clone();
    let mut items = Vec::new();
    for (entry, said) in said {
        for happening in happenings(entry, said, &rows, &mut told, &mut transaction).await? {
            let row = happening.incident.and_then(|incident| rows.get(&incident));
            items.extend(route::items(config, &happening, row));
        }
    }
    let changed = told
        .into_iter()
        .filter(|(incident, severity)| before.get(incident) != Some(severity));
    for (incident, severity) in changed {
        Outbox::set_severity(&mut transaction, incident, severity).await?;
    }
    Outbox::add(&mut transaction, &items, now).await?;
    transaction.commit().await?;
    Ok(true)
}

fn said(entry: &Entry) -> Option<Said> {
    match entry.kind.as_str() {
        "finding" => {
            let seen = happening::seen(entry)?;
            (seen.incident.is_some() || seen.taken == Taken::Missed).then_some(Said::Finding(seen))
        }
        "incident-merged" => match serde_json::from_str(entry.body.as_deref()?).ok()? {
            Record::IncidentMerged(merged) => Some(Said::Merged(merged)),
            _ => None,
        },
        _ => happening::happening(entry).map(Said::Happened),
    }
}

/// The incidents of what is telling, each by the number that it is named by.
async fn incidents(
    ledger: &Ledger,
    said: &[(&Entry, Said)],
    told: &BTreeMap<i64, i64>,
) -> Result<BTreeMap<i64, IncidentRow>, Trouble> {
    let telling = said.iter().filter(|(_, said)| said.is_telling(told));
    let named: BTreeSet<i64> = telling.filter_map(|(_, said)| said.incident()).collect();
    let mut rows = BTreeMap::new();
    for no in named {
        if let Some(view) = ledger.incident(IncidentNo(no)).await? {
            rows.insert(no, view.row);
        }
    }
    Ok(rows)
}

async fn happenings(
    entry: &Entry,
    said: Said,
    rows: &BTreeMap<i64, IncidentRow>,
    told: &mut BTreeMap<i64, i64>,
    transaction: &mut sqlx::AnyConnection,
) -> Result<Vec<Happening>, Trouble> {
    let worse = |incident: i64, severity: i64, said: String| {
        let id = format!("worse/{incident}/{severity}");
        Happening {
            seq: entry.seq,
            severity: Some(severity),
            ..Happening::of_incident(id, What::Worse, incident, entry.at_us, said)
        }
    };
    let mut happened = Vec::new();
    match said {
        Said::Happened(happening) => {
            if happening.what == What::Opened
                && let (Some(incident), Some(severity)) = (happening.incident, happening.severity)
            {
                told.insert(incident, severity);
            }
            happened.push(happening);
        }
        Said::Finding(seen) => {
            happened.extend(happening::missed(entry, &seen));
            let severity = severity_rank(seen.finding.severity);
            if let Some(incident) = seen.incident.filter(|_| seen.opens) {
                match told.get(&incident) {
                    Some(known) if *known < severity => {
                        let said =
                            format!("{}: {}", seen.finding.severity.as_str(), seen.finding.title);
                        happened.push(worse(incident, severity, said));
                        told.insert(incident, severity);
                    }
                    Some(_) => {}
                    // It was opened before anybody was told of anything.
                    None => {
                        let now = rows.get(&incident).map_or(severity, |row| row.severity);
                        told.insert(incident, now.max(severity));
                    }
                }
            }
        }
        Said::Merged(IncidentMerged { from, into, .. }) => {
            Outbox::merge(transaction, from.0, into.0).await?;
            let before = told.get(&into.0).copied();
            if let (Some(before), Some(row)) = (before, rows.get(&into.0))
                && row.severity > before
            {
                let said = format!("{from} is part of it now");
                happened.push(worse(into.0, row.severity, said));
                told.insert(into.0, row.severity);
            }
        }
    }
    Ok(happened)
}
