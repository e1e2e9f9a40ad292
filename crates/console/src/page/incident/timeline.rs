//! What happened in an incident, entry by entry.

use davylamp_ledger::Entry;
use davylamp_ledger::record::{BY_LEDGER, IncidentNo, Record};
use davylamp_ledger::rows::IncidentRow;
use maud::{Markup, html};

use super::{Story, Wanted};
use crate::access::{Refused, Scope, Viewer};
use crate::page::sight::Sight;
use crate::page::{asked, entry, list, time};
use crate::site::Site;

/// The place in a timeline of which the newest comes first.
const NEWEST: &str = "b.";

struct Part {
    entries: Vec<Entry>,
    next: Option<String>,
}

pub(super) async fn show(
    site: &Site,
    viewer: &Viewer,
    wanted: &Wanted,
    row: &IncidentRow,
    sight: Sight,
    story: &Story,
) -> Result<Markup, Refused> {
    let oldest_first = asked::named("order", &wanted.order, |name| match name {
        "newest" => Some(false),
        "oldest" => Some(true),
        _ => None,
    })?
    .unwrap_or(false);
    let part = match oldest_first {
        true => {
            let at = asked::at(&wanted.at);
            let page = site.ledger().timeline(IncidentNo(row.id), &at).await?;
            Part {
                entries: page.items,
                next: page.next,
            }
        }
        false => newest(story, &wanted.at)?,
    };
    let path = format!("/incidents/{}", row.id);
    let to = |order: &str, at: &str| {
        let wanted = Wanted {
            order: order.to_owned(),
            at: at.to_owned(),
            done: String::new(),
        };
        format!("{}#timeline", asked::address(&path, &wanted))
    };
    let next = part.next.as_deref().map(|next| to(&wanted.order, next));
    let first = (!wanted.at.is_empty()).then(|| to(&wanted.order, ""));
    let now = site.now();
    let mut left_out = 0;
    let mut rows = Vec::new();
    for each in &part.entries {
        let record = entry::record(each);
        match sees(&viewer.scope, sight, record.as_ref()) {
            true => rows.push((each, record)),
            false => left_out += 1,
        }
    }
    Ok(html! {
        section.card #timeline {
            h2 { "Timeline" }
            p.line {
                @if oldest_first { a href=(to("", "")) { "Newest first" } " " strong { "Oldest first" } }
                @else { strong { "Newest first" } " " a href=(to("oldest", "")) { "Oldest first" } }
            }
            @if story.is_cut && !oldest_first { p.notice { "It is longer than what is looked through for its newest entries: begin with the oldest to see all." } }
            @if left_out > 0 { p.notice { (left_out) " entries of this part are about clusters that are not yours to see." } }
            ol.timeline {
                @for (each, record) in &rows {
                    li { div.when { (time::both(each.at_us, now)) " " span.muted { "entry " (each.seq) } } div { (entry::words(each, record.as_ref(), now)) } }
                }
            }
            (list::pager(first.as_deref(), next.as_deref()))
        }
    })
}

/// A part of a story, the newest entries first.
fn newest(story: &Story, at: &str) -> Result<Part, Refused> {
    let before = match at {
        "" => i64::MAX,
        at => at
            .strip_prefix(NEWEST)
            .and_then(|seq| seq.parse().ok())
            .ok_or(davylamp_ledger::LedgerError::Cursor)?,
    };
    let mut older = story.entries.iter().rev().filter(|each| each.seq < before);
    let entries: Vec<Entry> = older.by_ref().take(asked::ROWS as usize).cloned().collect();
    let last = entries.last().filter(|_| older.next().is_some());
    let next = last.map(|last| format!("{NEWEST}{}", last.seq));
    Ok(Part { entries, next })
}

fn sees(scope: &Scope, sight: Sight, record: Option<&Record>) -> bool {
    match record {
        Some(Record::Finding(finding)) => scope.holds(&finding.place()),
        _ if sight == Sight::Whole => true,
        // What the ledger says of itself repeats a finding's title.
        Some(Record::IncidentState(state)) => state.by != BY_LEDGER,
        Some(Record::Owner(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(n: i64) -> Story {
        let entry = |seq| Entry {
            seq,
            at_us: 0,
            kind: String::new(),
            body: None,
            body_hash: String::new(),
            hash: String::new(),
        };
        Story {
            entries: (1..=n).map(entry).collect(),
            is_cut: false,
        }
    }

    #[test]
    fn the_newest_come_first_without_a_gap_or_a_repeat() {
        let story = story(120);
        let (mut at, mut seen) = (String::new(), Vec::new());
        loop {
            let part = newest(&story, &at).expect("a part");
            seen.extend(part.entries.iter().map(|entry| entry.seq));
            match part.next {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!(seen, (1..=120).rev().collect::<Vec<_>>());
        assert!(newest(&story, "t.7").is_err());
    }
}
