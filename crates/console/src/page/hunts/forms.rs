//! Asking a worker to run a hunt, and taking that back.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Redirect;
use davylamp_ledger::record::{Errand, Job, Record};
use davylamp_ledger::rows::JobRow;
use maud::{Markup, html};
use serde::Deserialize;

use super::asked_for;
use crate::access::{Refused, Role, Signed, Viewer};
use crate::page::frame::csrf;
use crate::page::incident::plans::forms::withdrawn;
use crate::page::{asked, text};
use crate::site::Site;
use crate::store::{StoreError, secret};

/// The longest name of a hunt or cluster.
const NAME_CHARS: usize = 100;

/// What was just changed.
pub(super) fn said(done: &str) -> Option<&'static str> {
    match done {
        "asked" => Some("A worker is asked, and the ledger has it."),
        "withdrawn" => Some("It is withdrawn."),
        _ => None,
    }
}

pub(super) fn show(viewer: &Viewer, known: &BTreeSet<String>, rows: &[JobRow]) -> Markup {
    let waits = rows.iter().filter(|row| row.stage == "waiting").count();
    html! {
        section.card {
            h2 { "Run a hunt" }
            form.stack method="post" action="/hunts" {
                (csrf(viewer))
                // A form that is sent twice asks once.
                @if let Ok(nonce) = nonce() { input type="hidden" name="nonce" value=(nonce); }
                label for="hunt" { "Hunt" }
                input #hunt name="hunt" list="hunts" required maxlength=(NAME_CHARS) autocomplete="off" spellcheck="false";
                datalist #hunts { @for name in known { option value=(text::plain(name)) {} } }
                div.pair {
                    div { label for="since" { "From " span.muted { "(UTC)" } } input #since type="datetime-local" name="since"; }
                    div { label for="until" { "Before " span.muted { "(UTC)" } } input #until type="datetime-local" name="until"; }
                }
                @match viewer.scope.clusters() {
                    [] => { label for="cluster" { "By workers of " span.muted { "(empty: any)" } } input #cluster name="cluster" maxlength=(NAME_CHARS); }
                    clusters => { label for="cluster" { "By workers of" } select #cluster name="cluster" { @for name in clusters { option value=(name) { (text::plain(name)) } } } }
                }
                button.primary { "Ask for it" }
                p.muted { "A worker that has the logs runs it. " @if waits > 0 { (waits) " wait before it." } }
            }
        }
    }
}

fn nonce() -> Result<String, StoreError> {
    secret().map(|secret| secret[..22].to_owned())
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct RunForm {
    nonce: String,
    hunt: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    cluster: String,
}

pub(in crate::page) async fn run(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<RunForm>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Responder)?;
    let hunt = name(&form.hunt, "hunt")?;
    let cluster = match form.cluster.trim() {
        "" => String::new(),
        cluster => name(cluster, "cluster")?,
    };
    // Workers of all clusters work for who sees all of them.
    if !viewer.scope.holds(&cluster) {
        let text = "These workers are not of your clusters. Nothing was asked.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    let (since, until) = (asked::time(&form.since)?, asked::time(&form.until)?);
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        let text = "It would begin when it has ended. Nothing was asked.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    let is_nonce = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if form.nonce.len() != 22 || !form.nonce.chars().all(is_nonce) {
        return Err(Refused::Form);
    }
    let job = Job {
        job: format!("hunt {hunt} {} by {}", form.nonce, viewer.name),
        incident: None,
        cluster,
        errand: Errand::Hunt { hunt, since, until },
        by: viewer.name,
    };
    site.ledger().record(Record::Job(job), site.now()).await?;
    site.live().wake();
    Ok(Redirect::to("/hunts?done=asked"))
}

fn name(text: &str, what: &str) -> Result<String, Refused> {
    let text = text.trim();
    let is_good =
        !text.is_empty() && text.chars().count() <= NAME_CHARS && text::plain(text) == text;
    match is_good {
        true => Ok(text.to_owned()),
        false => Err(Refused::Wrong(format!(
            "The name of a {what} has 1 to {NAME_CHARS} characters, all of which can be seen. Nothing was asked."
        ))),
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct WithdrawForm {
    job: i64,
}

pub(in crate::page) async fn withdraw(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<WithdrawForm>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Responder)?;
    let rows = asked_for(&site, &viewer).await?;
    let row = rows.into_iter().find(|row| row.id == form.job);
    withdrawn(&site, &viewer, row.ok_or(Refused::Absent)?).await?;
    Ok(Redirect::to("/hunts?done=withdrawn"))
}
