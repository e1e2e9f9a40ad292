//! What the intruder made and the records behind it, for spreadsheets.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::unauthorised;
use crate::case::{Case, CostLine, Existence, Touched};
use crate::cost::{End, Run, Seconds, seconds};
use crate::report::evidence::Chained;
use crate::report::{sheet, word};

const RESOURCES: [&str; 16] = [
    "account",
    "region",
    "kind",
    "id",
    "type",
    "start",
    "end",
    "end_is",
    "hours_low",
    "hours_likely",
    "hours_high",
    "cost_usd_low",
    "cost_usd_likely",
    "cost_usd_high",
    "cost_is",
    "exists",
];

/// Names under which a thing's details say what type it is.
const TYPES: [&str; 3] = ["type", "InstanceType", "instance_type"];

/// A line for each thing that the intruder made, and for each that ran for it and is in no list of things.
pub(super) fn resources(case: &Case) -> String {
    let mut text = sheet::line(RESOURCES);
    let prices = Prices::of(case);
    for thing in unauthorised(case) {
        text.push_str(&sheet::line(prices.row(&thing.id, Some(thing))));
    }
    let known: Vec<&str> = case.reach.iter().map(|one| one.id.as_str()).collect();
    for run in prices.runs.values() {
        if !known.contains(&run.id.as_str()) {
            text.push_str(&sheet::line(prices.row(&run.id, None)));
        }
    }
    text
}

/// What ran, and the lines of the estimate it is part of.
struct Prices<'a> {
    runs: BTreeMap<&'a str, &'a Run>,
    lines: BTreeMap<&'a str, &'a CostLine>,
    now: Timestamp,
}

impl<'a> Prices<'a> {
    fn of(case: &'a Case) -> Self {
        let cost = case.cost.iter();
        let runs = cost.clone().flat_map(|cost| &cost.runs);
        let lines = cost.flat_map(|cost| &cost.lines);
        let last = case.span.map(|span| span.last);
        Self {
            runs: runs.map(|run| (run.id.as_str(), run)).collect(),
            lines: lines
                .flat_map(|line| line.ids.iter().map(move |id| (id.as_str(), line)))
                .collect(),
            now: case.asked.made_at.or(last).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    fn row(&self, id: &str, thing: Option<&Touched>) -> [String; 16] {
        let (run, line) = (self.runs.get(id).copied(), self.lines.get(id).copied());
        let own = |of: fn(&Touched) -> Option<&String>, or: Option<&String>| {
            thing.and_then(of).or(or).cloned().unwrap_or_default()
        };
        let (end, end_is, exists) = ended(run, thing);
        let started = run.map(|run| run.started.earliest.unwrap_or(run.started.latest));
        let started = started.or(thing.map(|thing| thing.span.first));
        let ran = run.map(|run| seconds(run, self.now));
        let hours = |of: fn(Seconds) -> u64| {
            let hours = ran.map(|ran| of(ran) as f64 / 3_600.0);
            hours.map_or_else(String::new, |hours| format!("{hours:.2}"))
        };
        let share = |total: Option<i64>, of: fn(Seconds) -> u64| {
            word::dollars(total.and_then(|total| self.share(line?, total, ran, of)))
        };
        let is = match line {
            Some(CostLine {
                likely_micro_usd: None,
                ..
            })
            | None => "no price".to_owned(),
            Some(line) if line.count > 1 => format!(
                "estimate: a share of {} of one type in one region",
                word::number(line.count)
            ),
            Some(_) => "estimate".to_owned(),
        };
        [
            own(
                |one| one.account.as_ref(),
                run.and_then(|run| run.account.as_ref()),
            ),
            own(
                |one| one.region.as_ref(),
                run.and_then(|run| run.region.as_ref()),
            ),
            own(|one| Some(&one.kind), run.map(|run| &run.service)),
            id.to_owned(),
            kind(run, line, thing),
            started.map_or_else(String::new, word::exact),
            end.map_or_else(String::new, word::exact),
            end_is.to_owned(),
            hours(|ran| ran.low),
            hours(|ran| ran.likely),
            hours(|ran| ran.high),
            share(line.and_then(|line| line.low_micro_usd), |ran| ran.low),
            share(line.and_then(|line| line.likely_micro_usd), |ran| {
                ran.likely
            }),
            share(line.and_then(|line| line.high_micro_usd), |ran| ran.high),
            is,
            exists.to_owned(),
        ]
    }

    /// A line of the estimate has one price an hour: each thing in it has the share that its hours are, or an
    /// even one where nobody knows when they ran.
    fn share(
        &self,
        line: &CostLine,
        total: i64,
        ran: Option<Seconds>,
        of: fn(Seconds) -> u64,
    ) -> Option<i64> {
        let all = line.ids.iter();
        let all: Option<Vec<u64>> = all
            .map(|id| Some(of(seconds(self.runs.get(id.as_str())?, self.now))))
            .collect();
        let (part, whole) = match (ran, all) {
            (Some(ran), Some(all)) => (of(ran), all.iter().sum()),
            _ => (1, line.count),
        };
        let share = i128::from(total) * i128::from(part) / i128::from(whole.max(1));
        i64::try_from(share).ok()
    }
}

/// When it ended, as far as is known, what that moment is, and whether it still exists.
fn ended(
    run: Option<&Run>,
    thing: Option<&Touched>,
) -> (Option<Timestamp>, &'static str, &'static str) {
    let exists = thing.map(|thing| word::exists(&thing.exists));
    if let Some(run) = run {
        let (end, end_is, runs) = match &run.ended {
            End::At(bounds) => (bounds.latest, "ended by then", "no"),
            End::RunsAt(at) => (*at, "ran then, the last that is known", "yes"),
            End::Unknown { last_known, .. } => (*last_known, "the last sign of it", "unknown"),
        };
        return (Some(end), end_is, exists.unwrap_or(runs));
    }
    match thing.map(|thing| &thing.exists) {
        Some(Existence::GoneBy(at)) => (Some(*at), "gone by then", "no"),
        Some(Existence::At(at)) => (Some(*at), "there then, the last that is known", "yes"),
        Some(Existence::Unknown(_)) | None => (None, "unknown", "unknown"),
    }
}

/// The type of a thing, wherever that is said.
fn kind(run: Option<&Run>, line: Option<&CostLine>, thing: Option<&Touched>) -> String {
    let detail = thing.and_then(|thing| {
        let mut details = thing.details.iter();
        details.find(|(name, _)| TYPES.contains(&name.as_str()))
    });
    let said = run.and_then(|run| run.instance_type.as_ref());
    let said = said.or(detail.map(|(_, value)| value));
    said.or(line.map(|line| &line.item))
        .cloned()
        .unwrap_or_default()
}

/// A line for each record.
pub(super) fn evidence(case: &Case, chain: &Chained) -> String {
    let columns = [
        "number",
        "time",
        "table",
        "source",
        "about",
        "record_sha256",
    ];
    let mut text = sheet::line(columns);
    for record in &case.evidence {
        text.push_str(&sheet::line([
            record.id.0.to_string(),
            record.time.map_or_else(String::new, word::exact),
            record.table.clone(),
            record.source.clone(),
            record.about.clone(),
            chain.digest(record.id).to_owned(),
        ]));
    }
    text
}
