//! The score over the last runs, drawn on the server, with the numbers beside it.

use std::collections::BTreeMap;

use davylamp_ledger::query::{At, RunFilter};
use maud::{Markup, html};

use super::read;
use super::score::Score;
use crate::access::{Refused, Scope};
use crate::page::{asked, text, time};
use crate::site::Site;

/// Runs of the drawing.
const RUNS: u32 = 60;
const WIDTH: i64 = 640;
const HEIGHT: i64 = 150;
const LEFT: i64 = 34;
const TOP: i64 = 10;

/// A score after a run.
struct Point {
    at: i64,
    run: i64,
    target: String,
    percent: u64,
    unknown: u64,
}

pub(super) async fn show(site: &Site, scope: &Scope, target: &str) -> Result<Markup, Refused> {
    let filter = RunFilter {
        verb: Some("audit".to_owned()),
        target: asked::wanted(target),
        name: None,
    };
    let page = site.ledger().runs(&filter, &At::first(RUNS)).await?;
    let mut rows = page.items;
    rows.retain(|row| read::sees(scope, &row.target));
    rows.sort_by_key(|row| (row.ended, row.id));
    let (mut latest, mut points): (BTreeMap<(String, String), Score>, Vec<Point>) =
        Default::default();
    for row in &rows {
        let Some(score) = read::score(site, row.id).await? else {
            continue;
        };
        latest.insert((row.name.clone(), row.target.clone()), score);
        let mut all = Score::default();
        latest.values().for_each(|score| all.add(*score));
        if let Some(percent) = all.percent() {
            points.push(Point {
                at: row.ended,
                run: row.id,
                target: row.target.clone(),
                percent,
                unknown: all.unknown,
            });
        }
    }
    Ok(drawn(&points, page.next.is_some()))
}

fn drawn(points: &[Point], is_cut: bool) -> Markup {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return html! { p.muted { "There is no run whose score is known." } };
    };
    let (from, span) = (first.at, (last.at - first.at).max(1));
    let x = |at: i64| {
        let part = i128::from(at - from) * i128::from(WIDTH - LEFT - 10) / i128::from(span);
        LEFT + i64::try_from(part).unwrap_or(0)
    };
    let y = |percent: u64| TOP + HEIGHT - HEIGHT * i64::try_from(percent).unwrap_or(0) / 100;
    let path: Vec<String> = points
        .iter()
        .map(|point| format!("{},{}", x(point.at), y(point.percent)))
        .collect();
    html! {
        div.beside {
            div.scroll role="region" aria-label="Chart of the score" tabindex="0" {
                svg.trend role="img" aria-labelledby="trend-title trend-desc" width=(WIDTH) height=(TOP + HEIGHT + 24) viewBox=(format!("0 0 {WIDTH} {}", TOP + HEIGHT + 24)) {
                    title #trend-title { "The score over the last runs" }
                    desc #trend-desc { "From " (first.percent) " on " (time::exact(first.at)) " to " (last.percent) " on " (time::exact(last.at)) ". The table holds the numbers." }
                    @for percent in [0, 50, 100] { line.grid x1=(LEFT) x2=(WIDTH) y1=(y(percent)) y2=(y(percent)) {} text.axis x=(LEFT - 6) y=(y(percent) + 4) text-anchor="end" { (percent) } }
                    @if points.len() > 1 { polyline.trace points=(path.join(" ")) {} }
                    @for point in points { circle.dot cx=(x(point.at)) cy=(y(point.percent)) r="3.5" { title { (point.percent) ", " (time::exact(point.at)) } } }
                    text.axis x=(LEFT) y=(TOP + HEIGHT + 20) { (day(first.at)) }
                    @if points.len() > 1 { text.axis x=(WIDTH - 4) y=(TOP + HEIGHT + 20) text-anchor="end" { (day(last.at)) } }
                }
            }
            details { summary { "The same as a table" }
                div.scroll role="region" aria-label="Table of the score" tabindex="0" {
                    table.numbers-table {
                        caption.hidden { "The score after each run" }
                        thead { tr { th scope="col" { "Run ended (UTC)" } th scope="col" { "Of" } th scope="col" { "Score" } th scope="col" { "Unknown" } } }
                        tbody { @for point in points.iter().rev() { tr { th scope="row" { (time::exact(point.at)) " " span.muted { "run " (point.run) } } td { (text::brief(&point.target)) } td { (point.percent) } td { (point.unknown) } } } }
                    }
                }
            }
        }
        p.muted { "What is lived with counts as failed here: it was not known for each time." @if is_cut { " Runs before these are left out." } }
    }
}

fn day(us: i64) -> String {
    time::of(us).strftime("%Y-%m-%d").to_string()
}
