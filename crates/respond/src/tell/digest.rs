//! Many incidents as one notice: what a storm of findings makes.
//!
//! What must stay true: every incident is in it, the worst first, because what is too long is cut at
//! its end; what was done and not done is summed up with how often, and never left out.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::finding::Severity;
use davylamp_model::resource::Place;
use davylamp_notice::{Kind, NextStep, NotDone, Notice, Summary};
use davylamp_plan::plan::Plan;

use super::{DRY_RUN, notice};
use crate::responder::News;

/// So many places are named in a title, which is one line.
const NAMED_PLACES: usize = 3;

/// The notice about many incidents.
pub fn digest(news: &[News]) -> Notice {
    let mut all: Vec<(&News, Notice)> = news.iter().map(|one| (one, notice(one))).collect();
    all.sort_by(|(_, one), (_, other)| {
        let urgency = |notice: &Notice| (notice.severity, urgency(notice.kind));
        urgency(other)
            .cmp(&urgency(one))
            .then_with(|| one.incident.cmp(&other.incident))
    });
    let at = news.iter().map(|one| one.at).max().unwrap_or_default();
    let mut digest = Notice::new(
        Kind::Digest,
        all.first()
            .map_or(Severity::Low, |(_, worst)| worst.severity),
        title(&all),
        at,
    );
    digest.incidents = all.iter().map(|(_, notice)| summary(notice)).collect();
    digest.found = tallied(all.iter().flat_map(|(one, notice)| {
        // Another finding of the same kind in the same incident makes it no second incident.
        let kinds: BTreeSet<&str> = one.findings.iter().map(|it| it.kind.as_str()).collect();
        let said = kinds.into_iter();
        said.map(|kind| (kind.to_owned(), named(notice, kind)))
    }));
    let steps = |list: fn(&Notice) -> &Vec<String>| {
        tallied(all.iter().flat_map(move |(one, notice)| {
            let lines = list(notice).iter();
            lines.map(|line| (of_kind(one.plan.as_ref(), line), named(notice, line)))
        }))
    };
    digest.done = steps(|notice| &notice.done);
    digest.waiting = steps(|notice| &notice.waiting);
    digest.not_done = not_done(&all);
    // Whom, and why; the whole chain of proofs is in the incident.
    digest.who = tallied(all.iter().flat_map(|(_, notice)| {
        let who = notice.who.first().into_iter();
        who.map(|line| (line.clone(), named(notice, line)))
    }));
    digest.cost = all
        .iter()
        .flat_map(|(_, notice)| notice.cost.iter().map(|line| named(notice, line)))
        .collect();
    digest.next = next(&all);
    digest
}

/// What a person has to look at comes first among what is equally severe.
fn urgency(kind: Kind) -> u8 {
    match kind {
        Kind::Failure => 2,
        Kind::ApprovalNeeded => 1,
        Kind::Report | Kind::Digest | Kind::Reminder | Kind::Update => 0,
    }
}

fn title(all: &[(&News, Notice)]) -> String {
    let mut places: BTreeMap<&Place, usize> = BTreeMap::new();
    for place in all.iter().filter_map(|(_, notice)| notice.place.as_ref()) {
        *places.entry(place).or_default() += 1;
    }
    let mut places: Vec<(&Place, usize)> = places.into_iter().collect();
    places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let names: Vec<String> = places
        .iter()
        .take(NAMED_PLACES)
        .map(|(place, _)| format!("{}/{}", place.account, place.region))
        .collect();
    let more = match places.len().saturating_sub(NAMED_PLACES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let is_dry = all.iter().all(|(one, _)| one.dry_run);
    let dry_run = if is_dry { DRY_RUN } else { "" };
    let place = if names.is_empty() { "" } else { " in " };
    let of_kind = |kind| all.iter().filter(|(_, notice)| notice.kind == kind).count();
    let urgent = [
        (Kind::Failure, "with a failure"),
        (Kind::ApprovalNeeded, "waiting for a person"),
    ];
    let urgent = urgent.map(|(kind, what)| (of_kind(kind), what));
    let urgent = urgent.iter().filter(|(count, _)| *count > 0);
    let urgent: Vec<String> = urgent
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let urgent = match urgent.is_empty() {
        true => String::new(),
        false => format!(" ({})", urgent.join(", ")),
    };
    format!(
        "{dry_run}{} incidents{urgent}{place}{}{more}",
        all.len(),
        names.join(", ")
    )
}

fn summary(notice: &Notice) -> Summary {
    Summary {
        incident: notice.incident.clone(),
        kind: notice.kind,
        severity: notice.severity,
        place: notice.place.clone(),
        title: notice.title.clone(),
        done: notice.done.len(),
        not_done: notice.not_done.len(),
        waiting: notice.waiting.len(),
    }
}

/// A line with the incident that it is about.
fn named(notice: &Notice, text: &str) -> String {
    match &notice.incident {
        Some(incident) => format!("{incident}: {text}"),
        None => text.to_owned(),
    }
}

/// What a line about a step is counted as: its verb. Any other line is counted as itself.
fn of_kind(plan: Option<&Plan>, line: &str) -> String {
    let first = line.split(' ').next().unwrap_or_default();
    let mut steps = plan.iter().flat_map(|plan| &plan.steps);
    if steps.any(|step| step.action.verb() == first) {
        first.to_owned()
    } else {
        line.to_owned()
    }
}

/// Lines of one kind as one, with how often and the first as an example; the most frequent first.
fn tallied(lines: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut counts: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (kind, example) in lines {
        counts.entry(kind).or_insert((0, example)).0 += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    counts
        .into_iter()
        .map(|(kind, (count, example))| match count {
            1 => example,
            _ => format!("{kind}, {count} times, such as {example}"),
        })
        .collect()
}

/// What was not done, by reason: in a storm one reason stops many things.
fn not_done(all: &[(&News, Notice)]) -> Vec<NotDone> {
    let mut reasons: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for (_, notice) in all {
        for it in &notice.not_done {
            let first = || (0, named(notice, &it.what));
            reasons.entry(&it.why).or_insert_with(first).0 += 1;
        }
    }
    let mut list: Vec<_> = reasons.into_iter().collect();
    list.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    list.into_iter()
        .map(|(why, (count, first))| NotDone {
            what: match count {
                1 => first,
                _ => format!("{count} things, such as {first}"),
            },
            why: why.to_owned(),
        })
        .collect()
}

fn next(all: &[(&News, Notice)]) -> Vec<NextStep> {
    let mut next = vec![NextStep {
        what: "read one of them".to_owned(),
        command: Some("davy respond status INCIDENT".to_owned()),
    }];
    let asking = all
        .iter()
        .filter(|(_, notice)| notice.kind == Kind::ApprovalNeeded);
    next.extend(asking.map(|(one, notice)| NextStep {
        what: format!("say yes to what waits for a person: {}", notice.title),
        command: Some(format!("davy respond approve {}", one.incident)),
    }));
    next
}
