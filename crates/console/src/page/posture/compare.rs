//! Two runs of an audit beside each other: what is new, what was mended, and what nobody looked at again.

use std::collections::BTreeMap;

use axum::extract::State;
use davylamp_ledger::record::Audit;
use davylamp_model::verdict::{Outcome, Verdict};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::{read, shown};
use crate::access::{Refused, Viewer};
use crate::page::asked::{self, Asked};
use crate::page::frame::{self, Room};
use crate::page::{list, number, text, time, word};
use crate::site::Site;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(in crate::page) struct Wanted {
    before: String,
    after: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    show: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
}

/// What became of something between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// It fails, and did not.
    Broke,
    /// It passes, and did not.
    Mended,
    /// It fails, and did.
    Still,
    /// Nobody can say any more.
    Blind,
    /// Nobody looked, and somebody did.
    Gone,
}

impl Change {
    const ALL: [Self; 5] = [
        Self::Broke,
        Self::Mended,
        Self::Still,
        Self::Blind,
        Self::Gone,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Broke => "new",
            Self::Mended => "mended",
            Self::Still => "still",
            Self::Blind => "unknown",
            Self::Gone => "gone",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Broke => "New failures",
            Self::Mended => "Mended",
            Self::Still => "Still failing",
            Self::Blind => "Unknown now",
            Self::Gone => "No longer looked at",
        }
    }

    fn of(before: Option<Verdict>, after: Option<Verdict>) -> Option<Self> {
        match (before, after) {
            (Some(Verdict::Fail), Some(Verdict::Fail)) => Some(Self::Still),
            (_, Some(Verdict::Fail)) => Some(Self::Broke),
            (Some(Verdict::Fail | Verdict::Unknown), Some(Verdict::Pass)) => Some(Self::Mended),
            (Some(Verdict::Unknown), Some(Verdict::Unknown)) | (_, Some(Verdict::Pass)) => None,
            (_, Some(Verdict::Unknown)) => Some(Self::Blind),
            // That something is gone that passed says nothing bad; it was a door all the same.
            (Some(_), None) => Some(Self::Gone),
            (None, None) => None,
        }
    }
}

type Pair<'a> = (Change, Option<&'a Outcome>, Option<&'a Outcome>);

/// An outcome before and after.
type Both<'a> = (Option<&'a Outcome>, Option<&'a Outcome>);

fn compared<'a>(before: &'a Audit, after: &'a Audit) -> Vec<Pair<'a>> {
    let mut pairs: BTreeMap<(&str, &str), Both<'_>> = BTreeMap::new();
    for outcome in &before.outcomes {
        pairs
            .entry((&outcome.check, &outcome.resource))
            .or_default()
            .0 = Some(outcome);
    }
    for outcome in &after.outcomes {
        pairs
            .entry((&outcome.check, &outcome.resource))
            .or_default()
            .1 = Some(outcome);
    }
    let verdict = |outcome: Option<&Outcome>| outcome.map(|outcome| outcome.verdict);
    let changed = pairs.into_values().filter_map(|(before, after)| {
        Some((Change::of(verdict(before), verdict(after))?, before, after))
    });
    let mut changed: Vec<Pair<'_>> = changed.collect();
    changed.sort_by_key(|(change, before, after)| {
        let outcome = after.or(*before);
        let saving = outcome.and_then(|outcome| outcome.saving_micro_usd_month);
        let severity = outcome.map(|outcome| outcome.severity);
        (*change, std::cmp::Reverse((saving.unwrap_or(0), severity)))
    });
    changed
}

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let before = number(&wanted.before)?;
    let after = number(&wanted.after)?;
    let named = |name: &str| {
        Change::ALL
            .into_iter()
            .find(|change| change.as_str() == name)
    };
    let show = asked::named("choice", &wanted.show, named)?.unwrap_or(Change::Broke);
    let (Some(one), Some(other)) = (
        read::audit(&site, before).await?,
        read::audit(&site, after).await?,
    ) else {
        return Err(Refused::Absent);
    };
    let sees = |audit: &Audit| read::sees(&viewer.scope, &audit.target);
    if !sees(&one) || !sees(&other) {
        return Err(Refused::Absent);
    }
    let pairs = compared(&one, &other);
    let count = |change: Change| pairs.iter().filter(|(is, ..)| *is == change).count();
    let of: Vec<Pair<'_>> = pairs
        .iter()
        .copied()
        .filter(|(is, ..)| *is == show)
        .collect();
    let (part, next) = list::part(&of, &wanted.at)?;
    let to = |show: &str, at: &str| {
        let (show, at) = (show.to_owned(), at.to_owned());
        asked::address(
            "/posture/compare",
            &Wanted {
                show,
                at,
                ..wanted.clone()
            },
        )
    };
    let (next, first) = (
        next.as_deref().map(|next| to(&wanted.show, next)),
        (!wanted.at.is_empty()).then(|| to(&wanted.show, "")),
    );
    let now = site.now();
    let run = |id: i64, audit: &Audit| {
        html! { "run " (id) ": " (text::brief(&audit.target)) " by " (text::brief(&audit.name)) ", " (time::both(audit.ended.as_microsecond(), now)) }
    };
    let body = html! {
        p.crumbs { a href="/posture" { "Posture" } " / " a href="/posture/runs" { "runs" } " / compared" }
        h1 { "What has changed" }
        dl { dt { "Before" } dd { (run(before, &one)) } dt { "After" } dd { (run(after, &other)) } }
        @if one.target != other.target || one.name != other.name { p.notice { "These are not of the same audit and target: what one did not look at is no change." } }
        @if one.ended > other.ended { p.notice { "The run called before is the later one. " a href=(format!("/posture/compare?before={after}&after={before}")) { "The other way round" } } }
        nav.tabs aria-label="What became of it" {
            @for change in Change::ALL { a href=(to(change.as_str(), "")) aria-current=[(change == show).then_some("true")] { (change.words()) " " (count(change)) } }
        }
        (table(part))
        (list::pager(first.as_deref(), next.as_deref()))
    };
    Ok(frame::page(&viewer, Room::Posture, "Runs compared", body))
}

fn table(pairs: &[Pair<'_>]) -> Markup {
    if pairs.is_empty() {
        return html! { p.empty { "Nothing." } };
    }
    let verdict = |outcome: Option<&Outcome>| match outcome {
        Some(outcome) => shown(outcome.verdict),
        None => html! { span.muted { "not looked at" } },
    };
    let body = html! {
        @for (_, before, after) in pairs {
            @if let Some(outcome) = after.or(*before) {
                tr {
                    th scope="row" { a href=(asked::address("/posture/check", &[("check", outcome.check.as_str()), ("verdict", "any")])) { (text::brief(if outcome.title.is_empty() { &outcome.check } else { &outcome.title })) } br; span.muted { (text::brief(&outcome.check)) } }
                    td data-label="Resource" { (text::brief(&outcome.resource)) }
                    td data-label="Severity" { (word::severity(outcome.severity)) }
                    td data-label="Before" { (verdict(*before)) }
                    td data-label="After" { (verdict(*after)) }
                    td data-label="Why" { (text::prose(&outcome.why)) }
                }
            }
        }
    };
    let heads = ["Check", "Resource", "Severity", "Before", "After", "Why"];
    frame::table("What has changed", &heads, body)
}

#[cfg(test)]
mod tests {
    use super::Change::{self, Blind, Broke, Gone, Mended, Still};
    use davylamp_model::verdict::Verdict::{Fail, Pass, Unknown};

    #[test]
    fn what_is_not_known_is_never_mended() {
        for (before, after, expected) in [
            (Some(Pass), Some(Fail), Some(Broke)),
            (None, Some(Fail), Some(Broke)),
            (Some(Unknown), Some(Fail), Some(Broke)),
            (Some(Fail), Some(Pass), Some(Mended)),
            (Some(Unknown), Some(Pass), Some(Mended)),
            (Some(Fail), Some(Fail), Some(Still)),
            (Some(Fail), Some(Unknown), Some(Blind)),
            (Some(Pass), Some(Unknown), Some(Blind)),
            (None, Some(Unknown), Some(Blind)),
            (Some(Fail), None, Some(Gone)),
            (Some(Pass), None, Some(Gone)),
            (None, Some(Pass), None),
            (Some(Unknown), Some(Unknown), None),
            (Some(Pass), Some(Pass), None),
        ] {
            assert_eq!(Change::of(before, after), expected, "{before:?} {after:?}");
        }
    }
}
