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

#[cfg(test)]
mod tests {
    use davylamp_ledger::{Input, Options, Reported};
    use jiff::SignedDuration;

    use super::*;
    use crate::config::{Person, Step};

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_who_look_one_writes_each_step() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
        let ledger = Ledger::open(&url, &Options::default())
            .await
            .expect("a ledger");
        let line = r#"{"id":"1","action":"killed","event":"x","node":"n1","uid":7,"cmdline":"./x","matched":"x"}"#;
        let reported = Reported::from_guard_line(line, "hub-a", "guard").expect("a finding");
        let now = Timestamp::now();
        let inputs = [Input::Finding(Box::new(reported))];
        ledger.deliver(None, &inputs, now).await.expect("taken");
        let clock = Record::Clock(Clock {
            incident: IncidentNo(1),
            tick: Tick::Due {
                until: now,
                why: String::new(),
            },
            by: "ada".to_owned(),
        });
        ledger.record(clock, now).await.expect("taken");
        let step = |after_minutes, to: &str| Step {
            after_minutes,
            to: to.to_owned(),
        };
        let config = Config {
            // Without an owner, the lead is every admin.
            escalation: vec![step(0, LEAD), step(60, "kim"), step(60, "lee")],
            ..Config::default()
        };
        // Who looks a little later than another may find the next step due already.
        for (minutes, least, most) in [(0, 1, 1), (30, 1, 1), (61, 2, 3), (62, 3, 3), (9000, 3, 3)]
        {
            let then = now + SignedDuration::from_mins(minutes);
            let looks = (0..4).map(|_| look(&ledger, &config, then));
            futures::future::try_join_all(looks).await.expect("looked");
            let to = escalated(&ledger).await;
            let all = [ADMINS, "kim", "lee"];
            assert!(
                (least..=most).contains(&to.len()),
                "minute {minutes}: {to:?}"
            );
            assert_eq!(to, all[..to.len()]);
        }
    }

    async fn escalated(ledger: &Ledger) -> Vec<String> {
        let entries = ledger.entries_since(0, 500).await.expect("entries");
        let records = entries
            .iter()
            .filter_map(|entry| serde_json::from_str(entry.body.as_deref()?).ok());
        let to = |record| match record {
            Record::Clock(Clock {
                tick: Tick::Escalated { to },
                ..
            }) => Some(to),
            _ => None,
        };
        records.filter_map(to).collect()
    }

    #[test]
    fn who_was_told_is_not_told_by_a_later_step() {
        let mut config = Config::default();
        config.notices.people = vec![Person {
            name: "rae".to_owned(),
            lead: "kim".to_owned(),
            ..Person::default()
        }];
        config.escalation = ["lead", "kim", "lee"]
            .map(|to| Step {
                after_minutes: 0,
                to: to.to_owned(),
            })
            .to_vec();
        let row = |owner: Option<&str>, escalated: Option<&str>| -> IncidentRow {
            let mut row = serde_json::json!({
                "id": 1, "title": "", "state": "open", "severity": 3, "opened": 0, "first_at": 0,
                "last_at": 0, "closed": null, "merged_into": null, "owner": owner,
                "owner_step": "", "due": 0, "due_why": "", "escalated": escalated, "findings": 1,
                "counts": "{}", "clusters": "[]", "users": "[]", "cost_micro_usd_per_hour": null,
            });
            serde_json::from_value(row.take()).expect("a row")
        };
        let next = |owner, escalated| next(&config, &row(owner, escalated), 1);
        assert_eq!(next(Some("rae"), None).as_deref(), Some("kim"));
        assert_eq!(next(Some("rae"), Some("kim")).as_deref(), Some("lee"));
        assert_eq!(next(Some("rae"), Some("lee")), None);
        assert_eq!(next(None, None).as_deref(), Some(ADMINS));
        assert_eq!(next(None, Some(ADMINS)).as_deref(), Some("kim"));
    }
}
