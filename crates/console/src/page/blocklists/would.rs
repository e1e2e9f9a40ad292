//! What guards that only observe would have killed in the last days, by what matched.

use std::collections::{BTreeMap, HashMap};

use davylamp_ledger::Taken;
use davylamp_ledger::query::{At, FindingFilter, PAGE_ROWS};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::held::Node;
use crate::access::{Refused, Scope};
use crate::page::{asked, frame, text, word};
use crate::site::Site;

/// So far back.
pub(super) const DAYS: i64 = 7;
/// Pages of findings that are read; that there are more is told.
const PAGES: usize = 4;
/// What matched most often.
const SHOWN: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Recent {
    by_string: BTreeMap<(String, String), u64>,
    by_node: HashMap<(String, String), u64>,
    is_cut: bool,
}

pub(super) async fn recent(site: &Site, scope: &Scope) -> Result<Recent, Refused> {
    let from = site
        .now()
        .saturating_sub(SignedDuration::from_hours(24 * DAYS));
    let filter = FindingFilter {
        from: Some(from.unwrap_or(Timestamp::MIN)),
        taken: Some(Taken::WouldKill),
        ..FindingFilter::default()
    };
    let (mut recent, mut at) = (Recent::default(), At::first(PAGE_ROWS));
    for _ in 0..PAGES {
        let page = site.ledger().findings_in_full(&filter, &at).await?;
        for view in page.items {
            if !scope.holds(&view.row.cluster) {
                continue;
            }
            let line = view
                .record
                .as_ref()
                .and_then(|record| record.line.as_deref());
            let line: Option<serde_json::Value> =
                line.and_then(|line| serde_json::from_str(line).ok());
            let member = |name: &str| {
                let value = line.as_ref().and_then(|line| line.get(name)?.as_str());
                value.unwrap_or_default().to_owned()
            };
            let of = (member("group"), member("matched"));
            *recent.by_string.entry(of).or_default() += 1;
            let node = (view.row.cluster, view.row.node);
            *recent.by_node.entry(node).or_default() += 1;
        }
        at.cursor = page.next;
        if at.cursor.is_none() {
            return Ok(recent);
        }
    }
    recent.is_cut = true;
    Ok(recent)
}

impl Recent {
    /// How much these nodes would have killed.
    pub(super) fn on<'a>(&self, nodes: impl Iterator<Item = &'a Node>) -> u64 {
        let of = |node: &Node| {
            let row = &node.view.row;
            let name = (row.cluster.clone(), row.node.clone());
            self.by_node.get(&name).copied().unwrap_or(0)
        };
        nodes.map(of).sum()
    }

    pub(super) fn show(&self) -> Markup {
        let mut rows: Vec<_> = self.by_string.iter().collect();
        rows.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let body = html! {
            @for ((group, matched), n) in rows.iter().take(SHOWN) {
                tr {
                    th scope="row" { @if matched.is_empty() { span.unknown { "not said" } } @else { (text::brief(matched)) } }
                    td data-label="Group" { (text::or_none(group)) }
                    td data-label="Times" { span.badge.act-would-kill { (n) } }
                    td data-label="Findings" { a href=(asked::address("/findings", &[("action", "would-kill"), ("text", matched.as_str())])) { "findings of it" } }
                }
            }
        };
        html! {
            section.card #would {
                h2 { "What guards that only observe would have killed, in " (DAYS) " days" }
                @if rows.is_empty() { p.muted { "Nothing. Whether any guard observes, the nodes say." } }
                @else { (frame::table("Would have killed", &["What matched", "Group", "Times", "Findings"], body)) }
                @if rows.len() > SHOWN { p.notice { (word::count(i64::try_from(rows.len() - SHOWN).unwrap_or(i64::MAX), "more string is", "more strings are")) " left out here, which matched less often." } }
                @if self.is_cut { p.notice { "There were more than are counted here; those seen last are." } }
            }
        }
    }
}
