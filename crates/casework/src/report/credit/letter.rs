//! The letter, its list of steps, and a short timeline.

use std::collections::BTreeSet;

use super::state::Done;
use super::steps::{Step, steps};
use super::unauthorised;
use crate::case::{Act, Case, Cost, Hand};
use crate::report::doc::{Block, Document, Line, Section, Table};
use crate::report::{EVIDENCE_JSONL, TIMELINE_CSV, word};

/// No more accounts stand in a letter.
const MOST_ACCOUNTS: usize = 20;
/// A short timeline has so many rows.
const MOST_ROWS: usize = 60;

/// The letter.
pub(super) fn request(case: &Case, evidence_hash: &str) -> Document {
    let mut document = Document {
        title: "Request for a credit after unauthorised use".to_owned(),
        sections: Vec::new(),
    };
    let Some(span) = case.span else {
        let mut section = Section::new("none", "Nothing to ask for");
        section.text(
            "No intrusion was found in what was read, so there is nothing to ask a credit for. The report \
             says what could not be known.",
        );
        document.sections.push(section);
        return document;
    };
    let mut about = Section::new("about", "About");
    let accounts = accounts(case);
    about.blocks.push(Block::Facts(vec![
        (
            "Accounts",
            match accounts.is_empty() {
                true => Line::ours("unknown: put the account's id here"),
                false => Line::names(&accounts, MOST_ACCOUNTS),
            },
        ),
        ("Support case", Line::ours("put its number here")),
        ("Unauthorised use", Line::span(span)),
        ("Asked for", amount(case.cost.as_ref())),
        ("Contact", Line::ours("put a name and a way to answer here")),
    ]));
    document.sections.push(about);

    let mut happened = Section::new("happened", "What happened");
    happened.points(case.summary.iter().map(Line::from).collect());
    if let Some(origin) = &case.origin {
        happened.text(
            Line::ours(format!("It began {}: ", word::span(origin.at)))
                .and_prose(&origin.how)
                .and(format!(
                    ". Confidence {}.",
                    word::confidence(origin.confidence)
                )),
        );
    }
    let made = unauthorised(case).count() as u64;
    happened.text(
        Line::ours(format!(
            "{} by the intruder; each stands in ",
            word::count(made, "thing was made", "things were made")
        ))
        .and_name("resources.csv")
        .and(", the order of events in ")
        .and_name("timeline.md")
        .and("."),
    );
    document.sections.push(happened);

    let mut known = Section::new("known", "How this is known");
    let sources = case.sources.iter().map(|source| {
        Line::name(&source.table)
            .and(format!(
                ", {}, {}: ",
                word::count(source.records, "record", "records"),
                word::span_or_unknown(source.span)
            ))
            .and_prose(&source.proves)
    });
    known.points(sources.collect());
    known.text(
        Line::ours("Numbers such as e1 are records. They stand in ")
            .and_name("evidence-index.csv")
            .and(" and whole in ")
            .and_name(EVIDENCE_JSONL)
            .and(", whose chain of hashes ends with ")
            .and_name(evidence_hash)
            .and("; we send it when asked."),
    );
    known.points(
        case.unknowns
            .iter()
            .map(|one| {
                Line::ours("Not known: ")
                    .and_prose(&one.what)
                    .and(", because ")
                    .and_prose(&one.why)
            })
            .collect(),
    );
    document.sections.push(known);

    let (done, open): (Vec<Step>, Vec<Step>) = steps(case)
        .into_iter()
        .partition(|step| step.state.done == Done::Yes);
    let said = |step: &Step| {
        let mut line = step.what.clone().and(": ");
        line.0.extend(step.state.shown.0.clone());
        line
    };
    let mut acted = Section::new("done", "What was done");
    match done.is_empty() {
        true => acted.text("No record shows yet that a step was taken."),
        false => acted.points(done.iter().map(said).collect()),
    }
    acted.head("Not done yet, or not shown by a record");
    match open.is_empty() {
        true => acted.text("Nothing."),
        false => acted.points(open.iter().map(said).collect()),
    }
    document.sections.push(acted);
    document.sections.push(asked(case));
    document
}

/// Every account in which the intruder did or made something.
fn accounts(case: &Case) -> Vec<String> {
    let acts = case
        .timeline
        .iter()
        .filter(|act| act.hand == Hand::Intruder);
    let acts = acts.filter_map(|act| act.account.clone());
    let things = case.reach.iter().filter_map(|one| one.account.clone());
    let all: BTreeSet<String> = acts.chain(things).filter(|one| !one.is_empty()).collect();
    all.into_iter().collect()
}

/// What is asked for: what was billed, or what is likely, called by its name.
fn amount(cost: Option<&Cost>) -> Line {
    match cost {
        None => Line::ours("unknown: no price was looked up, so put the billed amount here"),
        Some(Cost {
            billed: Some(billed),
            ..
        }) => Line::ours(format!("{}, as billed", word::usd(billed.micro_usd))),
        Some(cost) => Line::ours(format!(
            "{}, an estimate; it is between {} and {}",
            word::usd(cost.likely_micro_usd),
            word::usd(cost.low_micro_usd),
            word::usd(cost.high_micro_usd)
        )),
    }
}

fn asked(case: &Case) -> Section {
    let mut section = Section::new("asked", "What is asked for");
    section.text(
        Line::ours("A credit of ")
            .and(amount_words(&amount(case.cost.as_ref())))
            .and("."),
    );
    let Some(cost) = &case.cost else {
        return section;
    };
    if let Some(billed) = &cost.billed {
        section.text(
            Line::ours(format!(
                "The bill covers {}. Our estimate of the same is {}. ",
                word::span_or_unknown(billed.span),
                word::usd_range(cost.low_micro_usd, cost.high_micro_usd)
            ))
            .and_prose(&billed.statement.text),
        );
    }
    section.points(cost.basis.iter().map(Line::prose).collect());
    section.points(cost.caveats.iter().map(Line::from).collect());
    if cost.is_open {
        section.text("The real cost may lie outside that range, for the reasons above.");
    }
    if cost.burn_micro_usd_hour > 0 {
        section.text(format!(
            "As far as is known {} an hour are still being charged.",
            word::usd(cost.burn_micro_usd_hour)
        ));
    }
    section
}

fn amount_words(line: &Line) -> String {
    use crate::report::doc::Piece;
    let words = line.0.iter().map(|piece| match piece {
        Piece::Ours(text) => text.as_str(),
        _ => "",
    });
    words.collect()
}

/// The steps with their states.
pub(super) fn actions(case: &Case) -> Document {
    let mut section = Section::new("steps", "Steps");
    section.text(
        "Done is only what a record shows. Unknown is not done: look, do it, and write down when.",
    );
    let table = Table::of(
        "Steps",
        &["Step", "State", "What shows it", "Asked for by"],
        steps(case),
        (usize::MAX, TIMELINE_CSV),
        |step| {
            vec![
                step.what.clone(),
                step.state.word(),
                step.state.shown.clone(),
                Line::default().source(step.source),
            ]
        },
    );
    section.table(table, "None.");
    Document {
        title: "Steps after unauthorised use".to_owned(),
        sections: vec![section],
    }
}

/// What the intruder did first of each kind in each region, and what was done about it.
pub(super) fn timeline(case: &Case) -> Document {
    let mut seen = BTreeSet::new();
    let acts = case.timeline.iter().filter(|act| match act.hand {
        Hand::Intruder => seen.insert((&act.phase, &act.action, &act.region, act.error.is_some())),
        Hand::Owner | Hand::Service => act.phase == "response",
        Hand::Unknown => false,
    });
    let mut section = Section::new("timeline", "Timeline");
    section.text(
        "What the intruder did, each act for the first time in its region, and what was done about it. All \
         times are UTC.",
    );
    let table = Table::of(
        "Timeline",
        &["When", "Who", "What", "Where", "Result"],
        acts,
        (MOST_ROWS, TIMELINE_CSV),
        |act: &Act| {
            vec![
                Line::span(act.span),
                Line::ours(word::hand(act.hand)),
                Line::name(&act.action).citing(act.evidence.as_slice()),
                Line::name_or(act.region.as_deref(), "global"),
                act.error.as_ref().map_or(Line::ours("done"), |error| {
                    Line::ours("failed: ").and_name(error)
                }),
            ]
        },
    );
    section.table(table, "Nothing.");
    Document {
        title: "Timeline of the unauthorised use".to_owned(),
        sections: vec![section],
    }
}
