//! What it cost, what that rests on, and what the bill says.

use super::{MOST_NAMES, MOST_ROWS};
use crate::case::{Billed, Case, Cost};
use crate::report::doc::{Block, Line, Mark, Section, Table};
use crate::report::{CASE_JSON, plot, word};

pub(super) fn cost(case: &Case) -> Section {
    let mut section = Section::new("cost", "Cost");
    let Some(cost) = &case.cost else {
        section.text("Nobody can say what it cost: no price was looked up.");
        return section;
    };
    section.blocks.push(Block::Picture(plot::money(cost)));
    let mut facts = vec![
        (
            "Estimate",
            Line::ours(word::usd_range(cost.low_micro_usd, cost.high_micro_usd)),
        ),
        ("Likely", Line::ours(word::usd(cost.likely_micro_usd))),
        (
            "Still costs an hour",
            match cost.burn_micro_usd_hour {
                0 => Line::ours("nothing that is known"),
                burn => Line::mark(Mark::Bad, word::usd(burn)),
            },
        ),
    ];
    if let Some(billed) = &cost.billed {
        facts.push(("Billed", Line::ours(word::usd(billed.micro_usd))));
        facts.push(("The bill covers", Line::span_or_unknown(billed.span)));
    }
    if cost.is_open {
        let open = "the real cost may lie outside the range, for the reasons below";
        facts.push(("Sure", Line::mark(Mark::Unsure, open)));
    }
    section.blocks.push(Block::Facts(facts));
    if let Some(billed) = &cost.billed {
        section.text(&billed.statement);
        if !billed.missing.is_empty() {
            let many = word::count(billed.missing.len() as u64, "thing: ", "things: ");
            let mut line = Line::ours(format!("The bill does not have {many}"));
            line.0.extend(Line::names(&billed.missing, MOST_NAMES).0);
            section.text(line);
        }
    }
    section.table(lines(cost), "Nothing that has a price was found.");
    if let Some(billed) = &cost.billed {
        section.head("What the bill says");
        section.table(bill(billed), "Nothing of the same things.");
        let apart = billed.apart.iter();
        let apart =
            apart.map(|(name, micros)| Line::prose(name).and(format!(": {}", word::usd(*micros))));
        section.points(apart.collect());
        let unread = billed.unread.iter();
        section.points(
            unread
                .map(|what| Line::ours("Not read: ").and_prose(what))
                .collect(),
        );
    }
    section.head("What that rests on");
    section.points(cost.basis.iter().map(Line::prose).collect());
    section.head("What makes it another sum");
    match cost.caveats.is_empty() {
        true => section.text("Nothing is said."),
        false => section.points(cost.caveats.iter().map(Line::from).collect()),
    }
    section
}

fn bill(billed: &Billed) -> Table {
    Table::of(
        "The bill",
        &[
            "Usage", "Region", "Market", "System", "How many", "How much", "Billed",
        ],
        &billed.lines,
        (MOST_ROWS, CASE_JSON),
        |line| {
            vec![
                Line::name(&line.usage_type),
                Line::name_or(Some(&line.region), "unknown"),
                Line::prose(&line.market),
                Line::prose(&line.system),
                Line::ours(word::number(line.count)),
                Line::ours(format!("{:.1}", line.amount)),
                Line::ours(word::usd(line.micro_usd)),
            ]
        },
    )
}

fn lines(cost: &Cost) -> Table {
    Table::of(
        "Cost by type and region",
        &[
            "What",
            "Region",
            "Market",
            "System",
            "How many",
            "Running",
            "Hours",
            "An hour",
            "At least",
            "Likely",
            "At most",
            "Price from",
        ],
        &cost.lines,
        (MOST_ROWS, CASE_JSON),
        |line| {
            vec![
                Line::prose(&line.service)
                    .and(" ")
                    .and_name(&line.item)
                    .citing(&line.evidence),
                Line::name(&line.region),
                Line::prose(&line.market),
                Line::prose(&line.system),
                Line::ours(word::number(line.count)),
                Line::ours(word::number(line.running)),
                Line::ours(word::hours(line.low_hours, line.high_hours)),
                Line::ours(word::usd_or_unknown(line.micro_usd_hour)),
                Line::ours(word::usd_or_unknown(line.low_micro_usd)),
                Line::ours(word::usd_or_unknown(line.likely_micro_usd)),
                match (line.high_micro_usd, line.is_open) {
                    (Some(high), true) => Line::ours(format!("{} or more", word::usd(high))),
                    (high, _) => Line::ours(word::usd_or_unknown(high)),
                },
                Line::prose(&line.basis),
            ]
        },
    )
}
