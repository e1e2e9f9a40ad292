//! Runs of the same kind as lines, and lines as a cost.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::prices::book::{Asked, Book, Quote};
use davylamp_content::prices::kind::{Market, System};
use davylamp_content::prices::sheet::{FARGATE_GB, FARGATE_VCPU, Rate};
use jiff::Timestamp;

use super::hours::{Seconds, seconds};
use super::{EC2, End, FARGATE, Run, Size};
use crate::case::{Cost, CostLine, EvidenceId, Span, Statement};

const HOUR_SECONDS: u128 = 3600;

/// So many records stand beside a caveat.
const MAX_CITED: usize = 20;

/// So many types are named in one.
const MAX_TYPES: usize = 5;

/// What makes runs one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    service: String,
    item: String,
    size: Option<Size>,
    region: Option<String>,
    market: Market,
    system: System,
}

/// The runs of a line, added up.
#[derive(Default)]
struct Sum {
    ids: BTreeSet<String>,
    running: BTreeSet<String>,
    low: u128,
    likely: u128,
    high: u128,
    span: Option<Span>,
    has_unknown_start: bool,
    evidence: BTreeSet<EvidenceId>,
}

/// What has a price that stands in for another.
#[derive(Default)]
struct StandIn {
    counts: BTreeMap<String, u64>,
    evidence: BTreeSet<EvidenceId>,
}

pub(super) fn reckon(runs: &[Run], book: &Book, now: Timestamp) -> Cost {
    let mut sums: BTreeMap<Kind, Sum> = BTreeMap::new();
    for run in runs {
        let sum = sums.entry(kind(run)).or_default();
        sum.add(run, seconds(run, now), now);
    }
    let mut cost = Cost::default();
    let mut sources = BTreeSet::new();
    let mut stand_ins: BTreeMap<String, StandIn> = BTreeMap::new();
    for (kind, sum) in &sums {
        let quote = quote(kind, book);
        if let Ok(quote) = &quote {
            sources.extend(quote.sources.iter().cloned());
            if quote.is_open {
                let of_basis = stand_ins.entry(quote.basis.clone()).or_default();
                let count = sum.ids.len() as u64;
                *of_basis.counts.entry(kind.item.clone()).or_default() += count;
                of_basis.evidence.extend(&sum.evidence);
            }
        }
        let line = line(kind, sum, &quote);
        cost.is_open |= line.is_open;
        cost.low_micro_usd = plus(cost.low_micro_usd, line.low_micro_usd);
        cost.likely_micro_usd = plus(cost.likely_micro_usd, line.likely_micro_usd);
        cost.high_micro_usd = plus(cost.high_micro_usd, line.high_micro_usd);
        let burn = line
            .micro_usd_hour
            .map(|price| times(price, sum.running.len() as u64));
        cost.burn_micro_usd_hour = plus(cost.burn_micro_usd_hour, burn);
        cost.lines.push(line);
    }
    cost.basis = sources.into_iter().collect();
    if !runs.is_empty() {
        cost.basis.push(
            "billed by the second and for a minute at least from each start, SUSE by the hour: \
             aws.amazon.com/ec2/pricing/on-demand"
                .to_owned(),
        );
    }
    cost.runs = runs.to_vec();
    cost.runs.sort_by(|one, other| one.id.cmp(&other.id));
    cost.caveats = caveats(runs, &cost.lines, stand_ins, now);
    let by_money = |line: &CostLine| std::cmp::Reverse(line.likely_micro_usd);
    cost.lines.sort_by_key(by_money);
    cost
}

fn kind(run: &Run) -> Kind {
    let item = match (&run.instance_type, run.size) {
        (Some(instance_type), _) => instance_type.clone(),
        (None, Some(size)) => format!(
            "{} vCPU, {} GiB",
            f64::from(size.milli_vcpus) / 1000.0,
            f64::from(size.mib) / 1024.0
        ),
        (None, None) => "unknown".to_owned(),
    };
    Kind {
        service: run.service.clone(),
        item,
        size: run.size,
        region: run.region.clone(),
        market: run.market,
        system: run.system,
    }
}

impl Sum {
    fn add(&mut self, run: &Run, seconds: Seconds, now: Timestamp) {
        self.ids.insert(run.id.clone());
        // One that was stopped and started again runs once.
        if run.is_running() {
            self.running.insert(run.id.clone());
        }
        self.low += u128::from(seconds.low);
        self.likely += u128::from(seconds.likely);
        self.high += u128::from(seconds.high);
        self.has_unknown_start |= run.started.earliest.is_none();
        self.evidence.extend(&run.evidence);
        let first = run.started.earliest.unwrap_or(run.started.latest);
        let last = match run.is_running() {
            true => now.max(run.last_known()),
            false => run.last_known(),
        };
        let span = self.span.get_or_insert(Span { first, last });
        span.first = span.first.min(first);
        span.last = span.last.max(last);
    }
}

fn quote(kind: &Kind, book: &Book) -> Result<Quote, String> {
    let of = |instance_type| {
        book.quote(Asked {
            instance_type,
            region: kind.region.as_deref(),
            market: kind.market,
            system: kind.system,
        })
    };
    match (kind.service.as_str(), kind.item.as_str(), kind.size) {
        (EC2, "unknown", _) => Err("its type is not known".to_owned()),
        (EC2, instance_type, _) => of(instance_type),
        (FARGATE, _, Some(size)) => match (of(FARGATE_VCPU), of(FARGATE_GB)) {
            (Ok(vcpu), Ok(gb)) => Ok(container(size, vcpu, gb)),
            _ => Err(
                "it is billed by processors and memory, and no table has their prices".to_owned(),
            ),
        },
        (service, ..) => Err(format!("no table has prices of {service}")),
    }
}

/// The price of a container of its size.
fn container(size: Size, vcpu: Quote, gb: Quote) -> Quote {
    let price = |of: fn(&Quote) -> u64| {
        let vcpus = u128::from(of(&vcpu)) * u128::from(size.milli_vcpus) / 1000;
        let memory = u128::from(of(&gb)) * u128::from(size.mib) / 1024;
        u64::try_from(vcpus + memory).unwrap_or(u64::MAX)
    };
    Quote {
        rate: Rate {
            low: price(|quote| quote.rate.low),
            usual: price(|quote| quote.rate.usual),
            high: price(|quote| quote.rate.high),
        },
        is_open: vcpu.is_open || gb.is_open,
        basis: format!("that of its processors and memory: {}", vcpu.basis),
        sources: vcpu.sources.into_iter().chain(gb.sources).collect(),
    }
}

fn line(kind: &Kind, sum: &Sum, quote: &Result<Quote, String>) -> CostLine {
    let money = |seconds: u128, price: fn(&Quote) -> u64, rounding: u128| {
        let quote = quote.as_ref().ok()?;
        let micros = seconds.saturating_mul(u128::from(price(quote)));
        let micros = micros.saturating_add(rounding) / HOUR_SECONDS;
        Some(i64::try_from(micros).unwrap_or(i64::MAX))
    };
    let micro_usd_hour = quote
        .as_ref()
        .ok()
        .map(|quote| i64::try_from(quote.rate.usual).unwrap_or(i64::MAX));
    CostLine {
        service: kind.service.clone(),
        item: kind.item.clone(),
        region: kind.region.clone().unwrap_or_else(|| "unknown".to_owned()),
        market: kind.market.as_str().to_owned(),
        system: kind.system.as_str().to_owned(),
        count: sum.ids.len() as u64,
        running: sum.running.len() as u64,
        low_hours: hours(sum.low),
        likely_hours: hours(sum.likely),
        high_hours: hours(sum.high),
        span: sum.span,
        micro_usd_hour,
        low_micro_usd: money(sum.low, |quote| quote.rate.low, 0),
        likely_micro_usd: money(sum.likely, |quote| quote.rate.usual, HOUR_SECONDS / 2),
        high_micro_usd: money(sum.high, |quote| quote.rate.high, HOUR_SECONDS - 1),
        is_open: sum.has_unknown_start || quote.as_ref().map_or(true, |quote| quote.is_open),
        basis: match quote {
            Ok(quote) => quote.basis.clone(),
            Err(why) => format!("not counted: {why}"),
        },
        ids: sum.ids.iter().cloned().collect(),
        evidence: sum.evidence.iter().copied().collect(),
    }
}

/// Hours with two digits after the point.
fn hours(seconds: u128) -> f64 {
    (seconds as f64 / 36.0).round() / 100.0
}

fn plus(sum: i64, more: Option<i64>) -> i64 {
    sum.saturating_add(more.unwrap_or(0))
}

fn times(price: i64, count: u64) -> i64 {
    price.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX))
}

/// What makes the real cost another one.
fn caveats(
    runs: &[Run],
    lines: &[CostLine],
    stand_ins: BTreeMap<String, StandIn>,
    now: Timestamp,
) -> Vec<Statement> {
    let mut told = Vec::new();
    for line in lines.iter().filter(|line| line.micro_usd_hour.is_none()) {
        let (count, item, region) = (line.count, &line.item, &line.region);
        told.push(Statement {
            text: format!(
                "{count} of {} {item} in {region}, for {} hours, {}",
                line.service, line.likely_hours, line.basis
            ),
            evidence: line.evidence.iter().copied().take(MAX_CITED).collect(),
        });
    }
    for (basis, priced) in stand_ins {
        let items: Vec<String> = priced
            .counts
            .iter()
            .take(MAX_TYPES)
            .map(|(item, count)| format!("{count} {item}"))
            .collect();
        let more = match priced.counts.len().saturating_sub(MAX_TYPES) {
            0 => String::new(),
            more => format!(" and {more} other types"),
        };
        told.push(Statement {
            text: format!(
                "the price of {}{more} is {basis}: the real cost may lie outside the range",
                items.join(", ")
            ),
            evidence: priced.evidence.into_iter().take(MAX_CITED).collect(),
        });
    }
    let about = |text: fn(usize) -> String, is: &dyn Fn(&Run) -> bool| {
        let these: Vec<&Run> = runs.iter().filter(|run| is(run)).collect();
        (!these.is_empty()).then(|| Statement {
            text: text(these.len()),
            evidence: cited(&these),
        })
    };
    told.extend(about(
        |count| {
            format!(
                "{count} ran before they were first seen, and nothing says since when; only the time \
                 since is counted"
            )
        },
        &|run| run.started.earliest.is_none(),
    ));
    told.extend(about(
        |count| {
            format!(
                "of {count} nobody knows whether they still run: at most they ran until now, and half \
                 of that is taken as likely"
            )
        },
        &|run| matches!(run.ended, End::Unknown { .. }),
    ));
    told.extend(about(
        |count| format!("{count} still run, as far as is known, and are counted until now"),
        &|run| run.is_running() && run.last_known() <= now,
    ));
    told.extend(about(
        |count| {
            format!(
                "{count} ended before they began, by what is known, and are counted as nothing"
            )
        },
        &|run| matches!(&run.ended, End::At(ended) if ended.latest < run.started.earliest.unwrap_or(run.started.latest)),
    ));
    told.extend(about(
        |count| {
            format!(
                "{count} are spot instances: one that AWS itself interrupts in its first hour costs \
                 nothing for it"
            )
        },
        &|run| run.market == Market::Spot,
    ));
    if !runs.is_empty() {
        let never = "volumes, snapshots, addresses and traffic are not counted; nor are discounts, \
                     savings plans, reservations, credits and taxes: prices are those of the list";
        told.push(Statement {
            text: never.to_owned(),
            evidence: Vec::new(),
        });
    }
    told
}

fn cited(runs: &[&Run]) -> Vec<EvidenceId> {
    let all: BTreeSet<EvidenceId> = runs
        .iter()
        .flat_map(|run| run.evidence.iter().copied())
        .collect();
    all.into_iter().take(MAX_CITED).collect()
}
