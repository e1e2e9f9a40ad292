//! One check: what it wants, how to mend it, and what it came to on each resource.

use axum::extract::State;
use davylamp_model::verdict::Verdict;
use maud::{Markup, html};

use super::read::{self, One};
use super::{Filter, Wanted, risks, verdict};
use crate::access::{Refused, Role, Viewer};
use crate::page::asked::{self, Asked};
use crate::page::frame::{self, Room};
use crate::page::{list, text, time, word};
use crate::site::Site;

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    let filter = Filter::of(&wanted)?;
    let standing = read::standing(&site, &viewer.scope).await?;
    let of_check = |one: &One<'_>| one.outcome.check == wanted.check;
    // What is wanted and how to mend it stand with whatever failed, or else with any.
    let known: Vec<One<'_>> = standing.all().filter(of_check).collect();
    let model = known.iter().find(|one| one.is_bad()).or(known.first());
    let model = model.ok_or(Refused::Absent)?.outcome;
    let mut all: Vec<One<'_>> = known
        .iter()
        .copied()
        .filter(|one| filter.holds(one))
        .collect();
    all.sort_by_key(|one| {
        let saving = one.outcome.saving_micro_usd_month.unwrap_or(0);
        let rank = match one.outcome.verdict {
            _ if one.is_accepted => 2,
            Verdict::Fail => 0,
            Verdict::Unknown => 1,
            Verdict::Pass => 3,
        };
        (rank, -saving, std::cmp::Reverse(one.outcome.severity))
    });
    let (shown, next) = list::part(&all, &wanted.at)?;
    let to = |wanted: Wanted| asked::address("/posture/check", &wanted);
    let at = |at: &str| {
        to(Wanted {
            at: at.to_owned(),
            ..wanted.clone()
        })
    };
    let (next, first) = (
        next.as_deref().map(at),
        (!wanted.at.is_empty()).then(|| at("")),
    );
    let count = |is: &dyn Fn(&One<'_>) -> bool| known.iter().filter(|one| is(one)).count();
    let title = if model.title.is_empty() {
        &model.check
    } else {
        &model.title
    };
    let body = html! {
        p.crumbs { a href="/posture" { "Posture" } " / " (text::brief(&model.check)) }
        @if let Some(said) = risks::said(&wanted.done) { p.flash role="status" { (said) } }
        h1 { (text::shown(title)) }
        p.line {
            (word::severity(model.severity))
            span { (count(&|one| one.outcome.verdict == Verdict::Fail && !one.is_accepted)) " failed" }
            span { (count(&|one| one.outcome.verdict == Verdict::Unknown && !one.is_accepted)) " unknown" }
            span { (count(&|one| one.is_accepted)) " lived with" }
            span { (count(&|one| one.outcome.verdict == Verdict::Pass)) " passed" }
        }
        section.card { h2 { "What to do" } @if model.remedy.is_empty() { p.muted { "Its audit does not say." } } @else { (text::lines(&model.remedy)) } }
        section {
            h2 { "Resources" }
            nav.tabs aria-label="Which of them" {
                @for (value, words) in [("", "Failed or unknown"), ("accepted", "Lived with"), ("pass", "Passed"), ("any", "All")] {
                    a href=(to(Wanted { verdict: value.to_owned(), at: String::new(), ..wanted.clone() })) aria-current=[(wanted.verdict == value).then_some("true")] { (words) }
                }
            }
            (table(&viewer, shown, &site))
            (list::pager(first.as_deref(), next.as_deref()))
        }
    };
    Ok(frame::page(&viewer, Room::Posture, "Check", body))
}

fn table(viewer: &Viewer, all: &[One<'_>], site: &Site) -> Markup {
    if all.is_empty() {
        return html! { p.empty { "No resource here fits." } };
    }
    let now = site.now();
    let body = html! {
        @for (n, one) in all.iter().enumerate() {
            @let outcome = one.outcome;
            tr {
                th scope="row" { (text::brief(&outcome.resource)) }
                td data-label="Target" { (text::brief(&one.row.target)) }
                td data-label="Verdict" { (verdict(one)) }
                td data-label="Why" { (text::prose(&outcome.why)) }
                td data-label="Saves" { @match outcome.saving_micro_usd_month { Some(saving) => { "up to " (word::usd(saving)) }, None => span.muted { "not known" } } }
                td data-label="Audited" { (time::ago(one.row.ended, now)) }
                td data-label="Lived with" {
                    (risks::state(one.risk, now))
                    @if viewer.may(Role::Responder) && one.is_bad() { (risks::form(viewer, one, n)) }
                }
            }
        }
    };
    let heads = [
        "Resource",
        "Target",
        "Verdict",
        "Why",
        "Saves a month",
        "Audited",
        "Lived with",
    ];
    frame::table("Resources", &heads, body)
}
