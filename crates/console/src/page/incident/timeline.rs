//! What happened in an incident, entry by entry.

use davylamp_ledger::Entry;
use davylamp_ledger::query::At;
use davylamp_ledger::record::{BY_LEDGER, IncidentNo, Record};
use davylamp_ledger::rows::IncidentRow;
use maud::{Markup, html};

use super::Wanted;
use crate::access::{Refused, Scope, Viewer};
use crate::page::sight::Sight;
use crate::page::{asked, entry, list, time, word};
use crate::site::Site;

pub(super) use kinds::{Kind, Place};

mod kinds;

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
    let filter = Filter {
        kind: asked::named("kind", &wanted.kind, Kind::named)?,
        place: asked::named("place", &wanted.place, Place::named)?,
    };
    let (ledger, no) = (site.ledger(), IncidentNo(row.id));
    let ask = |at: At| async move {
        match oldest_first {
            true => ledger.timeline(no, &at).await,
            false => ledger.timeline_newest(no, &at).await,
        }
    };
    let part = list::seen(asked::at(&wanted.at), ask, |each| filter.holds(each)).await?;
    let path = format!("/incidents/{}", row.id);
    let to = |order: &str, at: &str| {
        let wanted = Wanted {
            order: order.to_owned(),
            at: at.to_owned(),
            done: String::new(),
            ..wanted.clone()
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
            form.filters method="get" action=(format!("{path}#timeline")) aria-label="Filter the timeline" {
                @if !wanted.order.is_empty() { input type="hidden" name="order" value=(wanted.order); }
                div { label for="t-kind" { "What" } select #t-kind name="kind" { (word::option("", "everything", &wanted.kind)) @for kind in Kind::ALL { (word::option(kind.as_str(), kind.as_str(), &wanted.kind)) } } }
                div { label for="t-place" { "Where" } select #t-place name="place" { (word::option("", "anywhere", &wanted.place)) @for place in Place::ALL { (word::option(place.as_str(), place.words(), &wanted.place)) } } }
                div.go { button { "Filter" } a href=(format!("{path}#timeline")) { "Clear" } }
            }
            @if rows.is_empty() { p.empty { "No entry here fits." } }
            @if left_out > 0 { p.notice { (left_out) " entries of this part are about clusters that are not yours to see." } }
            ol.timeline {
                @for (each, record) in &rows {
                    li { div.when { (time::both(each.at_us, now)) " " span.muted { "entry " (each.seq) } " " (place(record.as_ref())) } div { (entry::words(each, record.as_ref(), now)) } }
                }
            }
            (list::pager(first.as_deref(), next.as_deref()))
        }
    })
}

/// Where something happened, for the eye.
fn place(record: Option<&Record>) -> Markup {
    match record.map(Place::of) {
        Some(place) => {
            html! { span class=(format!("badge place-{}", place.as_str())) { (place.as_str()) } }
        }
        None => html! {},
    }
}

/// What of it is asked for.
#[derive(Debug, Clone, Copy, Default)]
struct Filter {
    kind: Option<Kind>,
    place: Option<Place>,
}

impl Filter {
    fn holds(self, entry: &Entry) -> bool {
        self.kind.is_none_or(|kind| Kind::of(&entry.kind) == kind)
            && self.place.is_none_or(|place| {
                let record = entry::record(entry);
                record.is_some_and(|record| Place::of(&record) == place)
            })
    }
}

pub(super) fn sees(scope: &Scope, sight: Sight, record: Option<&Record>) -> bool {
    match record {
        Some(Record::Finding(finding)) => scope.holds(&finding.place()),
        _ if sight == Sight::Whole => true,
        // What the ledger says of itself repeats a finding's title.
        Some(Record::IncidentState(state)) => state.by != BY_LEDGER,
        Some(Record::Owner(_)) => true,
        _ => false,
    }
}
