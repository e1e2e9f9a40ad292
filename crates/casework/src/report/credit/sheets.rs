//! What the intruder made and the records behind it, for spreadsheets.

use std::collections::BTreeMap;

use super::unauthorised;
use crate::case::{Case, CostLine, Existence, Touched};
use crate::report::evidence::Chained;
use crate::report::{sheet, word};

const RESOURCES: [&str; 15] = [
    "account",
    "region",
    "kind",
    "id",
    "type",
    "start",
    "end",
    "end_is",
    "hours_low",
    "hours_high",
    "cost_usd_low",
    "cost_usd_likely",
    "cost_usd_high",
    "cost_is",
    "exists",
];

/// Names under which a thing's details say what type it is.
const TYPES: [&str; 4] = ["InstanceType", "instance_type", "instance type", "type"];

/// A line for each thing that the intruder made.
pub(super) fn resources(case: &Case) -> String {
    let mut priced: BTreeMap<&str, &CostLine> = BTreeMap::new();
    for line in case.cost.iter().flat_map(|cost| &cost.lines) {
        priced.extend(line.ids.iter().map(|id| (id.as_str(), line)));
    }
    let mut text = sheet::line(RESOURCES);
    for thing in unauthorised(case) {
        text.push_str(&sheet::line(resource(
            thing,
            priced.get(thing.id.as_str()).copied(),
        )));
    }
    text
}

fn resource(thing: &Touched, line: Option<&CostLine>) -> [String; 15] {
    let detail = |names: &[&str]| {
        let found = thing
            .details
            .iter()
            .find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.clone())
    };
    let kind = detail(&TYPES).or_else(|| line.map(|line| line.item.clone()));
    let (end, end_is) = match &thing.exists {
        Existence::GoneBy(at) => (word::exact(*at), "gone by then"),
        Existence::At(at) => (word::exact(*at), "still there then"),
        Existence::Unknown(_) => (String::new(), "unknown"),
    };
    // A line of the estimate is about several things: each has an even share of it.
    let share = |of: Option<i64>| {
        let n = line.map_or(1, |line| {
            i64::try_from(line.count).unwrap_or(i64::MAX).max(1)
        });
        word::dollars(of.map(|micros| micros / n))
    };
    let hours = |of: &dyn Fn(&CostLine) -> f64| {
        line.map_or_else(String::new, |line| {
            format!("{:.2}", of(line) / line.count.max(1) as f64)
        })
    };
    let is = match line {
        None => "no price".to_owned(),
        Some(line) if line.count > 1 => format!(
            "estimate: an even share of {} of one type in one region",
            word::number(line.count)
        ),
        Some(_) => "estimate".to_owned(),
    };
    [
        thing.account.clone().unwrap_or_default(),
        thing.region.clone().unwrap_or_default(),
        thing.kind.clone(),
        thing.id.clone(),
        kind.unwrap_or_default(),
        word::exact(thing.span.first),
        end,
        end_is.to_owned(),
        hours(&|line| line.low_hours),
        hours(&|line| line.high_hours),
        share(line.and_then(|line| line.low_micro_usd)),
        share(line.and_then(|line| line.likely_micro_usd)),
        share(line.and_then(|line| line.high_micro_usd)),
        is,
        word::exists(&thing.exists).to_owned(),
    ]
}

/// A line for each record.
pub(super) fn evidence(case: &Case, chain: &Chained) -> String {
    let mut text = sheet::line([
        "number",
        "time",
        "table",
        "source",
        "about",
        "record_sha256",
    ]);
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
