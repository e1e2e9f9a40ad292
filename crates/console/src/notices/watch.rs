//! What no entry tells of, because it is time that passes: clocks that run out, incidents that nobody owns,
//! nodes that are silent.
//!
//! What must stay true: each has an id made of what it is about, so that it is told once, however often
//! and by however many it is looked for.

use davylamp_ledger::Ledger;
use davylamp_ledger::query::{At, IncidentFilter, IncidentSort, PAGE_ROWS};
use davylamp_ledger::rows::{IncidentRow, severity_rank};
use davylamp_model::finding::Severity;
use jiff::Timestamp;

use super::happening::Happening;
use super::outbox::Outbox;
use super::{Trouble, What, route, secs};
use crate::config::Config;

/// An hour, in microseconds.
const HOUR_US: i64 = 3_600_000_000;
/// A node that has been silent for longer than this was told of, or is gone for good.
const LONG_SILENT_US: i64 = 7 * 24 * HOUR_US;

/// Looks at everything once.
pub(super) async fn look(
    ledger: &Ledger,
    outbox: &Outbox,
    config: &Config,
    now: Timestamp,
) -> Result<(), Trouble> {
    if config.notices.routes.is_empty() {
        return Ok(());
    }
    let mut items = Vec::new();
    for (happening, row) in clocks(ledger, config, now).await? {
        items.extend(route::items(&config.notices, &happening, Some(&row)));
    }
    for (happening, row) in unowned(ledger, config, now).await? {
        items.extend(route::items(&config.notices, &happening, Some(&row)));
    }
    for happening in silent(ledger, config, now).await? {
        items.extend(route::items(&config.notices, &happening, None));
    }
    Ok(outbox.add_alone(&items, now).await?)
}

/// Clocks that have run out, or are about to.
async fn clocks(
    ledger: &Ledger,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<(Happening, IncidentRow)>, Trouble> {
    let filter = IncidentFilter {
        open: true,
        with_clock: true,
        sort: IncidentSort::Due,
        ..IncidentFilter::default()
    };
    let now = now.as_microsecond();
    let warn = now.saturating_add(secs(config.clocks.warn_minutes * 60));
    let mut found = Vec::new();
    let mut at = At::first(PAGE_ROWS);
    loop {
        let page = ledger.incidents(&filter, &at).await?;
        for row in page.items {
            if row.due > warn {
                return Ok(found);
            }
            // A short clock is told of by what set it.
            let is_short = row.due.saturating_sub(row.opened) <= 2 * (warn - now);
            if row.due > now && is_short {
                continue;
            }
            let what = match row.due <= now {
                true => What::ClockOverdue,
                false => What::ClockDue,
            };
            let id = format!("{}/{}/{}", what.as_str(), row.id, row.due);
            let said = match row.due_why.as_str() {
                "" => "what was due".to_owned(),
                why => why.to_owned(),
            };
            let at = if row.due <= now { row.due } else { now };
            found.push((Happening::of_incident(id, what, row.id, at, said), row));
        }
        match page.next {
            Some(next) => at.cursor = Some(next),
            None => return Ok(found),
        }
    }
}

/// Open incidents without an owner, each once in so many hours since it was opened.
async fn unowned(
    ledger: &Ledger,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<(Happening, IncidentRow)>, Trouble> {
    let every = config.notices.repeat_hours.saturating_mul(HOUR_US);
    if every == 0 {
        return Ok(Vec::new());
    }
    let filter = IncidentFilter {
        open: true,
        without_owner: true,
        sort: IncidentSort::Severity,
        ..IncidentFilter::default()
    };
    let mut found = Vec::new();
    let mut at = At::first(PAGE_ROWS);
    loop {
        let page = ledger.incidents(&filter, &at).await?;
        for row in page.items {
            let age = now.as_microsecond().saturating_sub(row.opened);
            let times = age.div_euclid(every);
            if times < 1 {
                continue;
            }
            let id = format!("unowned/{}/{times}", row.id);
            let said = format!(
                "it was opened {} hours ago, and nobody owns it",
                age / HOUR_US
            );
            let since = row.opened.saturating_add(times.saturating_mul(every));
            found.push((
                Happening::of_incident(id, What::Unowned, row.id, since, said),
                row,
            ));
        }
        match page.next {
            Some(next) => at.cursor = Some(next),
            None => return Ok(found),
        }
    }
}

/// Nodes that were not heard of for too long.
async fn silent(
    ledger: &Ledger,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<Happening>, Trouble> {
    let patience = secs(config.notices.silent_minutes * 60);
    if patience == 0 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut at = At::first(PAGE_ROWS);
    loop {
        let page = ledger.nodes(&at).await?;
        for node in page.items {
            let Some(seen) = node.seen_us else { continue };
            let silence = now.as_microsecond().saturating_sub(seen);
            if !(patience..LONG_SILENT_US).contains(&silence) {
                continue;
            }
            let (cluster, name) = (node.row.cluster, node.row.node);
            found.push(Happening {
                id: format!("silent/{cluster}/{name}/{seen}"),
                seq: 0,
                at: seen.saturating_add(patience),
                what: What::NodeSilent,
                incident: None,
                severity: Some(severity_rank(Severity::High)),
                said: format!(
                    "{name} of {cluster} was not heard of for {} minutes",
                    config.notices.silent_minutes
                ),
                cluster: Some(cluster),
                people: Vec::new(),
                only_them: false,
            });
        }
        match page.next {
            Some(next) => at.cursor = Some(next),
            None => return Ok(found),
        }
    }
}
