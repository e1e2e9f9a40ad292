//! Who acted with what from where, and who did not.

use super::{MOST_NAMES, MOST_ROWS, hand, reasons};
use crate::case::Case;
use crate::report::doc::{Block, Line, Mark, Section, Table};
use crate::report::{CASE_JSON, plot, word};
use davylamp_model::verdict::Verdict;

pub(super) fn people(case: &Case) -> Section {
    let mut section = Section::new("people", "Principals, credentials and places");
    let graph = plot::graph(case);
    let folded = graph.folded;
    section.blocks.push(Block::Graph(graph));
    if folded > 0 {
        let nodes = word::count(folded as u64, "node is", "nodes are");
        section.text(format!(
            "In the picture {nodes} folded into others; the table has all."
        ));
    }
    let links = Table::of(
        "Who made, used and changed what",
        &["Who", "Did", "What", "Times", "When", "Hand"],
        &case.links,
        (MOST_ROWS, CASE_JSON),
        |link| {
            vec![
                Line::name(&link.from),
                Line::prose(&link.verb).citing(&link.evidence),
                Line::name(&link.to),
                Line::ours(word::number(link.count)),
                Line::span(link.span),
                hand(link.hand),
            ]
        },
    );
    section.table(links, "Nothing is known of who made what.");
    section.head("Principals");
    let principals = Table::of(
        "Principals",
        &["Name", "Kind", "Id", "Account", "Seen", "Intruder"],
        &case.principals,
        (MOST_ROWS, CASE_JSON),
        |one| {
            let intruder = match (one.is_made_by_intruder, one.is_used_by_intruder) {
                (true, true) => Line::mark(Mark::Bad, "made and used it"),
                (true, false) => Line::mark(Mark::Bad, "made it"),
                (false, true) => Line::mark(Mark::Bad, "used it"),
                (false, false) => Line::ours("nothing known"),
            };
            vec![
                Line::name(&one.name),
                Line::prose(&one.kind),
                Line::name(&one.id),
                Line::name_or(one.account.as_deref(), "unknown"),
                Line::span_or_unknown(one.span),
                intruder,
            ]
        },
    );
    section.table(principals, "None.");
    section.head("Credentials");
    let keys = Table::of(
        "Credentials",
        &[
            "Id",
            "Kind",
            "Of",
            "Made by",
            "How",
            "Used",
            "Owner's acts",
            "Intruder's",
            "Unknown",
        ],
        &case.credentials,
        (MOST_ROWS, CASE_JSON),
        |one| {
            vec![
                Line::name(&one.id),
                Line::prose(&one.kind),
                Line::name(&one.principal),
                Line::name_or(one.parent.as_deref(), "unknown"),
                one.made.as_ref().map_or(Line::ours("unknown"), Line::from),
                Line::span_or_unknown(one.span),
                Line::ours(word::number(one.owner_acts)),
                Line::ours(word::number(one.intruder_acts)),
                Line::ours(word::number(one.unknown_acts)),
            ]
        },
    );
    section.table(keys, "None.");
    section.head("Places");
    let places = Table::of(
        "Places",
        &[
            "Address",
            "Whose",
            "Calls",
            "Seen",
            "What called",
            "With credentials of",
        ],
        &case.places,
        (MOST_ROWS, CASE_JSON),
        |one| {
            vec![
                Line::name(&one.address),
                hand(one.hand),
                Line::ours(word::number(one.calls)),
                Line::span_or_unknown(one.span),
                Line::names(&one.agents, MOST_NAMES),
                Line::names(&one.principals, MOST_NAMES),
            ]
        },
    );
    section.table(places, "None.");
    section
}

pub(super) fn innocence(case: &Case) -> Section {
    let mut section = Section::new("innocence", "Who did it, and who did not");
    if case.innocence.is_empty() {
        section.text("Nobody is named.");
    }
    for one in case.innocence.iter().take(MOST_ROWS) {
        let mark = match one.verdict {
            Verdict::Pass => Mark::Good,
            Verdict::Fail => Mark::Bad,
            Verdict::Unknown => Mark::Unsure,
        };
        section.head(
            Line::name(&one.principal)
                .and(" ")
                .and_mark(mark, word::verdict(one.verdict)),
        );
        section.text(&one.statement);
        section.blocks.push(Block::Picture(plot::acts(one)));
        section.text(format!(
            "Acts in its name: {} its own, {} by the intruder, {} of which nobody can say.",
            word::number(one.own_acts),
            word::number(one.others_acts),
            word::number(one.unknown_acts),
        ));
        section.points(reasons(&one.reasons));
    }
    if let more @ 1.. = case.innocence.len().saturating_sub(MOST_ROWS) {
        let more = word::count(
            more as u64,
            "more principal stands",
            "more principals stand",
        );
        section.text(
            Line::ours(format!("{more} in "))
                .and_name(CASE_JSON)
                .and("."),
        );
    }
    section
}
