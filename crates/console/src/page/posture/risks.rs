//! What is lived with: decided by somebody, for a reason, until a time.

use axum::extract::State;
use axum::response::Redirect;
use davylamp_ledger::record::{Choice, Decision, Record};
use davylamp_ledger::rows::RiskRow;
use davylamp_model::verdict::Verdict;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::read::{self, One};
use crate::access::{Refused, Role, Signed, Viewer};
use crate::page::asked::{self, Asked};
use crate::page::frame::{self, Room, csrf};
use crate::page::{list, text, time, word};
use crate::site::Site;

/// For how long something may be lived with, in days: never for ever.
const DAYS: [(&str, i64, &str); 5] = [
    ("7", 7, "a week"),
    ("30", 30, "30 days"),
    ("90", 90, "90 days"),
    ("180", 180, "half a year"),
    ("365", 365, "a year"),
];
/// The longest reason.
const REASON_CHARS: usize = 1000;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(in crate::page) struct Wanted {
    /// `ended`: those whose time is over.
    #[serde(skip_serializing_if = "String::is_empty")]
    show: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
    #[serde(skip_serializing)]
    done: String,
}

/// What was just changed.
pub(super) fn said(done: &str) -> Option<&'static str> {
    match done {
        "accepted" => Some("It is lived with until then, and the ledger has it."),
        "withdrawn" => Some("It is lived with no more, and the ledger has it."),
        _ => None,
    }
}

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let now = site.now();
    let ended = asked::named("choice", &wanted.show, |name| {
        (name == "ended").then_some(true)
    })?;
    let ended = ended.unwrap_or(false);
    let (rows, next) = match viewer.scope.is_all() {
        true => {
            let page = site
                .ledger()
                .risks(now, ended, &asked::at(&wanted.at))
                .await?;
            (page.items, page.next)
        }
        // Of which cluster it is, only the audits say.
        false => {
            let standing = read::standing(&site, &viewer.scope).await?;
            let mut rows: Vec<RiskRow> = standing
                .risks()
                .map(|(_, row)| row.clone())
                .filter(|row| (row.until <= now.as_microsecond()) == ended)
                .collect();
            rows.sort_by_key(|row| (row.until, row.latest));
            let (part, next) = list::part(&rows, &wanted.at)?;
            (part.to_vec(), next)
        }
    };
    let to = |at: &str| {
        let at = at.to_owned();
        asked::address(
            "/posture/risks",
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
    let body = html! {
        p.crumbs { a href="/posture" { "Posture" } " / what is lived with" }
        @if let Some(said) = said(&wanted.done) { p.flash role="status" { (said) } }
        h1 { "What is lived with" }
        nav.tabs aria-label="Which of it" {
            a href="/posture/risks" aria-current=[(!ended).then_some("true")] { "Now, what ends first first" }
            a href="/posture/risks?show=ended" aria-current=[ended.then_some("true")] { "Its time is over" }
        }
        (table(&viewer, &rows, ended, now))
        (list::pager(first.as_deref(), next.as_deref()))
    };
    Ok(frame::page(
        &viewer,
        Room::Posture,
        "What is lived with",
        body,
    ))
}

fn table(viewer: &Viewer, rows: &[RiskRow], ended: bool, now: Timestamp) -> Markup {
    if rows.is_empty() {
        return match ended {
            true => html! { p.empty { "Of nothing the time is over." } },
            false => {
                html! { p.empty { "Nothing is lived with: whatever failed is to be mended." } }
            }
        };
    }
    let body = html! {
        @for row in rows {
            tr {
                th scope="row" { (text::prose(&row.subject)) }
                td data-label="Until" { (state(Some(row), now)) }
                td data-label="Why" { (text::prose(&row.reason)) }
                td data-label="Decided by" { (text::brief(&row.by_whom)) " " span.muted { (time::ago(row.at, now)) } }
                @if !ended && viewer.may(Role::Responder) {
                    td data-label="Decide" { form method="post" action="/posture/withdraw" { (csrf(viewer)) input type="hidden" name="entry" value=(row.latest); button aria-label=(format!("Live with it no more: entry {}", row.latest)) { "No more" } } }
                }
            }
        }
    };
    let mut heads = vec!["What", "Until", "Why", "Decided by"];
    if !ended && viewer.may(Role::Responder) {
        heads.push("Decide");
    }
    frame::table("What is lived with", &heads, body)
}

/// Until when something is lived with.
pub(super) fn state(risk: Option<&RiskRow>, now: Timestamp) -> Markup {
    let Some(risk) = risk else {
        return html! { span.muted { "no" } };
    };
    html! {
        @if risk.until <= now.as_microsecond() { span.badge.loud { "over" } " " (time::ago(risk.until, now)) }
        @else if read::is_near(risk.until, now) { span.badge.warn { "ends soon" } " " (time::ago(risk.until, now)) }
        @else { (time::both(risk.until, now)) }
    }
}

/// The form by which somebody decides to live with an outcome, which is named by its place in its run.
pub(super) fn form(viewer: &Viewer, one: &One<'_>, n: usize) -> Markup {
    html! {
        @if one.is_accepted {
            @if let Some(risk) = one.risk { form method="post" action="/posture/withdraw" { (csrf(viewer)) input type="hidden" name="entry" value=(risk.latest); button aria-label=(format!("Live with it no more: row {}", n + 1)) { "No more" } } }
        } @else {
            details.small { summary { "Live with it" }
                form.stack method="post" action="/posture/accept" {
                    (csrf(viewer)) input type="hidden" name="run" value=(one.row.id); input type="hidden" name="outcome" value=(one.place);
                    label for=(format!("days-{n}")) { "For" } select id=(format!("days-{n}")) name="days" { @for (value, _, words) in DAYS { (word::option(value, words, "30")) } }
                    label for=(format!("why-{n}")) { "Why" } input id=(format!("why-{n}")) name="reason" required maxlength=(REASON_CHARS);
                    button { "Accept the risk" }
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct AcceptForm {
    run: i64,
    outcome: usize,
    days: String,
    #[serde(default)]
    reason: String,
}

pub(in crate::page) async fn accept(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<AcceptForm>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Responder)?;
    let audit = read::audit(&site, form.run).await?;
    let audit = audit.filter(|audit| read::sees(&viewer.scope, &audit.target));
    let audit = audit.ok_or(Refused::Absent)?;
    let outcome = audit.outcomes.get(form.outcome).ok_or(Refused::Absent)?;
    if outcome.verdict == Verdict::Pass {
        return Err(Refused::Wrong(
            "It passed: there is nothing to live with.".to_owned(),
        ));
    }
    let days = DAYS.iter().find(|(value, ..)| *value == form.days);
    let (_, days, _) = days.ok_or(Refused::Form)?;
    let until = site
        .now()
        .checked_add(SignedDuration::from_hours(days * 24))
        .map_err(|_| Refused::Form)?;
    let reason = form.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS {
        return Err(Refused::Wrong(format!(
            "Living with something needs a reason, of {REASON_CHARS} characters at most. Nothing was changed."
        )));
    }
    write(&site, &viewer, outcome.subject(), until, reason.to_owned()).await?;
    let to = asked::address(
        "/posture/check",
        &[("check", outcome.check.as_str()), ("done", "accepted")],
    );
    Ok(Redirect::to(&to))
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct WithdrawForm {
    entry: i64,
}

pub(in crate::page) async fn withdraw(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<WithdrawForm>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Responder)?;
    let entry = site.ledger().entry(form.entry).await?;
    let record = entry.as_ref().and_then(crate::page::entry::record);
    let Some(Record::Decision(decision)) = record else {
        return Err(Refused::Absent);
    };
    let subject = decision.subject.ok_or(Refused::Absent)?;
    if !viewer.scope.is_all() {
        let standing = read::standing(&site, &viewer.scope).await?;
        if !standing.risks().any(|(known, _)| *known == subject) {
            return Err(Refused::Absent);
        }
    }
    let now = site.now();
    let known = site
        .ledger()
        .risks_by_subject(vec![subject.clone()])
        .await?;
    let known = known.get(&subject).ok_or(Refused::Absent)?;
    // Sent twice, it is done once; and what was decided anew since stands.
    if known.latest == form.entry && known.until > now.as_microsecond() {
        write(
            &site,
            &viewer,
            subject,
            now,
            "lived with no more".to_owned(),
        )
        .await?;
    }
    Ok(Redirect::to("/posture/risks?done=withdrawn"))
}

async fn write(
    site: &Site,
    viewer: &Viewer,
    subject: String,
    until: Timestamp,
    reason: String,
) -> Result<(), Refused> {
    let decision = Decision {
        incident: None,
        choice: Choice::AcceptRisk { until },
        plan: None,
        subject: Some(subject),
        reason,
        by: viewer.name.clone(),
    };
    site.ledger()
        .record(Record::Decision(decision), site.now())
        .await?;
    site.live().wake();
    Ok(())
}
