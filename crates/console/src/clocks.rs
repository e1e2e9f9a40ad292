//! Clocks that ran out, and incidents that were handed on and not taken.
//!
//! What must stay true: each step of an escalation is one entry, and each return as well, also over
//! restarts and with two consoles: it is written only if the incident stands as it was seen.
//!
//! Not here: setting clocks by how bad an incident is, which the ledger does with what opens it.

use std::time::Duration;

use davylamp_ledger::query::{At, IncidentFilter, IncidentSort, PAGE_ROWS};
use davylamp_ledger::record::{BY_LEDGER, Clock, IncidentNo, Note, Owner, OwnerStep, Tick};
use davylamp_ledger::rows::IncidentRow;
use davylamp_ledger::{Ledger, LedgerError, Record};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::config::Config;

/// How often clocks are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Who is told where nobody is named.
pub(crate) const ADMINS: &str = "the admins";
/// The step of an escalation that goes to the owner's lead.
const LEAD: &str = "lead";

/// Looks at clocks until it is told to stop.
pub(crate) async fn run(ledger: &Ledger, config: &Config, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(error) = look(ledger, config, Timestamp::now()).await {
            let error = crate::access::chain(&error);
            tracing::error!(error, "clocks cannot be looked at");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Looks once, and says how many entries that took.
async fn look(ledger: &Ledger, config: &Config, now: Timestamp) -> Result<u64, LedgerError> {
    Ok(escalate(ledger, config, now).await? + send_back(ledger, config, now).await?)
}

async fn escalate(ledger: &Ledger, config: &Config, now: Timestamp) -> Result<u64, LedgerError> {
    let filter = IncidentFilter {
        open: true,
        with_clock: true,
        sort: IncidentSort::Due,
        ..IncidentFilter::default()
    };
    let mut written = 0;
    let mut at = At::first(PAGE_ROWS);
    loop {
        let page = ledger.incidents(&filter, &at).await?;
        for row in page.items {
            if row.due > now.as_microsecond() {
                return Ok(written);
            }
            let Some(to) = next(config, &row, now.as_microsecond()) else {
                continue;
            };
            let records = [Record::Clock(Clock {
                incident: IncidentNo(row.id),
                tick: Tick::Escalated { to },
                by: BY_LEDGER.to_owned(),
            })];
            let holds =
                |found: &IncidentRow| (found.due, &found.escalated) == (row.due, &row.escalated);
            let done = ledger.record_if(IncidentNo(row.id), holds, &records, now);
            written += u64::from(done.await?.is_some());
        }
        match page.next {
            Some(next) => at.cursor = Some(next),
            None => return Ok(written),
        }
    }
}

/// Whom an incident's clock goes to now: the first step whose time has come behind the last that was told.
fn next(config: &Config, row: &IncidentRow, now: i64) -> Option<String> {
    let mut steps: Vec<(i64, String)> = Vec::new();
    let own = [(0, LEAD)];
    let configured = config.escalation.iter();
    let configured = configured.map(|step| (step.after_minutes, step.to.as_str()));
    let own = own.into_iter().filter(|_| config.escalation.is_empty());
    for (after_minutes, to) in configured.chain(own) {
        let to = named(config, row, to);
        // Who was told by an earlier step is not told by a later one.
        if !steps.iter().any(|(_, known)| *known == to) {
            steps.push((after_minutes, to));
        }
    }
    let told = row.escalated.as_ref();
    let told = told.and_then(|told| steps.iter().position(|(_, to)| to == told));
    let (after_minutes, to) = steps.into_iter().nth(told.map_or(0, |at| at + 1))?;
    let from = row
        .due
        .saturating_add(after_minutes.saturating_mul(60_000_000));
    (from <= now).then_some(to)
}

/// Whom a step names: the lead of an incident that nobody owns, or of somebody without one, is every admin.
fn named(config: &Config, row: &IncidentRow, to: &str) -> String {
    if to != LEAD {
        return to.to_owned();
    }
    let owner = row
        .owner
        .as_deref()
        .and_then(|owner| config.notices.person(owner));
    match owner.map_or("", |owner| owner.lead.as_str()) {
        "" => ADMINS.to_owned(),
        lead => lead.to_owned(),
    }
}

/// Gives incidents back that were handed on and not taken in time.
async fn send_back(ledger: &Ledger, config: &Config, now: Timestamp) -> Result<u64, LedgerError> {
    let minutes = config.clocks.accept_minutes;
    if minutes == 0 {
        return Ok(0);
    }
    let filter = IncidentFilter {
        open: true,
        delegated: true,
        ..IncidentFilter::default()
    };
    let before = now
        .as_microsecond()
        .saturating_sub(minutes.saturating_mul(60_000_000));
    let mut written = 0;
    let mut at = At::first(PAGE_ROWS);
    loop {
        let page = ledger.incidents(&filter, &at).await?;
        for row in page.items {
            let Some((since, handed)) = handed(ledger, row.id).await? else {
                continue;
            };
            if since > before {
                continue;
            }
            let word = format!(
                "{} did not accept it within {minutes} minutes: it is {}'s again.",
                handed.owner, handed.by
            );
            let records = [
                Record::Owner(Owner {
                    incident: IncidentNo(row.id),
                    step: OwnerStep::Assigned,
                    owner: handed.by,
                    by: BY_LEDGER.to_owned(),
                }),
                Record::Note(Note {
                    incident: Some(IncidentNo(row.id)),
                    text: word,
                    by: BY_LEDGER.to_owned(),
                }),
            ];
            let holds = |found: &IncidentRow| {
                (&found.owner, &found.owner_step) == (&row.owner, &row.owner_step)
            };
            let done = ledger.record_if(IncidentNo(row.id), holds, &records, now);
            written += u64::from(done.await?.is_some());
        }
        match page.next {
            Some(next) => at.cursor = Some(next),
            None => return Ok(written),
        }
    }
}

/// When an incident was handed on, and by whom, if that is the last that became of its owner.
async fn handed(ledger: &Ledger, incident: i64) -> Result<Option<(i64, Owner)>, LedgerError> {
    let entry = ledger.latest(IncidentNo(incident), "owner").await?;
    let Some(entry) = entry else { return Ok(None) };
    let body = entry.body.as_deref().unwrap_or_default();
    let owner = match serde_json::from_str(body) {
        Ok(Record::Owner(owner)) if owner.step == OwnerStep::Delegated => owner,
        _ => return Ok(None),
    };
    Ok(Some((entry.at_us, owner)))
}
