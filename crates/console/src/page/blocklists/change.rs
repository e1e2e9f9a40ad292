//! What a blocklist would have done about what was seen lately: its text is judged by the guard's own judge
//! over the command lines of findings, and kept nowhere.
//!
//! What must stay true: one at a time, as a large list takes memory; bounded in findings and time, and how far
//! it came is told; a command line that cannot be judged is not clean. The ledger has what matched something:
//! that a list kills nobody's work is for `davy replay` over everything that ran.

mod became;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::extract::State;
use davylamp_content::Source;
use davylamp_content::blocklist::{self, Warning};
use davylamp_detect::judge::Judge;
use davylamp_ledger::query::{At, FindingFilter, PAGE_ROWS};
use jiff::SignedDuration;
use maud::{Markup, html};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::access::{Refused, Role, Signed, Viewer, chain};
use crate::page::frame::{self, Room, csrf};
use crate::page::{text, word};
use crate::site::Site;
use became::{Became, judged};

/// The longest text: a judge takes some hundred times as much memory.
const TEXT_BYTES: usize = 128 << 10;
/// Findings of one look, and how long it may take: answers are due in 30 s.
const LOOKED_AT: usize = 20_000;
const TIME: Duration = Duration::from_secs(12);
/// Findings that are shown for each outcome.
const EXAMPLES: usize = 40;
/// Faults that are shown of a text that cannot be read.
const FAULTS: usize = 20;
/// How far back, in days.
const DAYS: [&str; 4] = ["1", "7", "30", "90"];

/// One at a time.
static TURN: Semaphore = Semaphore::const_new(1);

/// The form, with what was pasted last.
pub(super) fn form(viewer: &Viewer, list: &str, days: &str) -> Markup {
    html! {
        section.card #change {
            h2 { "What a change would have killed" }
            form.stack method="post" action="/blocklists/change" {
                (csrf(viewer))
                label for="w-list" { "The list as it would be " span.muted { "(YAML or JSON; kept nowhere)" } }
                textarea.code #w-list name="list" rows="10" required spellcheck="false" { (list) }
                div.row {
                    label for="w-days" { "Over findings of the last" }
                    select #w-days name="days" { @for value in DAYS { (word::option(value, if value == "1" { "day" } else { value }, days)) } }
                    span.muted { "days" }
                    button.primary { "Judge" }
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct ChangeForm {
    list: String,
    days: String,
    /// Where the look before stopped.
    #[serde(default)]
    at: String,
    /// How many were looked at before.
    #[serde(default)]
    before: usize,
}

/// What was found so far.
#[derive(Default)]
struct Look {
    looked_at: usize,
    counts: BTreeMap<Became, usize>,
    examples: BTreeMap<Became, Vec<Example>>,
    next: Option<String>,
}

struct Example {
    finding: i64,
    user: String,
    command: String,
    why: String,
}

pub(in crate::page) async fn judge(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<ChangeForm>,
) -> Result<Markup, Refused> {
    viewer.must(Role::Responder)?;
    if !DAYS.contains(&form.days.as_str()) {
        return Err(Refused::Form);
    }
    if form.list.len() > TEXT_BYTES {
        return Err(Refused::Wrong(format!(
            "A list of more than {} KiB is not judged here: use davy replay.",
            TEXT_BYTES >> 10
        )));
    }
    let busy =
        || Refused::Wrong("Somebody else has a list judged. Try again in a moment.".to_owned());
    let _turn = TURN.try_acquire().map_err(|_| busy())?;
    let text = form.list.clone();
    let built = tokio::task::spawn_blocking(move || built(&text)).await;
    let built = built.map_err(|error| Refused::Trouble(chain(&error)))?;
    let result = match built {
        Err(faults) => faulty(&faults),
        Ok((judge, warnings)) => {
            let look = look(&site, &viewer, &form, &judge).await?;
            html! {
                @if !warnings.is_empty() { details { summary { (warnings.len()) " remarks about the list" } ul.gaps { @for one in &warnings { li { (text::shown(one)) } } } } }
                (told(&viewer, &form, &look, judge.string_count()))
            }
        }
    };
    let body = html! {
        p.crumbs { a href="/blocklists" { "Blocklists" } " / a change" }
        h1 { "What a change would have killed" }
        (result)
        (self::form(&viewer, &form.list, &form.days))
    };
    Ok(frame::page(
        &viewer,
        Room::Blocklists,
        "A change of a blocklist",
        body,
    ))
}

fn built(text: &str) -> Result<(Judge, Vec<String>), Vec<String>> {
    let name = "the list";
    let sources = [Source { name, text }];
    let said = |problem: &Warning| {
        format!(
            "line {}, column {}: {problem}",
            problem.line(),
            problem.column()
        )
    };
    match blocklist::parse(&sources) {
        Err(faults) => Err(faults.faults().iter().map(said).collect()),
        Ok((list, _)) if list.banned_count() == 0 => Err(vec!["it bans nothing".to_owned()]),
        Ok((list, warnings)) => match Judge::new(&list) {
            Ok(judge) => Ok((judge, warnings.iter().map(said).collect())),
            Err(error) => Err(vec![chain(&error)]),
        },
    }
}

fn faulty(faults: &[String]) -> Markup {
    html! {
        section.flash.bad role="alert" {
            h2 { "It is no list that a guard would take" }
            ul.gaps { @for fault in faults.iter().take(FAULTS) { li { (text::shown(fault)) } } }
            @if faults.len() > FAULTS { p { "And " (faults.len() - FAULTS) " more." } }
        }
    }
}

async fn look(
    site: &Site,
    viewer: &Viewer,
    form: &ChangeForm,
    judge: &Judge,
) -> Result<Look, Refused> {
    let days: i64 = form.days.parse().map_err(|_| Refused::Form)?;
    let from = site
        .now()
        .checked_sub(SignedDuration::from_hours(24 * days));
    let filter = FindingFilter {
        from: Some(from.map_err(|_| Refused::Form)?),
        cluster: match viewer.scope.clusters() {
            [one] => Some(one.clone()),
            _ => None,
        },
        ..FindingFilter::default()
    };
    let mut look = Look::default();
    let mut at = At::first(PAGE_ROWS);
    at.cursor = (!form.at.is_empty()).then(|| form.at.clone());
    let begun = Instant::now();
    loop {
        let page = site.ledger().findings_in_full(&filter, &at).await?;
        for view in &page.items {
            if !viewer.scope.holds(&view.row.cluster) {
                continue;
            }
            look.looked_at += 1;
            let (became, why) = judged(judge, view);
            *look.counts.entry(became).or_default() += 1;
            let examples = look.examples.entry(became).or_default();
            if became.is_shown() && examples.len() < EXAMPLES {
                examples.push(Example {
                    finding: view.row.id,
                    user: view.row.hub_user.clone(),
                    command: became::command(view).unwrap_or_default().to_owned(),
                    why,
                });
            }
        }
        at.cursor = page.next;
        let is_enough = look.looked_at >= LOOKED_AT || begun.elapsed() > TIME;
        if at.cursor.is_none() || is_enough {
            look.next = at.cursor;
            return Ok(look);
        }
    }
}

fn told(viewer: &Viewer, form: &ChangeForm, look: &Look, strings: usize) -> Markup {
    let count = |became: Became| look.counts.get(&became).copied().unwrap_or(0);
    html! {
        section.card {
            p.lead {
                "Looked at " strong { (look.looked_at) } " findings of the last " (form.days) " days" @if form.before > 0 { ", behind the first " (form.before) }
                ", with " (word::count(i64::try_from(strings).unwrap_or(i64::MAX), "banned string", "banned strings")) "."
            }
            ul.plain { @for became in Became::ALL { li { span class=(became.class()) { (count(became)) } " " (became.words()) } } }
            @if look.next.is_some() {
                form.line method="post" action="/blocklists/change" {
                    (csrf(viewer))
                    input type="hidden" name="days" value=(form.days); input type="hidden" name="at" value=(look.next.as_deref().unwrap_or_default());
                    input type="hidden" name="before" value=(form.before + look.looked_at);
                    // A textarea keeps its lines, which a hidden field need not.
                    textarea.hidden name="list" aria-hidden="true" tabindex="-1" readonly { (form.list) }
                    span.warn { "There are older ones that were not looked at." } button { "Go on from here" }
                }
            } @else { p.muted { "There are no others in this time." } }
            p.muted { "These are command lines that something matched or was told about; what ran and matched nothing is not in the ledger. The environment of a process is not either." }
        }
        @for became in Became::ALL.into_iter().filter(|became| became.is_shown()) {
            @if let Some(examples) = look.examples.get(&became).filter(|examples| !examples.is_empty()) {
                section { h2 { (became.title()) } (table(became, examples)) @if count(became) > examples.len() { p.notice { (count(became) - examples.len()) " more are only counted." } } }
            }
        }
    }
}

fn table(became: Became, examples: &[Example]) -> Markup {
    let body = html! {
        @for one in examples {
            tr {
                th scope="row" { a href=(format!("/findings/{}", one.finding)) { code { (text::brief(&one.command)) } } }
                td data-label="User" { (text::or_none(&one.user)) }
                td data-label="Because of" { (text::brief(&one.why)) }
            }
        }
    };
    frame::table(
        became.title(),
        &["Command line", "User", "Because of"],
        body,
    )
}
