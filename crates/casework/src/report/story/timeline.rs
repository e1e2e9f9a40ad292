//! What was done when, and where in the world.

use std::cmp::Reverse;

use super::{MOST_ROWS, hand};
use crate::case::{Act, Case, Hand};
use crate::report::doc::{Block, Line, Mark, Section, Table};
use crate::report::plot::{self, Spot};
use crate::report::{CASE_JSON, TIMELINE_CSV, regions, word};

/// What others did is context: the page shows so much of it.
const MOST_OTHERS: usize = 500;

/// What an act was done to: so many stand in a row, and all in the sheet.
const MOST_TARGETS: usize = 3;

const HEADS: [&str; 7] = [
    "When", "Hand", "What", "Target", "As whom", "From", "Result",
];

pub(super) fn timeline(case: &Case) -> Section {
    let mut section = Section::new("timeline", "Timeline");
    section
        .blocks
        .extend(plot::timeline(case).into_iter().map(Block::Picture));
    let is_theirs = |act: &&Act| matches!(act.hand, Hand::Intruder | Hand::Unknown);
    let acts = case.timeline.iter();
    section.head("By the intruder, or by nobody knows whom");
    let theirs = Table::of(
        "Acts by the intruder or unknown",
        &HEADS,
        acts.clone().filter(is_theirs),
        (MOST_ROWS, TIMELINE_CSV),
        row,
    );
    section.table(theirs, "None.");
    section.head("By owners and by AWS");
    let others = Table::of(
        "Acts by owners and AWS",
        &HEADS,
        acts.filter(|act| !is_theirs(act)),
        (MOST_OTHERS, TIMELINE_CSV),
        row,
    );
    section.table(others, "None.");
    if case.acts_left_out > 0 {
        let acts = word::count(case.acts_left_out, "act is", "acts are");
        section.text(format!(
            "The timeline is bounded: {acts} beyond it and in no file of this folder. Ask for a shorter time."
        ));
    }
    section
}

fn row(act: &Act) -> Vec<Line> {
    let mut what = Line::name(&act.action);
    if act.count > 1 {
        what = what.and(format!(" ×{}", word::number(act.count)));
    }
    let targets: Vec<String> = act.target.split(", ").map(str::to_owned).collect();
    let target = match (act.target.as_str(), act.region.as_deref()) {
        ("", None) => Line::ours("none is named"),
        ("", Some(region)) => Line::ours("in ").and_name(region),
        (_, None) => Line::names(&targets, MOST_TARGETS),
        (_, Some(region)) => Line::names(&targets, MOST_TARGETS)
            .and(" in ")
            .and_name(region),
    };
    let mut whom = Line::name(&act.principal);
    if let Some(credential) = &act.credential {
        whom = whom.and(" with ").and_name(credential);
    }
    let result = match &act.error {
        Some(error) => Line::mark(Mark::Unsure, "failed").and(" ").and_name(error),
        None => Line::ours("done"),
    };
    let evidence = act.evidence.as_slice();
    vec![
        Line::span(act.span),
        hand(act.hand).and(" ").and_prose(&act.phase),
        what.citing(evidence),
        target,
        whom,
        Line::name_or(act.place.as_deref(), "unknown"),
        result,
    ]
}

pub(super) fn regions(case: &Case) -> Section {
    let mut section = Section::new("regions", "Regions");
    let all = regions::by_region(case);
    let has_machines = all.values().any(|one| one.machines > 0);
    let what = if has_machines {
        "Machines"
    } else {
        "The intruder's acts"
    };
    let spots: Vec<Spot> = all
        .iter()
        .filter_map(|(name, one)| {
            let weight = if has_machines { one.machines } else { one.acts };
            let region = regions::known(name)?;
            let told = format!(
                "{}, {}",
                word::count(one.machines, "machine", "machines"),
                word::count(one.acts, "act of the intruder", "acts of the intruder")
            );
            (weight > 0).then_some(Spot {
                region,
                weight,
                told,
            })
        })
        .collect();
    if !spots.is_empty() {
        section.blocks.push(Block::Picture(plot::map(&spots, what)));
    }
    let mut rows: Vec<_> = all.into_iter().collect();
    rows.sort_by_key(|(_, one)| Reverse((one.machines, one.acts)));
    let table = Table::of(
        "Regions",
        &[
            "Region",
            "Place",
            "Machines",
            "Still there",
            "Other things",
            "Intruder's acts",
            "Likely cost",
            "When",
        ],
        rows,
        (MOST_ROWS, CASE_JSON),
        |(name, one)| {
            let place = match regions::known(&name) {
                Some((_, place, ..)) => *place,
                None if name == "global" => "everywhere",
                None => "not on the map",
            };
            vec![
                Line::name(name),
                Line::ours(place),
                Line::ours(word::number(one.machines)),
                Line::ours(word::number(one.there)),
                Line::ours(word::number(one.others)),
                Line::ours(word::number(one.acts)),
                Line::ours(word::usd_or_unknown(one.likely_micro_usd)),
                Line::span_or_unknown(one.span),
            ]
        },
    );
    section.table(table, "No region was touched.");
    section
}
