//! How it stands: what was missed, what was killed, what is open and whose it is.

mod chart;
mod waiting;

use std::collections::BTreeMap;

use axum::extract::State;
use davylamp_ledger::query::{
    At, Cost, FindingFilter, IncidentFilter, IncidentSort, NodeCounts, Standing,
};
use davylamp_ledger::rows::{IncidentRow, NOT_DUE, TallyRow};
use davylamp_ledger::{Ledger, Taken};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::frame::{self, Room};
use super::{asked, incidents, live, nodes, posture, soundness, text, time, word};
use crate::access::{Refused, Scope, Viewer};
use crate::site::Site;

/// Hours of the chart.
const HOURS: i64 = 48;
/// What was done in the last hour is counted up to so many.
const COUNTED: u32 = 500;
/// Rows of the small lists.
const SHOWN: usize = 5;
/// What was killed last.
const BLOWS: usize = 12;

/// What was done that somebody has to know of at once, the worst first.
const LOUD: [Taken; 3] = [Taken::Missed, Taken::WouldKill, Taken::Killed];

/// A number, and whether it is only the least that it can be.
#[derive(Debug, Clone, Copy)]
struct Count {
    n: i64,
    or_more: bool,
}

pub(super) async fn show(State(site): State<Site>, viewer: Viewer) -> Result<Markup, Refused> {
    let (ledger, now, scope) = (site.ledger(), site.now(), &viewer.scope);
    let hour_ago = now
        .saturating_sub(SignedDuration::from_hours(1))
        .unwrap_or(Timestamp::MIN);
    let mut hour = BTreeMap::new();
    for taken in LOUD {
        hour.insert(taken, last_hour(ledger, scope, taken, hour_ago).await?);
    }
    let first = now.as_second().div_euclid(3600) - (HOURS - 1);
    let from = Timestamp::from_second(first * 3600).unwrap_or(Timestamp::MIN);
    let mut hours = ledger.overview(from).await?.hours;
    hours.retain(|row| scope.holds(&row.cluster));
    let asked = scope.asked();
    let clusters = asked.as_deref();
    let open = ledger.standing(clusters).await?;
    let money = ledger.cost_in(clusters).await?;
    let due = due(ledger, scope).await?;
    let nodes = ledger
        .node_counts(clusters, nodes::silent_before(now))
        .await?;
    let (rows, head) = live::latest(&site, &viewer, live::Filter::BLOWS, BLOWS).await?;
    let shut = posture::brief(&site, scope).await?;
    let waits = waiting::of(&site, &viewer).await?;
    let stream = format!("/live/stream?show=blows&after={head}");
    let body = html! {
        (soundness::banner(&site).await?)
        div.title { h1 { "Overview" } p.muted { "as of " (time::clock(now.as_microsecond())) " UTC" } }
        div #numbers data-refresh { (numbers(&hour, &hours, first)) }
        div.columns #state data-refresh {
            (waits.show(now))
            (money_card(&money))
            (posture_card(&shut, now))
        }
        div.desk {
            div #standing data-refresh {
                (incidents_card(&open, scope, now))
                (clocks_card(&due, scope, now))
                (nodes_card(&nodes))
            }
            section.card {
                h2 { "The last kills" }
                (live::list(&stream, BLOWS, &rows, "/"))
            }
        }
        section.card #chart data-refresh { h2 { "The last two days" } (chart::show(&hours, first, HOURS)) }
    };
    Ok(frame::page(&viewer, Room::Overview, "Overview", body))
}

async fn last_hour(
    ledger: &Ledger,
    scope: &Scope,
    taken: Taken,
    from: Timestamp,
) -> Result<Count, Refused> {
    let filter = FindingFilter {
        from: Some(from),
        taken: Some(taken),
        clusters: scope.asked(),
        ..FindingFilter::default()
    };
    let n = ledger.count_findings(&filter, COUNTED).await?;
    Ok(Count {
        n: n.min(i64::from(COUNTED)),
        or_more: n > i64::from(COUNTED),
    })
}

async fn due(ledger: &Ledger, scope: &Scope) -> Result<Vec<IncidentRow>, Refused> {
    let filter = IncidentFilter {
        open: true,
        with_clock: true,
        clusters: scope.asked(),
        sort: IncidentSort::Due,
        ..IncidentFilter::default()
    };
    let at = At::first(u32::try_from(SHOWN).unwrap_or(1));
    Ok(ledger.incidents(&filter, &at).await?.items)
}

fn numbers(hour: &BTreeMap<Taken, Count>, hours: &[TallyRow], first: i64) -> Markup {
    let day_from = first + HOURS - 24;
    let day = |taken: Taken| -> i64 {
        let of_day = hours.iter().filter(|row| row.hour >= day_from);
        of_day
            .filter(|row| row.action == taken.as_str())
            .map(|row| row.n)
            .sum()
    };
    html! {
        ul.numbers aria-label="What was done" {
            @for taken in LOUD {
                @let (now, day) = (hour[&taken], day(taken));
                @let is_bad = taken != Taken::Killed && (now.n > 0 || day > 0);
                li.number.loud[is_bad && taken == Taken::Missed].warned[is_bad && taken == Taken::WouldKill] {
                    a href=(format!("/findings?action={}", taken.as_str())) {
                        span.name { (word::done(taken)) }
                        span.big { (now.n) @if now.or_more { "+" } }
                        span { "in the last hour" }
                        span { strong { (day) } " in 24 hours" }
                    }
                }
            }
        }
        @if LOUD[..2].iter().any(|taken| day(*taken) > 0) {
            p.flash.bad role="note" { strong { "Something ran that should not have." } " What was missed, or would have been killed by a guard that only observes, may still run." }
        }
    }
}

fn incidents_card(open: &Standing, scope: &Scope, now: Timestamp) -> Markup {
    html! {
        section.card {
            h2 { a href="/incidents" { "Open incidents" } " " span.total { (open.open()) } }
            ul.plain { @for severity in word::SEVERITIES {
                @let n = usize::try_from(davylamp_ledger::rows::severity_rank(severity)).map_or(0, |rank| open.severities[rank]);
                li { (word::severity(severity)) " " a href=(format!("/incidents?severity={}&sort=severity", severity.as_str())) { (n) } }
            } }
            h3 { "Without an owner, the oldest first " span.total { (open.without_owner) } }
            @if open.without_owner == 0 { p.muted { "Each has one." } }
            ul.plain { @for row in open.waiting.iter().take(SHOWN) { li { a href=(format!("/incidents/{}", row.id)) { "#" (row.id) " " (incidents::named(row, scope)) } " " span.muted { "opened " (time::ago(row.opened, now)) } } } }
            @if open.open() > 0 { h3 { "Who is on it" } }
            @if open.owners.is_empty() && open.open() > 0 { p.warn { "Nobody." } }
            ul.plain { @for (owner, n) in &open.owners { li { a href=(asked::address("/incidents", &[("owner", owner)])) { (text::brief(owner)) } " " (n) } } }
        }
    }
}

fn clocks_card(due: &[IncidentRow], scope: &Scope, now: Timestamp) -> Markup {
    html! {
        section.card {
            h2 { a href="/incidents?due=1&sort=due" { "Clocks" } }
            @if due.is_empty() { p.muted { "No clock runs." } }
            ul.plain { @for row in due.iter().filter(|row| row.due != NOT_DUE) {
                li { a href=(format!("/incidents/{}", row.id)) { "#" (row.id) " " (incidents::named(row, scope)) } " " (incidents::clock(row, now)) ", " span.muted { "owner " } (incidents::owner(row)) }
            } }
        }
    }
}

fn nodes_card(nodes: &NodeCounts) -> Markup {
    let (silent, troubled) = (nodes.silent, nodes.troubled);
    html! {
        section.card {
            h2 { a href="/nodes" { "Detectors" } " " span.total { (nodes.all) } }
            @if nodes.all == 0 { p.unknown { "No node has been heard of: nothing is known to be guarded." } }
            @else {
                ul.plain {
                    li { span.badge.loud[silent > 0] { (silent) } " " a href="/nodes?only=silent" { "silent" } }
                    li { span.badge.warn[troubled > 0] { (troubled) } " " a href="/nodes?only=troubled" { "with trouble" } }
                    li { span.badge { (nodes.all - silent - troubled) } " heard of" }
                }
                p.muted { "Canaries: " (nodes.escaped) " not caught, " (nodes.untried) " unknown. Events lost: " (nodes.lost_events) "." }
            }
        }
    }
}

fn money_card(burning: &Cost) -> Markup {
    html! {
        section.card {
            h2 { "Money burning now" }
            @if burning.known == 0 {
                p.figure.unknown { @if burning.unknown == 0 { "nothing is open" } @else { "unknown" } }
            } @else {
                p.figure { (word::usd(burning.per_hour_micro_usd)) " an hour" }
                @if burning.high_micro_usd > 0 { p { (word::usd(burning.low_micro_usd)) " to " (word::usd(burning.high_micro_usd)) " so far." } }
            }
            @if burning.unknown > 0 { p { "Of " (burning.unknown) " open incidents " @if burning.known > 0 { "more " } "nobody has said what they cost." } }
        }
    }
}

fn posture_card(shut: &posture::Brief, now: Timestamp) -> Markup {
    html! {
        section.card {
            h2 { a href="/posture" { "Posture" } }
            @match shut.percent {
                None => p.unknown { "Unknown: nothing has been audited." },
                Some(percent) => {
                    p.figure { (percent) span.muted { " of 100" } }
                    p { a href="/posture?verdict=fail#checks" { (shut.failed) " failed" } ", " a href="/posture?verdict=unknown#checks" { (shut.unknown) " unknown" } ", " (word::count(i64::try_from(shut.targets).unwrap_or(i64::MAX), "target", "targets")) "." }
                    @if let Some(oldest) = shut.oldest_us { p.muted { "The oldest audit ended " (time::ago(oldest, now)) "." } }
                }
            }
        }
    }
}
