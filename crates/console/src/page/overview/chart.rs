//! Findings by hour and by what was done, drawn on the server.

use std::collections::BTreeMap;

use davylamp_ledger::Taken;
use davylamp_ledger::rows::TallyRow;
use maud::{Markup, html};

use crate::page::{time, word};

/// From the bottom up: what matters most has the steadiest ground.
const STACK: [Taken; 8] = word::LOUDEST;

const STEP: i64 = 20;
const BAR: i64 = 16;
const LEFT: i64 = 48;
const TOP: i64 = 20;
const HEIGHT: i64 = 160;
/// Hours between labels.
const LABEL_EVERY: i64 = 6;

pub(super) fn show(rows: &[TallyRow], first: i64, hours: i64) -> Markup {
    let mut table: BTreeMap<i64, BTreeMap<Taken, i64>> = BTreeMap::new();
    let mut totals: BTreeMap<Taken, i64> = BTreeMap::new();
    for row in rows {
        if let Some(taken) = Taken::named(&row.action) {
            *table.entry(row.hour).or_default().entry(taken).or_default() += row.n;
            *totals.entry(taken).or_default() += row.n;
        }
    }
    if totals.is_empty() {
        return html! { p.empty { "No finding came in these two days. That says nothing about nodes that were silent." } };
    }
    let tallest = table
        .values()
        .map(|hour| hour.values().sum())
        .max()
        .unwrap_or(1)
        .max(1);
    // Even, so that the line in the middle has a whole number.
    let scale = tallest + tallest % 2;
    let total: i64 = totals.values().sum();
    let width = LEFT + hours * STEP;
    let used: Vec<Taken> = STACK
        .into_iter()
        .filter(|taken| totals.contains_key(taken))
        .collect();
    html! {
        ul.legend { @for taken in &used { li { span class=(format!("swatch fill-{}", taken.as_str())) aria-hidden="true" {} " " (word::done(*taken)) " " strong { (totals[taken]) } } } }
        div.scroll role="region" aria-label="Chart of findings by hour" tabindex="0" {
            svg.chart role="img" aria-labelledby="chart-title chart-desc" width=(width) height=(TOP + HEIGHT + 24) viewBox=(format!("0 0 {width} {}", TOP + HEIGHT + 24)) {
                title #chart-title { "Findings by hour and by what was done" }
                desc #chart-desc { (total) " findings in " (hours) " hours; the most in one hour were " (tallest) ". The table below holds the numbers." }
                @for part in [0, 1, 2] {
                    @let y = TOP + HEIGHT - HEIGHT * part / 2;
                    line.grid x1=(LEFT) x2=(width) y1=(y) y2=(y) {}
                    text.axis x=(LEFT - 6) y=(y + 4) text-anchor="end" { (scale * part / 2) }
                }
                @for n in 0..hours {
                    @let x = LEFT + n * STEP;
                    @if let Some(hour) = table.get(&(first + n)) { (bar(hour, x, scale)) }
                    @if (first + n).rem_euclid(LABEL_EVERY) == 0 { text.axis x=(x) y=(TOP + HEIGHT + 18) { (label(first + n)) } }
                }
            }
        }
        details { summary { "The same as a table" } (numbers(&table, &used)) }
    }
}

fn bar(hour: &BTreeMap<Taken, i64>, x: i64, scale: i64) -> Markup {
    let mut y = TOP + HEIGHT;
    let mut parts = Vec::new();
    for taken in STACK {
        let n = hour.get(&taken).copied().unwrap_or(0);
        if n > 0 {
            // A single one is seen beside a thousand.
            let height = (HEIGHT * n / scale).max(2);
            y -= height;
            parts.push((taken, y, height));
        }
    }
    html! {
        @for (taken, y, height) in parts { rect class=(format!("fill-{}", taken.as_str())) x=(x) y=(y) width=(BAR) height=(height) {} }
        @if hour.contains_key(&Taken::Missed) { text.missed x=(x + BAR / 2) y=(y - 4) text-anchor="middle" { "▼" } }
    }
}

fn label(hour: i64) -> String {
    time::of(hour * 3_600_000_000).strftime("%H:%M").to_string()
}

fn numbers(table: &BTreeMap<i64, BTreeMap<Taken, i64>>, used: &[Taken]) -> Markup {
    html! {
        div.scroll role="region" aria-label="Table of findings by hour" tabindex="0" {
            table.numbers-table {
                caption.hidden { "Findings by hour; hours without any are left out" }
                thead { tr { th scope="col" { "Hour (UTC)" } @for taken in used { th scope="col" { (word::done(*taken)) } } } }
                tbody { @for (hour, counts) in table.iter().rev() {
                    tr { th scope="row" { (time::of(hour * 3_600_000_000).strftime("%Y-%m-%d %H:%M").to_string()) } @for taken in used { td { (counts.get(taken).copied().unwrap_or(0)) } } }
                } }
            }
        }
    }
}
