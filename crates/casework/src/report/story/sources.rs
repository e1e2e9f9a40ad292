//! What was read, what it can prove, and what nobody can know from it.

use super::MOST_ROWS;
use crate::case::Case;
use crate::report::doc::{Line, Section, Table};
use crate::report::{CASE_JSON, word};

pub(super) fn unknowns(case: &Case) -> Section {
    let mut section = Section::new("unknown", "What could not be known");
    let table = Table::of(
        "What could not be known",
        &["What", "Why", "What would tell"],
        &case.unknowns,
        (MOST_ROWS, CASE_JSON),
        |one| {
            let remedy = one.remedy.as_deref();
            vec![
                Line::prose(&one.what),
                Line::prose(&one.why),
                remedy.map_or(Line::ours("nothing that is known"), Line::prose),
            ]
        },
    );
    section.table(table, "Nothing is said to be unknown.");
    section
}

pub(super) fn sources(case: &Case) -> Section {
    let mut section = Section::new("sources", "What was read, and what it proves");
    let table = Table::of(
        "Sources",
        &[
            "Table",
            "Records",
            "Repeated",
            "From and to",
            "What it proves",
            "Not read",
        ],
        &case.sources,
        (MOST_ROWS, CASE_JSON),
        |one| {
            let unread = match one.unread.is_empty() {
                true => Line::ours("nothing is missing"),
                false => Line::prose(one.unread.join("; ")),
            };
            vec![
                Line::name(&one.table),
                Line::ours(word::number(one.records)),
                Line::ours(word::number(one.repeated)),
                Line::span_or_unknown(one.span),
                Line::prose(&one.proves),
                unread,
            ]
        },
    );
    section.table(table, "Nothing was read.");
    section
}
