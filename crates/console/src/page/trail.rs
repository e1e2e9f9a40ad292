//! The ledger itself: its end, its entries, and how others can check it.

use axum::extract::State;
use davylamp_ledger::Entry;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::{entry, list, soundness, text, time};
use crate::access::{Refused, Viewer};
use crate::site::Site;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// The entries before this one.
    #[serde(skip_serializing_if = "String::is_empty")]
    before: String,
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let head = site.ledger().head().await?;
    let wrong = || Refused::Wrong("An entry is named by its number.".to_owned());
    let end = match wanted.before.as_str() {
        "" => head.seq,
        before => {
            let before: i64 = before.parse().map_err(|_| wrong())?;
            if before < 1 {
                return Err(wrong());
            }
            (before - 1).min(head.seq)
        }
    };
    // Numbers have no gaps: a page is found by counting.
    let begin = (end - i64::from(asked::ROWS)).max(0);
    let entries = match u32::try_from(end - begin) {
        Ok(rows) if rows > 0 => site.ledger().entries_since(begin, rows).await?,
        _ => Vec::new(),
    };
    let next = (begin > 0).then(|| {
        let before = (begin + 1).to_string();
        asked::address("/ledger", &Wanted { before })
    });
    let first = (!wanted.before.is_empty()).then_some("/ledger");
    let body = html! {
        h1 { "Ledger" }
        (soundness::card(&site, &viewer).await?)
        section.card {
            h2 { "Where it ends" }
            dl {
                dt { "Entries" } dd { (head.seq) }
                dt { "Hash of the last" } dd { code.hash { (head.hash) } }
            }
            p { "Each entry carries the hash of the one before. Note this number and hash somewhere that whoever runs this console cannot change: whoever alters, removes or cuts off an entry before it can then be found out." }
            p { "To check it from outside: " code { "davy console verify --head " (head.seq) ":" (head.hash) } " reads every entry from the database and compares them, and every table that is made of them." }
        }
        section {
            h2 { "Entries, the latest first" }
            (table(&site, &viewer, &entries))
            (list::pager(first, next.as_deref()))
        }
    };
    Ok(frame::page(&viewer, Room::Ledger, "Ledger", body))
}

fn table(site: &Site, viewer: &Viewer, entries: &[Entry]) -> Markup {
    let now = site.now();
    let body = html! {
        @for each in entries.iter().rev() {
            @let record = entry::record(each);
            tr id=(format!("entry-{}", each.seq)) {
                th.short scope="row" { (each.seq) }
                td data-label="Written" { (time::ago(each.at_us, now)) }
                td data-label="Kind" { (text::plain(&each.kind)) }
                td.says data-label="What it says" {
                    @if entry::is_in(&viewer.scope, record.as_ref()) { (entry::words(each, record.as_ref(), now)) }
                    @else { span.muted { "not of your clusters" } }
                }
                td data-label="Hash" { code.hash.cut title=(each.hash) { (each.hash.get(..16).unwrap_or(&each.hash)) "…" } }
            }
        }
    };
    frame::table(
        "Entries",
        &["Entry", "Written", "Kind", "What it says", "Hash"],
        body,
    )
}
