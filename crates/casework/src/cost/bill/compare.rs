//! A bill beside an estimate: what the bill knows better, and how far the two are from each other.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::prices::book::Book;
use davylamp_content::prices::kind::{Market, System};
use jiff::Timestamp;

use super::money::{Pico, micros};
use super::row::Class;
use super::{Bill, Kind, Usage};
use crate::case::{Billed, BilledLine, Span, Statement};
use crate::cost::{Bounds, End, Run, reckon};

/// Puts what a bill says of runs in the place of what records say. Where the two differ, that is told.
pub fn fill(runs: &mut [Run], bill: &Bill) -> Vec<Statement> {
    let mut told = Vec::new();
    for run in runs {
        let Some(thing) = bill.things.get(&run.id) else {
            continue;
        };
        let mut differs = |what: &str, before: &str, now: &str| {
            told.push(Statement {
                text: format!(
                    "the bill says {now} for the {what} of {}, the records {before}",
                    run.id
                ),
                evidence: run.evidence.clone(),
            });
        };
        if thing.market != Market::Unknown {
            if run.market != Market::Unknown && run.market != thing.market {
                differs("market", run.market.as_str(), thing.market.as_str());
            }
            run.market = thing.market;
        }
        if thing.system != System::Unknown {
            let is_known = !matches!(run.system, System::Unknown | System::NotWindows)
                || (run.system == System::NotWindows && thing.system == System::Windows);
            if is_known && run.system != thing.system {
                differs("system", run.system.as_str(), thing.system.as_str());
            }
            run.system = thing.system;
        }
        for (what, known, billed) in [
            ("type", &mut run.instance_type, &thing.instance_type),
            ("region", &mut run.region, &thing.region),
        ] {
            match (known.as_deref(), billed.as_deref()) {
                (None, Some(billed)) => *known = Some(billed.to_owned()),
                (Some(said), Some(billed)) if said != billed => differs(what, said, billed),
                _ => {}
            }
        }
    }
    told
}

/// What a bill says of the things in a case, and how far the estimate for the same things and the same
/// time is from it. Things without a run, such as volumes, may be among those wanted.
pub fn billed(bill: &Bill, wanted: &BTreeSet<String>, runs: &[Run], book: &Book) -> Billed {
    let spans = bill.things.values().filter_map(|thing| thing.span);
    let span = spans.reduce(|one, other| Span {
        first: one.first.min(other.first),
        last: one.last.max(other.last),
    });
    let total: Pico = bill.things.values().map(super::Thing::cost).sum();
    let missing: Vec<String> = wanted
        .iter()
        .filter(|id| !bill.things.contains_key(*id))
        .cloned()
        .collect();
    let mut apart: BTreeMap<Class, Pico> = BTreeMap::new();
    for (class, amount) in bill.things.values().flat_map(|thing| &thing.apart) {
        apart.entry(*class).or_default().add(*amount);
    }
    Billed {
        micro_usd: micros(total),
        span,
        statement: Statement {
            text: said(bill, span, &missing, runs, book),
            evidence: Vec::new(),
        },
        missing,
        lines: lines(bill),
        apart: apart
            .into_iter()
            .map(|(class, amount)| (class.as_str().to_owned(), micros(amount)))
            .collect(),
        unread: unread(bill),
    }
}

fn lines(bill: &Bill) -> Vec<BilledLine> {
    let mut sums: BTreeMap<&Kind, (u64, Usage)> = BTreeMap::new();
    for (kind, usage) in bill.things.values().flat_map(|thing| &thing.usage) {
        let (count, sum) = sums.entry(kind).or_default();
        *count += 1;
        sum.amount += usage.amount;
        sum.cost.add(usage.cost);
    }
    let mut lines: Vec<BilledLine> = sums
        .into_iter()
        .map(|(kind, (count, usage))| BilledLine {
            usage_type: kind.usage_type.clone(),
            region: kind.region.clone(),
            market: kind.market.to_owned(),
            system: kind.system.to_owned(),
            count,
            amount: usage.amount,
            micro_usd: micros(usage.cost),
        })
        .collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.micro_usd));
    lines
}

fn said(bill: &Bill, span: Option<Span>, missing: &[String], runs: &[Run], book: &Book) -> String {
    let Some(span) = span else {
        return format!(
            "the bill has no line about any of {} things; it lags by up to a day, and a report without \
             resource ids has none",
            missing.len()
        );
    };
    let things = bill.things.values();
    let hours: Pico = things
        .clone()
        .flat_map(|thing| &thing.usage)
        .filter(|(kind, _)| kind.is_hours)
        .map(|(_, usage)| usage.cost)
        .sum();
    let all: Pico = things.clone().map(super::Thing::cost).sum();
    let rest = micros(Pico(all.0.saturating_sub(hours.0)));
    let mut text = format!(
        "the bill has {} for {} of {} things, from {} to {}",
        usd(micros(all)),
        bill.things.len(),
        bill.things.len() + missing.len(),
        span.first,
        span.last
    );
    if rest != 0 {
        let rest = usd(rest);
        text.push_str(&format!(
            ", {rest} of it for traffic, volumes and the like, which an estimate leaves out"
        ));
    }
    let same: Vec<Run> = runs
        .iter()
        .filter(|run| bill.things.contains_key(&run.id))
        .map(|run| until(run, span.last))
        .collect();
    if !same.is_empty() {
        text.push_str(&distance(micros(hours), &same, book, span.last));
    }
    let covered: f64 = things.map(|thing| thing.covered_hours).sum();
    if covered > 0.0 {
        text.push_str(&format!(
            "; {covered:.0} hours of it were paid for by reservations or savings plans, and stand there \
             with less or nothing"
        ));
    }
    if !missing.is_empty() {
        let count = missing.len();
        text.push_str(&format!(
            "; {count} are not in it, which lags by up to a day"
        ));
    }
    text
}

/// How far the estimate is from what the bill says of the same hours.
fn distance(billed: i64, runs: &[Run], book: &Book, by: Timestamp) -> String {
    let cost = reckon(runs, book, by);
    let (low, likely, high) = (
        cost.low_micro_usd,
        cost.likely_micro_usd,
        cost.high_micro_usd,
    );
    let percent = |of: i64| 100.0 * (billed - of).unsigned_abs() as f64 / (of.max(1)) as f64;
    let verdict = match billed {
        billed if billed < low => format!("{:.0} % below the least of it", percent(low)),
        billed if billed > high => format!("{:.0} % above the most of it", percent(high)),
        _ => format!("within it, {:.0} % from the likely", percent(likely)),
    };
    format!(
        "; the estimate for the same hours is {} to {}, likely {}: the bill is {verdict}",
        usd(low),
        usd(high),
        usd(likely)
    )
}

/// A run as far as a bill goes.
fn until(run: &Run, by: Timestamp) -> Run {
    let cut = |bounds: Bounds| Bounds {
        earliest: bounds.earliest.map(|at| at.min(by)),
        latest: bounds.latest.min(by),
    };
    let mut run = run.clone();
    run.ended = match run.ended {
        End::At(bounds) => End::At(cut(bounds)),
        End::RunsAt(at) => End::RunsAt(at.min(by)),
        End::Unknown { why, last_known } => End::Unknown {
            why,
            last_known: last_known.min(by),
        },
    };
    run
}

fn unread(bill: &Bill) -> Vec<String> {
    let mut told = Vec::new();
    if bill.malformed > 0 {
        told.push(format!("{} lines could not be read", bill.malformed));
        told.extend(bill.faults.iter().cloned());
    }
    if bill.repeated > 0 {
        told.push(format!(
            "{} lines are in more than one file, and are counted once",
            bill.repeated
        ));
    }
    if bill.differing > 0 {
        told.push(format!(
            "{} lines are in more than one file with different amounts, and all of them are counted: \
             bring one version of each report",
            bill.differing
        ));
    }
    told
}

/// Millionths of a dollar as dollars and cents.
pub fn usd(micro_usd: i64) -> String {
    let cents = (micro_usd.unsigned_abs() + 5_000) / 10_000;
    let sign = if micro_usd < 0 { "-" } else { "" };
    let digits = (cents / 100).to_string();
    let mut whole = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            whole.push(',');
        }
        whole.push(digit);
    }
    format!("{sign}${whole}.{:02}", cents % 100)
}
