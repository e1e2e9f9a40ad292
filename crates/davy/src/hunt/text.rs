//! Suspected incidents as text: blocks for reading, JSON, CSV.

use std::fmt::Write;

use davylamp_hunt::output;
use davylamp_hunt::run::{Came, Job, Missing, Outcome, Report};
use davylamp_hunt::suspects::{Entity, Suspect};
use davylamp_hunt::tally::{printable, summary};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::run::chain;

/// Names and reasons shown of one suspect for reading; the rest are counted, and every other form
/// has them all.
const SHOWN: usize = 8;

/// For reading.
pub(super) fn blocks(report: &Report, jobs: &[Job]) -> String {
    if report.suspects.is_empty() {
        return "nothing is suspected\n".to_owned();
    }
    let mut text = String::new();
    for (at, suspect) in report.suspects.iter().enumerate() {
        // Writing to a text cannot fail, here and below.
        let _ = writeln!(
            text,
            "{}. {}, score {:.0}, {}",
            at + 1,
            suspect.id,
            suspect.score,
            suspect.severity.as_str()
        );
        let (first, last) = (moment(suspect.first_seen), moment(suspect.last_seen));
        lines(&mut text, "when", &[format!("{first} to {last}")]);
        lines(&mut text, "who", &names(&suspect.principals));
        lines(&mut text, "what", &names(&suspect.resources));
        lines(&mut text, "why", &suspect.because);
        lines(&mut text, "next", next(suspect, jobs));
        text.push('\n');
    }
    text
}

fn lines(text: &mut String, title: &str, items: &[String]) {
    for (at, item) in items.iter().take(SHOWN).enumerate() {
        let title = if at == 0 { title } else { "" };
        let _ = writeln!(text, "   {title:<6}{}", printable(item));
    }
    if items.len() > SHOWN {
        let _ = writeln!(text, "         and {} more", items.len() - SHOWN);
    }
}

/// What to do next, by the hunt of the strongest lead.
pub(super) fn next<'a>(suspect: &Suspect, jobs: &'a [Job]) -> &'a [String] {
    let strongest = suspect.leads.first();
    let job = jobs
        .iter()
        .find(|job| strongest.is_some_and(|lead| lead.hunt == job.hunt.name));
    job.map(|job| job.hunt.next.as_slice()).unwrap_or_default()
}

/// Entities as `kind name`.
pub(super) fn names(entities: &[Entity]) -> Vec<String> {
    let named = entities
        .iter()
        .map(|entity| format!("{} {}", entity.kind_name(), entity.value));
    named.collect()
}

/// A moment, or that it is unknown.
pub(super) fn moment(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "unknown".to_owned(), |at| at.to_string())
}

/// One document.
pub(super) fn json(report: &Report) -> String {
    let hunts: Vec<Value> = report.hunts.iter().map(came).collect();
    let document = json!({
        "suspects": report.suspects,
        "hunts": hunts,
        "read": summary(&report.read),
    });
    format!("{document:#}\n")
}

fn came(came: &Came) -> Value {
    let (outcome, why) = match &came.outcome {
        Outcome::Ran => ("ran", None),
        Outcome::LeftOut => ("left-out", None),
        Outcome::Failed(error) => ("failed", Some(chain(error))),
    };
    let missing: Vec<String> = came.missing.iter().map(Missing::to_string).collect();
    json!({
        "hunt": came.hunt,
        "title": came.title,
        "severity": came.severity,
        "outcome": outcome,
        "why": why,
        "rows": came.rows,
        "unranked": came.unranked,
        "took-ms": u64::try_from(came.took.as_millis()).unwrap_or(u64::MAX),
        "missing": missing,
    })
}

/// One object a line.
pub(super) fn json_lines(report: &Report) -> String {
    let lines = report.suspects.iter();
    lines
        .map(|suspect| format!("{}\n", json!(suspect)))
        .collect()
}

/// One suspect a line.
pub(super) fn csv(report: &Report) -> Vec<u8> {
    let head = [
        "id",
        "score",
        "severity",
        "first_seen",
        "last_seen",
        "who",
        "what",
        "why",
    ];
    let mut text = Vec::new();
    let mut line = |cells: [String; 8]| {
        // Memory takes everything.
        let _ = output::csv_line(cells.into_iter().map(Some), &mut text);
    };
    line(head.map(str::to_owned));
    for suspect in &report.suspects {
        line([
            suspect.id.clone(),
            format!("{:.1}", suspect.score),
            suspect.severity.as_str().to_owned(),
            moment(suspect.first_seen),
            moment(suspect.last_seen),
            names(&suspect.principals).join("; "),
            names(&suspect.resources).join("; "),
            suspect.because.join("; "),
        ]);
    }
    text
}
