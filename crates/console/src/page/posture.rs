//! How well the doors are shut: what audits found, what mending it saves, and what is lived with.

mod check;
mod compare;
mod read;
mod risks;
mod runs;
mod score;
mod trend;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use davylamp_model::finding::Severity;
use davylamp_model::verdict::Verdict;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::frame::{self, Room};
use super::{list, text, time, word};
use crate::access::{Refused, Viewer};
use crate::site::Site;
use read::{Last, One, Standing};
use score::Score;

pub(super) use read::{Brief, brief, sees};
pub(super) mod routes {
    pub(in crate::page) use super::check::show as check;
    pub(in crate::page) use super::compare::show as compare;
    pub(in crate::page) use super::risks::{accept, show as risks, withdraw};
    pub(in crate::page) use super::runs::show as runs;
}
pub(crate) use read::Audits;

/// An audit that ended longer ago than this says little about now.
const OLD_US: i64 = 8 * 24 * 3600 * 1_000_000;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    target: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    check: String,
    /// Empty for what failed or is unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    verdict: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    severity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
    /// What was just changed.
    #[serde(skip_serializing)]
    done: String,
}

/// What is looked for among outcomes.
struct Filter<'a> {
    wanted: &'a Wanted,
    show: Show,
    severity: Option<Severity>,
    text: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    Bad,
    Verdict(Verdict),
    Accepted,
    Any,
}

impl<'a> Filter<'a> {
    fn of(wanted: &'a Wanted) -> Result<Self, Refused> {
        let show = asked::named("verdict", &wanted.verdict, |name| match name {
            "accepted" => Some(Show::Accepted),
            "any" => Some(Show::Any),
            name => Verdict::named(name).map(Show::Verdict),
        })?;
        Ok(Self {
            wanted,
            show: show.unwrap_or(Show::Bad),
            severity: asked::severity(&wanted.severity)?,
            text: wanted
                .text
                .split_whitespace()
                .map(str::to_lowercase)
                .collect(),
        })
    }

    fn holds(&self, one: &One<'_>) -> bool {
        let outcome = one.outcome;
        let shows = match self.show {
            Show::Bad => one.is_bad() && !one.is_accepted,
            Show::Verdict(verdict) => outcome.verdict == verdict && !one.is_accepted,
            Show::Accepted => one.is_accepted,
            Show::Any => true,
        };
        let is_of = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        shows
            && is_of(&self.wanted.target, &one.row.target)
            && is_of(&self.wanted.check, &outcome.check)
            && self.severity.is_none_or(|least| outcome.severity >= least)
            && self.says(one)
    }

    fn says(&self, one: &One<'_>) -> bool {
        let outcome = one.outcome;
        let texts = [
            &outcome.check,
            &outcome.title,
            &outcome.resource,
            &outcome.why,
        ];
        let texts = texts.map(|text| text.to_lowercase());
        self.text
            .iter()
            .all(|word| texts.iter().any(|text| text.contains(word)))
    }
}

/// A check with what it came to on all resources that fit.
struct Row<'a> {
    check: &'a str,
    title: &'a str,
    severity: Severity,
    failed: u64,
    unknown: u64,
    passed: u64,
    accepted: u64,
    saving: i64,
    targets: BTreeSet<&'a str>,
}

fn rows<'a>(standing: &'a Standing, filter: &Filter<'_>) -> Vec<Row<'a>> {
    let mut rows: BTreeMap<&str, Row<'a>> = BTreeMap::new();
    for one in standing.all().filter(|one| filter.holds(one)) {
        let outcome = one.outcome;
        let row = rows.entry(&outcome.check).or_insert_with(|| Row {
            check: &outcome.check,
            title: &outcome.title,
            severity: outcome.severity,
            failed: 0,
            unknown: 0,
            passed: 0,
            accepted: 0,
            saving: 0,
            targets: BTreeSet::new(),
        });
        row.severity = row.severity.max(outcome.severity);
        row.targets.insert(&one.row.target);
        match outcome.verdict {
            Verdict::Pass => row.passed += 1,
            _ if one.is_accepted => row.accepted += 1,
            Verdict::Unknown => row.unknown += 1,
            Verdict::Fail => {
                row.failed += 1;
                let saving = outcome.saving_micro_usd_month.unwrap_or(0);
                row.saving = row.saving.saturating_add(saving);
            }
        }
    }
    let mut rows: Vec<Row<'a>> = rows.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.saving, row.severity, row.failed)));
    rows
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let filter = Filter::of(&wanted)?;
    let standing = read::standing(&site, &viewer.scope).await?;
    let trend = trend::show(&site, &viewer.scope, &wanted.target).await?;
    let all = rows(&standing, &filter);
    let (shown, next) = list::part(&all, &wanted.at)?;
    let to = |at: &str| {
        let at = at.to_owned();
        asked::address(
            "/posture",
            &Wanted {
                at,
                ..wanted.clone()
            },
        )
    };
    let (next, first) = (
        next.as_deref().map(to),
        (!wanted.at.is_empty()).then(|| to("")),
    );
    let now = site.now();
    let body = html! {
        div.title { h1 { "Posture" } nav.reports aria-label="Beside this page" { a href="/posture/runs" { "Runs" } a href="/posture/risks" { "What is lived with" } } }
        @if standing.last.is_empty() {
            p.empty { "Nothing has been audited: how well the doors are shut is unknown. " code { "davy audit" } " and other products' audits report here." }
        } @else {
            (endings(&standing, now))
            div.columns.posture {
                (figure(standing.score(), &standing))
                section.card { h2 { "Over time" } (trend) }
            }
            (targets(&standing, now))
            section #checks {
                h2 { "Checks" }
                (form(&wanted, &standing))
                (table(shown, &wanted))
                (list::pager(first.as_deref(), next.as_deref()))
            }
        }
    };
    Ok(frame::page(&viewer, Room::Posture, "Posture", body))
}

fn figure(score: Score, standing: &Standing) -> Markup {
    let savings = standing
        .all()
        .filter(|one| one.outcome.verdict == Verdict::Fail && !one.is_accepted);
    let savings: Vec<i64> = savings
        .filter_map(|one| one.outcome.saving_micro_usd_month)
        .collect();
    let saving = savings
        .iter()
        .fold(0_i64, |sum, one| sum.saturating_add(*one));
    let to = |verdict: &str| format!("/posture?verdict={verdict}#checks");
    html! {
        section.card.score {
            h2 { "Score" }
            @match score.percent() { Some(percent) => p.big { (percent) span.muted { " of 100" } }, None => p.figure.unknown { "unknown" } }
            ul.plain {
                li { span.badge.loud[score.failed > 0] { (score.failed) } " " a href=(to("fail")) { "failed" } }
                li { span.badge.warn[score.unknown > 0] { (score.unknown) } " " a href=(to("unknown")) { "unknown" } span.muted { ", which count against it" } }
                li { span.badge { (score.accepted) } " " a href=(to("accepted")) { "lived with" } span.muted { ", which count neither way" } }
                li { span.badge.well { (score.passed) } " " a href=(to("pass")) { "passed" } }
            }
            @if saving > 0 { p { "Mending what failed saves up to " strong { (word::usd(saving)) } " a month." } }
            details { summary { "How it is made" } p { "What passed, of everything that was looked at, each weighed by how bad it is when it fails: critical 10, high 6, medium 3, low 1. Rounded down." } }
        }
    }
}

/// What somebody has to look at again.
fn endings(standing: &Standing, now: Timestamp) -> Markup {
    let us = now.as_microsecond();
    let ended = standing
        .risks()
        .filter(|(_, risk)| risk.until <= us)
        .count();
    let near = standing
        .risks()
        .filter(|(_, risk)| risk.until > us && read::is_near(risk.until, now))
        .count();
    html! {
        @if ended > 0 { p.flash.bad role="note" { strong { (word::count(i64::try_from(ended).unwrap_or(i64::MAX), "thing was", "things were")) " lived with for a time that is over" } ", and still not as it should be. " a href="/posture/risks?show=ended" { "Decide again" } } }
        @if near > 0 { p.flash role="note" { (word::count(i64::try_from(near).unwrap_or(i64::MAX), "thing is", "things are")) " lived with for less than two more weeks. " a href="/posture/risks" { "Look at it" } } }
        @if standing.has_more { p.notice { "There are more targets than are read here (" (read::TARGETS) "): those audited last stand here." } }
    }
}

fn targets(standing: &Standing, now: Timestamp) -> Markup {
    let row = |last: &Last| {
        let score = standing.score_of(last);
        let row = &last.row;
        let is_old = row.ended < now.as_microsecond().saturating_sub(OLD_US);
        let of = asked::address("/posture", &[("target", &row.target)]);
        let runs = asked::address(
            "/posture/runs",
            &[("name", &row.name), ("target", &row.target)],
        );
        html! {
            tr {
                th scope="row" { a href=(format!("{of}#checks")) { (text::brief(&row.target)) } }
                td data-label="Audited by" { (text::brief(&row.name)) }
                td data-label="Ended" { @if is_old { strong.warn { (time::ago(row.ended, now)) } } @else { (time::ago(row.ended, now)) } }
                @if last.audit.is_none() { td data-label="Score" { span.unknown { "removed by retention" } } td {} td {} }
                @else {
                    td data-label="Score" { @match score.percent() { Some(percent) => strong { (percent) }, None => span.unknown { "unknown" } } }
                    td data-label="Failed" { (score.failed) }
                    td data-label="Unknown" { span.warn[score.unknown > 0] { (score.unknown) } }
                }
                td data-label="Runs" { a href=(runs) { "its runs" } }
            }
        }
    };
    let heads = [
        "Target",
        "Audited by",
        "Ended",
        "Score",
        "Failed",
        "Unknown",
        "Runs",
    ];
    html! {
        section {
            h2 { "Targets" }
            (frame::table("Targets", &heads, html! { @for last in &standing.last { (row(last)) } }))
        }
    }
}

fn form(wanted: &Wanted, standing: &Standing) -> Markup {
    let targets: BTreeSet<&str> = standing
        .last
        .iter()
        .map(|last| last.row.target.as_str())
        .collect();
    html! {
        form.filters method="get" action="/posture#checks" aria-label="Filter checks" {
            div { label for="p-target" { "Target" } select #p-target name="target" { (word::option("", "any", &wanted.target)) @for target in targets { (word::option(target, &text::cut(target, 60), &wanted.target)) } } }
            div { label for="p-verdict" { "Verdict" } select #p-verdict name="verdict" {
                @for (value, words) in [("", "failed or unknown"), ("fail", "failed"), ("unknown", "unknown"), ("pass", "passed"), ("accepted", "lived with"), ("any", "any")] { (word::option(value, words, &wanted.verdict)) }
            } }
            div { label for="p-severity" { "At least" } select #p-severity name="severity" { (word::option("", "any severity", &wanted.severity)) @for severity in word::SEVERITIES { (word::option(severity.as_str(), severity.as_str(), &wanted.severity)) } } }
            div { label for="p-check" { "Check" } input #p-check name="check" value=(wanted.check) maxlength="200"; }
            div { label for="p-text" { "Words" } input #p-text type="search" name="text" value=(wanted.text) maxlength="200"; }
            div.go { button { "Filter" } a href="/posture#checks" { "Clear" } }
        }
    }
}

fn table(rows: &[Row<'_>], wanted: &Wanted) -> Markup {
    if rows.is_empty() {
        return html! { p.empty { "No check here fits." } };
    }
    let heads = [
        "Check",
        "Severity",
        "Failed",
        "Unknown",
        "Lived with",
        "Passed",
        "Saves a month",
        "Targets",
    ];
    let body = html! {
        @for row in rows {
            @let to = asked::address("/posture/check", &Wanted { check: row.check.to_owned(), at: String::new(), text: String::new(), severity: String::new(), ..wanted.clone() });
            tr {
                th scope="row" { a href=(to) { (text::brief(if row.title.is_empty() { row.check } else { row.title })) } br; span.muted { (text::brief(row.check)) } }
                td data-label="Severity" { (word::severity(row.severity)) }
                td data-label="Failed" { @if row.failed > 0 { strong { (row.failed) } } @else { "0" } }
                td data-label="Unknown" { span.warn[row.unknown > 0] { (row.unknown) } }
                td data-label="Lived with" { (row.accepted) }
                td data-label="Passed" { (row.passed) }
                td data-label="Saves" { @if row.saving > 0 { strong { "up to " (word::usd(row.saving)) } } @else { span.muted { "not known" } } }
                td data-label="Targets" { @for (n, target) in row.targets.iter().take(3).enumerate() { @if n > 0 { ", " } (text::brief(target)) } @if row.targets.len() > 3 { " and " (row.targets.len() - 3) " more" } }
            }
        }
    };
    frame::table("Checks, what saves most first", &heads, body)
}

/// What a check came to, as a word with a colour.
fn verdict(one: &One<'_>) -> Markup {
    match one.outcome.verdict {
        _ if one.is_accepted => html! { span.badge { "lived with" } },
        verdict => shown(verdict),
    }
}

fn shown(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Pass => html! { span.badge.well { "✓ pass" } },
        Verdict::Fail => html! { span.badge.loud { "✕ fail" } },
        Verdict::Unknown => html! { span.badge.warn { "? unknown" } },
    }
}
