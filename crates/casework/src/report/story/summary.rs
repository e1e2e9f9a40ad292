//! What happened, in short; what stood out; what to do next.

use crate::case::{Case, Existence, Innocence};
use crate::report::doc::{Block, Line, Mark, Section, Table};
use crate::report::{CASE_JSON, word};
use davylamp_model::verdict::Verdict;

use super::{MOST_NAMES, MOST_ROWS, reasons};

pub(super) fn summary(case: &Case, evidence_hash: &str) -> Section {
    let mut section = Section::new("summary", "Summary");
    if case.span.is_none() {
        section.text(
            "No intrusion was found in what was read. That is no proof that there was none: what could not \
             be known stands below.",
        );
    }
    section.points(case.summary.iter().map(Line::from).collect());
    section
        .blocks
        .push(Block::Facts(facts(case, evidence_hash)));
    if let Some(origin) = &case.origin {
        section.head("Where it began");
        section.text(
            Line::ours(format!("{}: ", word::span(origin.at)))
                .and_prose(&origin.how)
                .and(". Principal ")
                .and_name(&origin.principal)
                .and(", credential ")
                .and_name(&origin.credential)
                .and(format!(
                    ". Confidence {}.",
                    word::confidence(origin.confidence)
                )),
        );
        section.points(reasons(&origin.reasons));
    }
    section.head("What stood out");
    let leads = Table::of(
        "What stood out",
        &["Score", "About", "Why"],
        &case.leads,
        (MOST_ROWS, CASE_JSON),
        |lead| {
            vec![
                Line::ours(format!("{:.0}", lead.score)),
                Line::name(&lead.about),
                Line::from(&lead.statement),
            ]
        },
    );
    section.table(leads, "Nothing.");
    section
}

fn facts(case: &Case, evidence_hash: &str) -> Vec<(&'static str, Line)> {
    let mut facts = vec![
        (
            "Intrusion",
            match case.span {
                Some(span) => Line::ours(format!(
                    "{} ({})",
                    word::span(span),
                    word::length(span.first, span.last)
                )),
                None => Line::mark(Mark::Unsure, "none found"),
            },
        ),
        ("Still there", still_there(case)),
        ("Cost", cost(case)),
        ("Named principals", verdicts(&case.innocence)),
        (
            "Started from",
            match case.asked.indicators.is_empty() {
                true => Line::ours("the anomalies"),
                false => Line::names(&case.asked.indicators, MOST_NAMES),
            },
        ),
        ("Logs", Line::names(&case.asked.logs, MOST_NAMES)),
    ];
    if case.asked.since.is_some() || case.asked.until.is_some() {
        let or_open = |at: Option<_>| at.map_or_else(|| "open".to_owned(), word::moment);
        let read = format!(
            "{} to {}",
            or_open(case.asked.since),
            or_open(case.asked.until)
        );
        facts.push(("Time asked for", Line::ours(read)));
    }
    if let Some(at) = case.asked.made_at {
        facts.push(("Made", Line::ours(word::moment(at))));
    }
    facts.push(("Evidence ends with", Line::name(evidence_hash)));
    facts
}

/// What of the intruder's work still exists.
fn still_there(case: &Case) -> Line {
    let is_left = |how: &str| matches!(how, "created" | "changed");
    let left: Vec<_> = case
        .reach
        .iter()
        .filter(|one| is_left(&one.how) && matches!(one.exists, Existence::At(_)))
        .collect();
    let unknown = case
        .reach
        .iter()
        .filter(|one| is_left(&one.how) && matches!(one.exists, Existence::Unknown(_)))
        .count();
    let machines = left.iter().filter(|one| one.kind == "instance").count() as u64;
    let others = left.len() as u64 - machines;
    let doors = left.iter().filter(|one| one.persistence.is_some()).count() as u64;
    let mut line = match left.len() {
        0 => Line::mark(Mark::Calm, "nothing that is known"),
        _ => Line::mark(
            Mark::Bad,
            format!(
                "{}, {}",
                word::count(machines, "machine", "machines"),
                word::count(others, "other thing", "other things")
            ),
        ),
    };
    if doors > 0 {
        line = line.and(format!(
            "; {} would let the intruder back in",
            word::number(doors)
        ));
    }
    if unknown > 0 {
        let more = word::count(unknown as u64, "thing", "things");
        line = line
            .and("; ")
            .and_mark(Mark::Unsure, format!("unknown of {more}"));
    }
    line
}

fn cost(case: &Case) -> Line {
    let Some(cost) = &case.cost else {
        return Line::mark(Mark::Unsure, "unknown");
    };
    let range = word::usd_range(cost.low_micro_usd, cost.high_micro_usd);
    let likely = word::usd(cost.likely_micro_usd);
    let mut line = Line::ours(format!("{range}, likely {likely} (estimate)"));
    if let Some(billed) = &cost.billed {
        line = line.and(format!("; billed {}", word::usd(billed.micro_usd)));
    }
    if cost.burn_micro_usd_hour > 0 {
        let burn = format!(
            "{} an hour and going on",
            word::usd(cost.burn_micro_usd_hour)
        );
        line = line.and("; ").and_mark(Mark::Bad, burn);
    }
    line
}

fn verdicts(all: &[Innocence]) -> Line {
    let of = |verdict| all.iter().filter(|one| one.verdict == verdict).count() as u64;
    if all.is_empty() {
        return Line::ours("none");
    }
    Line::mark(Mark::Good, format!("{} cleared", of(Verdict::Pass)))
        .and(" ")
        .and_mark(Mark::Bad, format!("{} not cleared", of(Verdict::Fail)))
        .and(" ")
        .and_mark(Mark::Unsure, format!("{} unknown", of(Verdict::Unknown)))
}

pub(super) fn next(case: &Case) -> Section {
    let mut section = Section::new("next", "What to do next");
    let mut steps: Vec<_> = case.next_steps.iter().collect();
    steps.sort_by_key(|step| step.rank);
    match steps.is_empty() {
        true => section.text("Nothing is asked for."),
        false => {
            section.text(
                "The most urgent first. Look at each command before it is run: nothing was done.",
            );
            let steps = steps
                .into_iter()
                .map(|step| (Line::from(&step.statement), step.command.clone()));
            section.blocks.push(Block::Steps(steps.collect()));
        }
    }
    section
}
