//! A run in words.

use std::fmt::Write;

use super::{Run, Tally};

/// What a run read, in one line for each table, and everything that was bad, each in a line.
pub fn summary(run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    let tables = run.tables();
    for (table, tally) in &tables {
        lines.push(read(table, tally));
    }
    if run.is_outside() {
        lines.push(
            "nothing of the logs lies within what was asked: see --since, --until, --account, --region"
                .to_owned(),
        );
    }
    if run.stopped_early() {
        lines.push("the query had its answer before everything was read".to_owned());
    }
    for (table, tally) in &tables {
        bad(table, tally, &mut lines);
    }
    bad("logs", &run.outside(), &mut lines);
    lines
}

fn read(table: &str, tally: &Tally) -> String {
    let mut line = format!(
        "{table}: read {} of {} ({}, {} unpacked)",
        count(tally.records, "record"),
        count(tally.objects, "object"),
        bytes(tally.bytes_in),
        bytes(tally.bytes_out),
    );
    for (number, what) in [
        (tally.objects_without_match, "searched without a match"),
        (
            tally.objects_pruned,
            "not opened, being outside what was asked",
        ),
    ] {
        if number > 0 {
            // Writing to a text cannot fail.
            let _ = write!(line, "; {} {what}", count(number, "object"));
        }
    }
    for (number, status) in [(tally.no_data, "NODATA"), (tally.skip_data, "SKIPDATA")] {
        if number > 0 {
            let _ = write!(line, "; {number} {status}");
        }
    }
    if tally.scans > 1 {
        let _ = write!(line, "; in {} passes, each counted", tally.scans);
    }
    line
}

fn bad(table: &str, tally: &Tally, lines: &mut Vec<String>) {
    for (number, one, what) in [
        (tally.objects_unreadable, "object", "not or not wholly read"),
        (
            tally.bad_records,
            "record",
            "not understood, so not in the answer",
        ),
        (tally.bad_values, "value", "not understood, so NULL"),
        (tally.over_limit, "record or object", "cut off by a limit"),
    ] {
        if number > 0 {
            lines.push(format!("{table}: {} {what}", count(number, one)));
        }
    }
    for (column, objects) in &tally.absent {
        let objects = count(*objects, "object");
        lines.push(format!(
            "{table}: {column} is NULL: the format of {objects} does not carry it"
        ));
    }
    if !tally.unknown_fields.is_empty() {
        let fields: Vec<String> = tally
            .unknown_fields
            .iter()
            .map(|field| printable(field))
            .collect();
        lines.push(format!(
            "{table}: fields without a column: {}",
            fields.join(", ")
        ));
    }
    for sample in &tally.samples {
        lines.push(format!("  {}", printable(&sample.to_string())));
    }
}

/// A text from a log as it can go to a terminal: without what would steer it.
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() || is_reversing(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Characters that turn the direction of what follows (Unicode, annex 9).
const fn is_reversing(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn count(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    }
}

fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = "bytes";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    match unit {
        "bytes" => count(number, "byte"),
        unit => format!("{value:.1} {unit}"),
    }
}
