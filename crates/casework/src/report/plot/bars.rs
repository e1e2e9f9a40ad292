//! Parts of a whole, and a range.

use maud::{Markup, html};

use super::{figure, n};
use crate::case::{Cost, Innocence};
use crate::report::word;

const WIDTH: f64 = 640.0;
const BAR: f64 = 22.0;

/// Whose hand the acts in somebody's name were.
pub(in crate::report) fn acts(one: &Innocence) -> Markup {
    let parts = [
        ("own", "its own", one.own_acts),
        ("others", "by the intruder", one.others_acts),
        ("nobody", "nobody can say", one.unknown_acts),
    ];
    let all: u64 = parts.iter().map(|(.., n)| *n).fold(0, u64::saturating_add);
    if all == 0 {
        return html! {};
    }
    let mut x = 0.0;
    let placed: Vec<_> = parts
        .into_iter()
        .map(|(class, what, count)| {
            let from = x;
            x += WIDTH * count as f64 / all as f64;
            (class, what, count, from, x - from)
        })
        .collect();
    let about: Vec<String> = placed
        .iter()
        .map(|(_, what, count, ..)| format!("{what}: {}", word::number(*count)))
        .collect();
    let about = about.join("; ");
    let inside = html! {
        @for (class, what, count, x, width) in &placed {
            @if *count > 0 {
                rect class={ "bar " (class) } x=(n(*x)) y="1" width=(n(width.max(2.0))) height=(n(BAR)) {
                    title { (what) ": " (word::number(*count)) }
                }
            }
        }
        @for (at, (class, what, count, ..)) in placed.iter().enumerate() {
            @let x = 214.0 * at as f64;
            rect class={ "bar " (class) } x=(n(x + 1.0)) y="33" width="12" height="12" {}
            text x=(n(x + 19.0)) y="43" { (what) ": " (word::number(*count)) }
        }
    };
    figure(
        "figure narrow",
        "Acts in its name",
        &about,
        WIDTH + 2.0,
        50.0,
        &inside,
    )
}

/// From how much to how much, what is likely, and what the bill says.
pub(in crate::report) fn money(cost: &Cost) -> Markup {
    let billed = cost.billed.as_ref().map(|billed| billed.micro_usd);
    let most = [
        Some(cost.high_micro_usd),
        billed,
        Some(cost.likely_micro_usd),
    ];
    let most = most.into_iter().flatten().max().unwrap_or_default();
    if most <= 0 {
        return html! {};
    }
    let (left, width) = (10.0, WIDTH - 20.0);
    let place = |micros: i64| left + width * (micros.max(0) as f64 / (most as f64 * 1.05));
    let (low, high) = (place(cost.low_micro_usd), place(cost.high_micro_usd));
    let likely = place(cost.likely_micro_usd);
    let range = word::usd_range(cost.low_micro_usd, cost.high_micro_usd);
    let mut about = format!("{range}, likely {}", word::usd(cost.likely_micro_usd));
    if let Some(billed) = billed {
        about.push_str(&format!("; billed {}", word::usd(billed)));
    }
    let anchor = |x: f64| match x {
        x if x < 120.0 => "start",
        x if x > WIDTH - 120.0 => "end",
        _ => "middle",
    };
    let inside = html! {
        line.rule x1=(n(left)) y1="46" x2=(n(left + width)) y2="46" {}
        rect.range x=(n(low)) y="28" width=(n((high - low).max(3.0))) height="18" { title { (range) } }
        line.needle x1=(n(likely)) y1="24" x2=(n(likely)) y2="50" {}
        text.strong x=(n(likely)) y="16" text-anchor=(anchor(likely)) { "likely " (word::usd(cost.likely_micro_usd)) }
        text.small x=(n(left)) y="64" { "$0" }
        text.small x=(n(high)) y="64" text-anchor=(anchor(high)) { "at most " (word::usd(cost.high_micro_usd)) }
        @if let Some(billed) = billed {
            @let x = place(billed);
            polygon.billed points=(format!("{0:.1},47 {1:.1},60 {2:.1},60", x, x - 7.0, x + 7.0)) {}
            text x=(n(x)) y="76" text-anchor=(anchor(x)) { "billed " (word::usd(billed)) }
        }
    };
    figure(
        "figure narrow",
        "What it cost",
        &about,
        WIDTH,
        82.0,
        &inside,
    )
}
