//! What came of a check, as text and as JSON.

use std::fmt::Write;

use davylamp_casework::integrity::lookup::Compared;
use davylamp_casework::integrity::silence::{MEANING, Silence};
use davylamp_casework::integrity::{Chain, Count, Outcome, Report, Stretch};
use davylamp_hunt::tally::printable;
use davylamp_model::verdict::Verdict;
use serde_json::{Value, json};

use crate::output::quiet_json;

/// Of each kind, so many are shown for reading; every other form has more.
const SHOWN: usize = 20;

/// For reading.
pub(super) fn page(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail, here and below.
    let _ = writeln!(
        text,
        "{}: {}",
        report.verdict.as_str(),
        printable(&report.why)
    );
    if let Some(span) = report.span {
        let _ = writeln!(text, "digests are about {} to {}", span.first, span.last);
    }
    for chain in &report.chains {
        let _ = writeln!(text, "\n{}: {}", title(chain), chain.verdict.as_str());
        let _ = writeln!(text, "  digests    {}", count(chain.digests));
        let _ = writeln!(text, "  log files  {}", count(chain.log_files));
        let open: Vec<String> = open(chain).map(hours).collect();
        lines(&mut text, "hours", &open);
    }
    let faults: Vec<String> = report.faults.iter().map(outcome).collect();
    section(&mut text, "Files", &faults, report.faults_left_out);
    let silences: Vec<String> = report.silences.iter().map(silence).collect();
    section(&mut text, "Silences", &silences, report.silences_left_out);
    if !silences.is_empty() {
        let _ = writeln!(text, "  {MEANING}");
    }
    if let Some(compared) = &report.lookup {
        let _ = writeln!(text, "\nCompared with CloudTrail's own history");
        for line in history(compared) {
            let _ = writeln!(text, "  {}", printable(&line));
        }
    }
    section(&mut text, "Not looked at", &report.unread, 0);
    text
}

/// Which chain.
pub(super) fn title(chain: &Chain) -> String {
    let late = if chain.is_backfill {
        ", late digests"
    } else {
        ""
    };
    format!(
        "trail {} of {}, account {} in {}{late}",
        chain.trail.as_deref().unwrap_or("of no name"),
        chain.home_region.as_deref().unwrap_or("an unknown region"),
        chain.account,
        chain.region,
    )
}

/// Numbers, in words.
pub(super) fn count(count: Count) -> String {
    format!(
        "{} proven, {} failed, {} unknown",
        count.pass, count.fail, count.unknown
    )
}

/// The hours of a chain that are not proven.
pub(super) fn open(chain: &Chain) -> impl Iterator<Item = &Stretch> {
    chain.hours.iter().filter(|it| it.verdict != Verdict::Pass)
}

/// Hours and why they are not proven.
pub(super) fn hours(hours: &Stretch) -> String {
    format!(
        "{} to {}: {}: {}; what would tell: {}",
        hours.from,
        hours.until,
        hours.verdict.as_str(),
        hours.why,
        hours.tells,
    )
}

/// A file and why it is not proven.
pub(super) fn outcome(outcome: &Outcome) -> String {
    format!(
        "{} {}: {}: {}; what would tell: {}",
        outcome.kind.as_str(),
        outcome.name,
        outcome.verdict.as_str(),
        outcome.why,
        outcome.tells,
    )
}

/// A silence.
pub(super) fn silence(silence: &Silence) -> String {
    format!(
        "{} to {}, account {} in {}: {}",
        silence.from, silence.until, silence.account, silence.region, silence.what
    )
}

/// What came of the comparison with the history.
pub(super) fn history(compared: &Compared) -> Vec<String> {
    let mut lines = vec![
        format!("{}: {}", compared.verdict.as_str(), compared.why),
        format!(
            "{} events are in both, {} in the history alone, {} in the bucket alone (an export may lack these)",
            compared.both, compared.only_history_count, compared.only_bucket_count
        ),
    ];
    for lacking in compared.only_history.iter().take(SHOWN) {
        lines.push(format!(
            "{} {} {} {}: {}: {}",
            lacking.at,
            lacking.source,
            lacking.name,
            lacking.event_id,
            lacking.verdict.as_str(),
            lacking.why
        ));
    }
    lines
}

fn section(text: &mut String, title: &str, items: &[String], left_out: u64) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for item in items.iter().take(SHOWN) {
        let _ = writeln!(text, "  {}", printable(item));
    }
    let more = items.len().saturating_sub(SHOWN) as u64 + left_out;
    if more > 0 {
        let _ = writeln!(text, "  and {more} more: --output json or jsonl");
    }
}

fn lines(text: &mut String, title: &str, items: &[String]) {
    for (at, item) in items.iter().take(SHOWN).enumerate() {
        let title = if at == 0 { title } else { "" };
        let _ = writeln!(text, "  {title:<11}{}", printable(item));
    }
    if items.len() > SHOWN {
        let _ = writeln!(
            text,
            "             and {} more: --output json",
            items.len() - SHOWN
        );
    }
}

/// One document.
pub(super) fn json(report: &Report) -> String {
    quiet_json(&format!("{:#}", json!(report))) + "\n"
}

/// The last line of many: all but what the lines before it said.
pub(super) fn summary(report: &Report) -> Value {
    let mut value = json!(report);
    if let Value::Object(members) = &mut value {
        members.remove("faults");
        members.remove("faults_left_out");
        members.insert("kind".to_owned(), Value::from("report"));
    }
    value
}
