//! The story of a case, section by section: what the page and the Markdown say.
//!
//! What must stay true: a sentence that rests on records shows their numbers; what is unknown is said as
//! unknown; nothing is decided here, only put in order: what still exists before what is gone, the
//! intruder's acts before others', the most urgent first.

mod cost;
mod integrity;
mod people;
mod reach;
mod sources;
mod summary;
mod timeline;

use super::doc::{Document, Line, Mark, Section, Table};
use super::evidence::Chained;
use super::{EVIDENCE_JSONL, word};
use crate::case::{Case, Evidence, Hand, Reason};
use davylamp_model::verdict::Verdict;

/// A form shows so many rows of a table, and counts the others.
const MOST_ROWS: usize = 2_000;
/// So many of a list within a cell.
const MOST_NAMES: usize = 6;

/// All sections of a case but its records; `evidence_hash` ends their chain.
pub(super) fn tell(case: &Case, evidence_hash: &str) -> Document {
    Document {
        title: title(case),
        sections: vec![
            summary::summary(case, evidence_hash),
            summary::next(case),
            timeline::timeline(case),
            timeline::regions(case),
            people::people(case),
            people::innocence(case),
            reach::reach(case),
            reach::tampering(case),
            integrity::integrity(case),
            cost::cost(case),
            sources::unknowns(case),
            sources::sources(case),
        ],
    }
}

/// What a case is called.
pub(super) fn title(case: &Case) -> String {
    match case.span {
        Some(span) => format!("Case of {}", word::day(span.first)),
        None if case.is_suspicious() => {
            "Case: signs of an attack, and nobody behind them".to_owned()
        }
        None => "Case: no intrusion was found".to_owned(),
    }
}

/// The first records as a table, for forms that have no other place for them.
pub(super) fn records(case: &Case, chain: &Chained) -> Section {
    let mut section = Section::new("records", "Records");
    section.text(
        Line::ours("All records stand in ")
            .and_name(EVIDENCE_JSONL)
            .and(", whose chain of hashes ends with ")
            .and_name(&chain.hash)
            .and("."),
    );
    let table = Table::of(
        "Records",
        &["Record", "Time", "Table", "What", "Where", "SHA-256"],
        &case.evidence,
        (MOST_ROWS, EVIDENCE_JSONL),
        |one| {
            vec![
                Line::ours(format!("e{}", one.id.0)),
                Line::ours(one.time.map_or_else(|| "unknown".to_owned(), word::moment)),
                Line::name(&one.table),
                match is_distrusted(one) {
                    true => Line::prose(&one.about)
                        .and(" ")
                        .and_mark(Mark::Bad, DISTRUSTED),
                    false => Line::prose(&one.about),
                },
                Line::name(&one.source),
                Line::name(chain.digest(one.id)),
            ]
        },
    );
    section.table(table, "No record is cited.");
    section
}

/// What is said of a record of a log file that failed.
pub(super) const DISTRUSTED: &str = "its log file was altered or moved after delivery";

/// Whether a record is of a log file that is not what was delivered.
pub(super) fn is_distrusted(record: &Evidence) -> bool {
    record.log_file == Some(Verdict::Fail)
}

/// Reasons for and against something.
fn reasons(reasons: &[Reason]) -> Vec<Line> {
    let set = |reason: &Reason| {
        let said = Line::from(&reason.statement);
        let (mark, word) = match reason.is_for {
            true => (Mark::Good, "for"),
            false => (Mark::Bad, "against"),
        };
        let mut line = Line::mark(mark, word).and(" ");
        line.0.extend(said.0);
        line
    };
    // What speaks for it first, each in the order in which it was said.
    let (for_it, against) = (
        reasons.iter().filter(|reason| reason.is_for),
        reasons.iter().filter(|reason| !reason.is_for),
    );
    for_it.chain(against).map(set).collect()
}

/// Whose hand, as a word with a look.
fn hand(hand: Hand) -> Line {
    let mark = match hand {
        Hand::Intruder => Mark::Bad,
        Hand::Unknown => Mark::Unsure,
        Hand::Owner | Hand::Service => Mark::Calm,
    };
    Line::mark(mark, word::hand(hand))
}
