//! What happened in an incident, entry by entry.

use davylamp_ledger::record::{BY_LEDGER, IncidentNo, Record};
use davylamp_ledger::rows::IncidentRow;
use maud::{Markup, html};

use super::Wanted;
use crate::access::{Refused, Scope, Viewer};
use crate::page::sight::Sight;
use crate::page::{asked, entry, list, time};
use crate::site::Site;

pub(super) async fn show(
    site: &Site,
    viewer: &Viewer,
    wanted: &Wanted,
    row: &IncidentRow,
    sight: Sight,
) -> Result<Markup, Refused> {
    let oldest_first = asked::named("order", &wanted.order, |name| match name {
        "newest" => Some(false),
        "oldest" => Some(true),
        _ => None,
    })?
    .unwrap_or(false);
    let (ledger, at, no) = (site.ledger(), asked::at(&wanted.at), IncidentNo(row.id));
    let part = match oldest_first {
        true => ledger.timeline(no, &at).await?,
        false => ledger.timeline_newest(no, &at).await?,
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
    for each in &part.items {
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
