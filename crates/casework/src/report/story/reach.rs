//! What the intruder touched, and what was done against the logs.

use super::MOST_ROWS;
use crate::case::{Case, Existence, Touched};
use crate::report::doc::{Line, Mark, Section, Table};
use crate::report::{CASE_JSON, word};

const HEADS: [&str; 7] = [
    "Kind",
    "Id",
    "Still exists",
    "Details",
    "Where",
    "When",
    "How",
];

pub(super) fn reach(case: &Case) -> Section {
    let mut section = Section::new("reach", "Reach");
    let doors = case.reach.iter().filter(|one| one.persistence.is_some());
    section.text(
        "Where something still exists the time is the last at which that is known, and where it is gone the one \
         by which it was.",
    );
    section.head("What would let the intruder back in");
    let table = Table::of(
        "What would let the intruder back in",
        &["Kind", "Id", "Why", "Still exists", "When"],
        in_order(doors),
        (MOST_ROWS, CASE_JSON),
        |one| {
            vec![
                Line::name(&one.kind),
                Line::name(&one.id).citing(&one.evidence),
                Line::prose(one.persistence.as_deref().unwrap_or_default()),
                exists(&one.exists),
                Line::span(one.span),
            ]
        },
    );
    section.table(table, "Nothing that is known.");
    section.head("All that was touched");
    let table = Table::of(
        "All that was touched, what still exists first",
        &HEADS,
        in_order(case.reach.iter()),
        (MOST_ROWS, CASE_JSON),
        row,
    );
    section.table(table, "Nothing that is known.");
    section
}

/// What still exists first, then what may, then what is gone; by kind and time within.
fn in_order<'a>(things: impl Iterator<Item = &'a Touched>) -> Vec<&'a Touched> {
    let rank = |one: &Touched| match one.exists {
        Existence::At(_) => 0,
        Existence::Unknown(_) => 1,
        Existence::GoneBy(_) => 2,
    };
    let mut things: Vec<_> = things.collect();
    things.sort_by(|a, b| {
        let a = (
            rank(a),
            a.persistence.is_none(),
            &a.kind,
            a.span.first,
            &a.id,
        );
        let b = (
            rank(b),
            b.persistence.is_none(),
            &b.kind,
            b.span.first,
            &b.id,
        );
        a.cmp(&b)
    });
    things
}

fn exists(existence: &Existence) -> Line {
    let word = word::exists(existence);
    match existence {
        Existence::At(at) => Line::mark(Mark::Bad, word).and(" at ").and_time(*at),
        Existence::GoneBy(at) => Line::mark(Mark::Good, word).and(" by ").and_time(*at),
        Existence::Unknown(why) => Line::mark(Mark::Unsure, word).and(": ").and_prose(why),
    }
}

fn row(one: &Touched) -> Vec<Line> {
    let mut how = Line::prose(&one.how).and(" by ").and_name(&one.principal);
    if one.persistence.is_some() {
        how = how.and(" ").and_mark(Mark::Bad, "a way back in");
    }
    let mut details = Line::default();
    for (at, (name, value)) in one.details.iter().enumerate() {
        if at > 0 {
            details = details.and(", ");
        }
        details = details.and_prose(name).and(" ").and_name(value);
    }
    let place = Line::name_or(one.region.as_deref(), "global").and(" of ");
    vec![
        Line::name(&one.kind),
        Line::name(&one.id).citing(&one.evidence),
        exists(&one.exists),
        details,
        place.and_name(one.account.as_deref().unwrap_or("an unknown account")),
        Line::span(one.span),
        how,
    ]
}

pub(super) fn tampering(case: &Case) -> Section {
    let mut section = Section::new("tampering", "What was done against the logs");
    let table = Table::of(
        "What was done against logs and sensors",
        &[
            "When",
            "What",
            "By",
            "Region",
            "Succeeded",
            "Nothing is logged",
        ],
        &case.tampering,
        (MOST_ROWS, CASE_JSON),
        |one| {
            let gap = match one.gap {
                Some(gap) => Line::mark(Mark::Bad, word::gap(gap)),
                None => Line::ours("no gap is known"),
            };
            let (mark, word) = match one.has_succeeded {
                true => (Mark::Bad, "yes"),
                false => (Mark::Calm, "no, it was tried"),
            };
            vec![
                Line::span(one.at),
                Line::prose(&one.what).citing(&one.evidence),
                Line::name(&one.principal),
                Line::name_or(one.region.as_deref(), "global"),
                Line::mark(mark, word),
                gap,
            ]
        },
    );
    section.table(table, "Nothing that is known.");
    section
}
