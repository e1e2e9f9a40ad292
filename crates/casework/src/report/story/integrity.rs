//! Whether the log files are as they were delivered.

use super::MOST_ROWS;
use crate::case::{Case, Integrity, Uncovered};
use crate::integrity::{Count, Outcome};
use crate::report::doc::{Block, Line, Mark, Section, Table};
use crate::report::{CASE_JSON, word};
use davylamp_model::verdict::Verdict;

pub(super) fn integrity(case: &Case) -> Section {
    let mut section = Section::new("integrity", "Whether the logs are whole");
    let Some(integrity) = &case.integrity else {
        section.text("Nobody can say: no log file of CloudTrail was read, or none was looked at.");
        return section;
    };
    section.text(
        Line::mark(mark(integrity.verdict), word::whole(integrity.verdict))
            .and(": ")
            .and_prose(&integrity.why)
            .and("."),
    );
    section.blocks.push(Block::Facts(facts(integrity)));
    section.points(
        integrity
            .unread
            .iter()
            .map(|what| Line::ours("Not looked at: ").and_prose(what))
            .collect(),
    );
    section.head("Files that are not proven, the worst first");
    section.table(faults(integrity), "None that was looked at.");
    beyond(&mut section, integrity.faults_left_out);
    section.head("Hours that no digest covers");
    section.table(
        uncovered(integrity),
        "None within the digests that were looked at.",
    );
    beyond(&mut section, integrity.uncovered_left_out);
    section
}

fn facts(integrity: &Integrity) -> Vec<(&'static str, Line)> {
    let mut facts = vec![
        ("Log files", count(integrity.log_files)),
        ("Digests", count(integrity.digests)),
    ];
    if let Some(span) = integrity.span {
        facts.push(("Digests are about", Line::span(span)));
    }
    if let Some(tells) = &integrity.tells {
        facts.push(("What would tell", Line::prose(tells)));
    }
    facts
}

fn count(count: Count) -> Line {
    let said = |n: u64, word: &str| format!("{} {word}", word::number(n));
    let mut line = Line::ours(said(count.pass, "proven"));
    if count.fail > 0 {
        let failed = said(count.fail, "altered, moved or deleted");
        line = line.and(", ").and_mark(Mark::Bad, failed);
    }
    if count.unknown > 0 {
        let unknown = said(count.unknown, "unknown");
        line = line.and(", ").and_mark(Mark::Unsure, unknown);
    }
    line
}

fn faults(integrity: &Integrity) -> Table {
    Table::of(
        "Files that are not proven",
        &["Verdict", "What", "Where", "Why", "What would tell"],
        &integrity.faults,
        (MOST_ROWS, CASE_JSON),
        |one: &Outcome| {
            vec![
                verdict(one.verdict),
                Line::ours(one.kind.as_str()),
                Line::name(&one.name),
                Line::prose(&one.why),
                Line::prose(&one.tells),
            ]
        },
    )
}

fn uncovered(integrity: &Integrity) -> Table {
    Table::of(
        "Hours that no digest covers",
        &[
            "Verdict",
            "Hours",
            "Account",
            "Region",
            "Trail",
            "Why",
            "What would tell",
        ],
        &integrity.uncovered,
        (MOST_ROWS, CASE_JSON),
        |one: &Uncovered| {
            vec![
                verdict(one.hours.verdict),
                Line::default()
                    .and_time(one.hours.from)
                    .and(" to ")
                    .and_time(one.hours.until),
                Line::name(&one.account),
                Line::name(&one.region),
                Line::name_or(one.trail.as_deref(), "unknown"),
                Line::prose(&one.hours.why),
                Line::prose(&one.hours.tells),
            ]
        },
    )
}

fn beyond(section: &mut Section, left_out: u64) {
    if left_out > 0 {
        let more = word::count(left_out, "more is", "more are");
        section.text(
            Line::ours(format!("{more} told by "))
                .and_name("davy investigate verify")
                .and("."),
        );
    }
}

fn verdict(verdict: Verdict) -> Line {
    Line::mark(mark(verdict), verdict.as_str())
}

fn mark(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Pass => Mark::Good,
        Verdict::Fail => Mark::Bad,
        Verdict::Unknown => Mark::Unsure,
    }
}
