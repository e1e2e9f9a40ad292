//! Many notices as one: what a storm of findings makes.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Kind, NextStep, NotDone, Notice, Summary};

/// One notice for all of them, if they are more than `above`; else they stay apart.
///
/// Reports, reminders and needed approvals are joined. Failures are joined too, and what did not
/// work is in the digest with its reason, because a storm is when most fails at once.
pub fn compose(notices: Vec<Notice>, above: usize, at: Timestamp) -> Vec<Notice> {
    if notices.len() <= above {
        return notices;
    }
    digest(&notices, at).into_iter().collect()
}

/// One notice for all of them; none for none. The worst stand first.
pub fn digest(notices: &[Notice], at: Timestamp) -> Option<Notice> {
    let severity = notices.iter().map(|notice| notice.severity).max()?;
    let mut sorted: Vec<&Notice> = notices.iter().collect();
    sorted.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| a.incident.cmp(&b.incident))
    });
    let places: std::collections::BTreeSet<_> =
        notices.iter().filter_map(|it| it.place.as_ref()).collect();
    let mut digest = Notice::new(
        Kind::Digest,
        severity,
        format!(
            "{} notices from {} accounts and regions",
            notices.len(),
            places.len()
        ),
        at,
    );
    digest.incidents = sorted.iter().map(|notice| summary(notice)).collect();
    digest.found = sorted
        .iter()
        .flat_map(|notice| notice.found.iter().map(|text| named(notice, text)))
        .collect();
    digest.done = counted(
        sorted
            .iter()
            .flat_map(|notice| notice.done.iter().map(|text| (text.as_str(), *notice))),
    );
    digest.not_done = not_done(&sorted);
    digest.waiting = sorted
        .iter()
        .flat_map(|notice| notice.waiting.iter().map(|text| named(notice, text)))
        .collect();
    digest.who = sorted
        .iter()
        .flat_map(|notice| notice.who.iter().map(|text| named(notice, text)))
        .collect();
    digest.cost = sorted
        .iter()
        .flat_map(|notice| notice.cost.iter().map(|text| named(notice, text)))
        .collect();
    digest.next = next(&sorted);
    for notice in &sorted {
        for link in &notice.links {
            if !digest.links.contains(link) {
                digest.links.push(link.clone());
            }
        }
    }
    Some(digest)
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

/// The same line of many notices once, with how often.
fn counted<'a>(lines: impl Iterator<Item = (&'a str, &'a Notice)>) -> Vec<String> {
    let mut counts: BTreeMap<&str, (usize, &Notice)> = BTreeMap::new();
    for (text, notice) in lines {
        counts.entry(text).or_insert((0, notice)).0 += 1;
    }
    counts
        .into_iter()
        .map(|(text, (count, notice))| match count {
            1 => named(notice, text),
            _ => format!("{text} (in {count} incidents)"),
        })
        .collect()
}

/// What was not done, by reason: in a storm one reason stops many things.
fn not_done(notices: &[&Notice]) -> Vec<NotDone> {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for notice in notices {
        for it in &notice.not_done {
            let what = named(notice, &it.what);
            reasons.entry(&it.why).or_default().push(what);
        }
    }
    let mut list: Vec<_> = reasons.into_iter().collect();
    list.sort_by_key(|(_, what)| std::cmp::Reverse(what.len()));
    list.into_iter()
        .map(|(why, what)| NotDone {
            what: match what.as_slice() {
                [only] => only.clone(),
                [first, ..] => format!("{} things, such as {first}", what.len()),
                [] => String::new(),
            },
            why: why.to_owned(),
        })
        .collect()
}

fn next(notices: &[&Notice]) -> Vec<NextStep> {
    let mut steps: Vec<NextStep> = Vec::new();
    for notice in notices {
        for step in &notice.next {
            if !steps.contains(step) {
                steps.push(step.clone());
            }
        }
    }
    steps
}
