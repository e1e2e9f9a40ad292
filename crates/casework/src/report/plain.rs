//! A case in a few lines, for a terminal.
//!
//! What must stay true: no more lines than a screen has; nothing that others wrote moves the cursor or
//! turns the text; what is left out is counted.

use davylamp_model::verdict::Verdict;
use davylamp_model::visible;

use super::{story, word};
use crate::case::{Case, Existence};

/// A line has so many letters at the most.
const MOST_CHARS: usize = 160;
/// So many of each kind are shown.
const MOST_SAID: usize = 8;
const MOST_NAMED: usize = 6;
const MOST_TAMPERED: usize = 3;
const MOST_LEADS: usize = 5;
const MOST_STEPS: usize = 6;
const MOST_UNKNOWN: usize = 3;

/// The case as text of at most about forty lines.
pub fn plain(case: &Case) -> String {
    let mut lines = vec![story::title(case)];
    if let Some(span) = case.span {
        let length = word::length(span.first, span.last);
        lines.push(format!("  {} ({length})", word::span(span)));
    }
    let said = case.summary.iter().map(|one| one.text.clone());
    some(&mut lines, said.collect(), MOST_SAID);
    if let Some(origin) = &case.origin {
        lines.push(format!("Began {}: {}", word::span(origin.at), origin.how));
    }
    if case.origin.is_none() {
        let leads = case.leads.iter().take(MOST_LEADS);
        let leads =
            leads.map(|one| format!("{} ({:.0}): {}", one.about, one.score, one.statement.text));
        titled(&mut lines, "Stands out", leads.collect(), MOST_LEADS);
    }
    let named: Vec<String> = case
        .innocence
        .iter()
        .map(|one| {
            let verdict = match one.verdict {
                Verdict::Pass => "cleared",
                Verdict::Fail => "NOT cleared",
                Verdict::Unknown => "unknown",
            };
            format!("{}: {verdict}. {}", one.principal, one.statement.text)
        })
        .collect();
    titled(&mut lines, "Who", named, MOST_NAMED);
    lines.push(format!("Left: {}", left(case)));
    let tampered = case.tampering.iter().map(|one| {
        let gap = one
            .gap
            .map(|gap| format!("; nothing logged {}", word::gap(gap)));
        format!("{}{}", one.what, gap.unwrap_or_default())
    });
    titled(&mut lines, "Logs", tampered.collect(), MOST_TAMPERED);
    if let Some(integrity) = &case.integrity {
        let verdict = word::whole(integrity.verdict);
        lines.push(format!("Log files: {verdict}: {}", integrity.why));
    }
    lines.push(format!("Cost: {}", cost(case)));
    let mut steps: Vec<_> = case.next_steps.iter().collect();
    steps.sort_by_key(|step| step.rank);
    let steps = steps.into_iter().map(|step| step.statement.text.clone());
    titled(&mut lines, "Next", steps.collect(), MOST_STEPS);
    let unknown = case
        .unknowns
        .iter()
        .map(|one| format!("{}: {}", one.what, one.why));
    titled(&mut lines, "Not known", unknown.collect(), MOST_UNKNOWN);
    lines.iter().fold(String::new(), |mut text, line| {
        text.push_str(&visible::cut(line, MOST_CHARS));
        text.push('\n');
        text
    })
}

fn titled(lines: &mut Vec<String>, title: &str, said: Vec<String>, most: usize) {
    if !said.is_empty() {
        lines.push(format!("{title}:"));
        some(lines, said, most);
    }
}

fn some(lines: &mut Vec<String>, said: Vec<String>, most: usize) {
    let more = said.len().saturating_sub(most);
    lines.extend(said.into_iter().take(most).map(|one| format!("  {one}")));
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
}

fn left(case: &Case) -> String {
    if case.reach.is_empty() {
        return "nothing that is known".to_owned();
    }
    let made = |is: &dyn Fn(&Existence) -> bool| {
        let things = case.reach.iter();
        let things = things.filter(|one| matches!(one.how.as_str(), "created" | "changed"));
        things.filter(|one| is(&one.exists)).count() as u64
    };
    let there = made(&|existence| matches!(existence, Existence::At(_)));
    let unknown = made(&|existence| matches!(existence, Existence::Unknown(_)));
    let gone = made(&|existence| matches!(existence, Existence::GoneBy(_)));
    let machines = case
        .reach
        .iter()
        .filter(|one| one.kind == "instance" && matches!(one.exists, Existence::At(_)));
    format!(
        "{} of the intruder's still there ({}), {} gone, {} unknown",
        word::count(there, "thing", "things"),
        word::count(machines.count() as u64, "machine", "machines"),
        word::number(gone),
        word::number(unknown)
    )
}

fn cost(case: &Case) -> String {
    let Some(cost) = &case.cost else {
        return "unknown".to_owned();
    };
    let range = word::usd_range(cost.low_micro_usd, cost.high_micro_usd);
    let mut said = format!(
        "{range}, likely {} (estimate)",
        word::usd(cost.likely_micro_usd)
    );
    if cost.is_open {
        said.push_str(", and the real cost may lie outside that");
    }
    if let Some(billed) = &cost.billed {
        said.push_str(&format!("; billed {}", word::usd(billed.micro_usd)));
    }
    if cost.burn_micro_usd_hour > 0 {
        said.push_str(&format!(
            "; {} an hour and going on",
            word::usd(cost.burn_micro_usd_hour)
        ));
    }
    said
}
