//! What a notice says: from what happened to an incident or a node, or to many of them.
//!
//! What must stay true: who sees only some clusters is not told what an incident holds of others; every
//! notice leads to its page.

use std::collections::BTreeMap;

use davylamp_ledger::rows::{IncidentRow, NOT_DUE, severity_of};
use davylamp_model::ids::IncidentId;
use davylamp_notice::{Kind, Link, NextStep, Notice, Summary};
use jiff::Timestamp;

use super::What;
use super::outbox::Item;

/// So many happenings of one incident are told one by one.
const TOLD: usize = 40;

/// What belongs together, with what is known of it.
#[derive(Debug)]
pub(super) struct Group {
    /// In the order in which they happened.
    pub items: Vec<Item>,
    /// The incident as it is now.
    pub row: Option<IncidentRow>,
    /// Whether it reaches what its reader may not see.
    pub is_veiled: bool,
}

/// What all notices of this console share.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    /// The address of the console, without a slash at its end.
    pub url: String,
}

impl Writer {
    fn incident_id(&self, no: i64) -> IncidentId {
        // Two consoles may send to one place, and each counts from one.
        let host = url::Url::parse(&self.url).ok();
        let host = host.as_ref().and_then(url::Url::host_str);
        IncidentId(match host {
            Some(host) => format!("incident-{no}@{host}"),
            None => format!("incident-{no}"),
        })
    }

    fn page(&self, no: i64) -> Link {
        Link {
            label: format!("Incident #{no}"),
            url: format!("{}/incidents/{no}", self.url),
        }
    }

    /// The notice about one incident, or the nodes of one cluster.
    pub fn one(&self, group: &Group, now: Timestamp) -> Notice {
        let mut notice = Notice::new(kind(group), severity(group), title(group), now);
        notice.found = told(group);
        let Some(row) = &group.row else {
            notice.links.push(Link {
                label: "Nodes".to_owned(),
                url: format!("{}/nodes", self.url),
            });
            return notice;
        };
        notice.incident = Some(self.incident_id(row.id));
        notice.links.push(self.page(row.id));
        notice.is_over = row.state == "closed";
        if row.owner.is_none() && !notice.is_over {
            notice.waiting.push("somebody who owns it".to_owned());
            notice.next.push(NextStep {
                what: format!("take it, on the page of incident #{}", row.id),
                command: None,
            });
        }
        if row.due != NOT_DUE && !notice.is_over {
            notice.waiting.push(clock(row));
        }
        if !group.is_veiled {
            notice.who.extend(facts(row));
        }
        notice
    }

    /// Many at once. `held`: so many had to wait for their channel's bounds.
    pub fn digest(&self, groups: &[Group], held: usize, per_hour: i64, now: Timestamp) -> Notice {
        let mut order: Vec<&Group> = groups.iter().collect();
        order.sort_by_key(|group| (std::cmp::Reverse(severity(group)), first(group)));
        let worst = order
            .first()
            .map_or(davylamp_model::finding::Severity::Low, |group| {
                severity(group)
            });
        let incidents = order.iter().filter(|group| group.row.is_some()).count();
        let mut counts: BTreeMap<What, usize> = BTreeMap::new();
        for item in groups.iter().flat_map(|group| &group.items) {
            *counts.entry(item.happening.what).or_default() += 1;
        }
        let said: Vec<String> = counts
            .iter()
            .map(|(what, n)| format!("{n} × {}", what.words()))
            .collect();
        let of = match incidents {
            0 => "nodes".to_owned(),
            1 => "1 incident".to_owned(),
            n => format!("{n} incidents"),
        };
        let title = format!("{of}: {}", said.join(", "));
        let mut notice = Notice::new(Kind::Digest, worst, title, now);
        if held > 0 {
            notice.found.push(format!(
                "{held} of these were held back: no more than {per_hour} notices an hour go this way"
            ));
        }
        notice.found.extend(said);
        notice.incidents = order
            .iter()
            .map(|group| Summary {
                incident: group.row.as_ref().map(|row| self.incident_id(row.id)),
                kind: kind(group),
                severity: severity(group),
                place: None,
                title: title_of(group),
                done: 0,
                not_done: 0,
                waiting: 0,
            })
            .collect();
        notice.links = order
            .iter()
            .filter_map(|group| Some(self.page(group.row.as_ref()?.id)))
            .collect();
        notice.links.insert(
            0,
            Link {
                label: "All incidents".to_owned(),
                url: format!("{}/incidents", self.url),
            },
        );
        notice
    }

    /// A notice that says that a channel works.
    pub fn test(&self, channel: &str, by: &str, now: Timestamp) -> Notice {
        let title = format!("a test of the channel {channel}");
        let severity = davylamp_model::finding::Severity::Low;
        let mut notice = Notice::new(Kind::Update, severity, title, now);
        notice.found = vec![
            format!("{by} asked for it"),
            "nothing happened, and nothing has to be done".to_owned(),
        ];
        notice.links.push(Link {
            label: "Notices".to_owned(),
            url: format!("{}/settings/notices", self.url),
        });
        // What it may open at PagerDuty, the next one closes.
        notice.incident = Some(IncidentId(format!("test-of-{channel}")));
        notice
    }
}

fn first(group: &Group) -> i64 {
    group.row.as_ref().map_or(i64::MAX, |row| row.id)
}

fn severity(group: &Group) -> davylamp_model::finding::Severity {
    let items = group.items.iter().map(|item| item.severity);
    let row = group.row.iter().map(|row| row.severity);
    severity_of(items.chain(row).max().unwrap_or(0))
}

/// The most urgent of what happened.
fn kind(group: &Group) -> Kind {
    let kinds: Vec<Kind> = group
        .items
        .iter()
        .map(|it| it.happening.what.kind())
        .collect();
    [Kind::Failure, Kind::ApprovalNeeded, Kind::Reminder]
        .into_iter()
        .find(|kind| kinds.contains(kind))
        .unwrap_or(Kind::Update)
}

/// What happened, each thing once, the most urgent first.
fn whats(group: &Group) -> Vec<What> {
    let mut whats: Vec<What> = group.items.iter().map(|it| it.happening.what).collect();
    whats.sort_unstable();
    whats.dedup();
    whats
}

fn title(group: &Group) -> String {
    let said: Vec<&str> = whats(group).into_iter().map(What::words).collect();
    let said = said.join(", ");
    match &group.row {
        Some(row) => format!("#{} {said}: {}", row.id, about(group, row)),
        None => format!("{said}: {}", node(group)),
    }
}

fn title_of(group: &Group) -> String {
    let said: Vec<&str> = whats(group).into_iter().map(What::words).collect();
    match &group.row {
        Some(row) => format!("{} ({})", about(group, row), said.join(", ")),
        None => format!("{} ({})", node(group), said.join(", ")),
    }
}

fn about(group: &Group, row: &IncidentRow) -> String {
    match group.is_veiled {
        true => "across clusters".to_owned(),
        false => row.title.clone(),
    }
}

fn node(group: &Group) -> String {
    let said: Vec<&str> = group
        .items
        .iter()
        .map(|item| item.happening.said.as_str())
        .collect();
    match said.as_slice() {
        [one] => (*one).to_owned(),
        _ => format!("{} nodes", said.len()),
    }
}

fn told(group: &Group) -> Vec<String> {
    let line = |item: &Item| {
        let at = Timestamp::from_microsecond(item.happening.at).unwrap_or_default();
        let at = at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let what = item.happening.what.words();
        match group.is_veiled {
            true => format!("{at} {what}"),
            false => format!("{at} {what}: {}", item.happening.said),
        }
    };
    let mut lines: Vec<String> = group.items.iter().take(TOLD).map(line).collect();
    let more = group.items.len().saturating_sub(TOLD);
    if more > 0 {
        lines.push(format!("and {more} more, which are on its page"));
    }
    lines
}

fn clock(row: &IncidentRow) -> String {
    let due = Timestamp::from_microsecond(row.due).unwrap_or(Timestamp::MAX);
    let due = due.strftime("%Y-%m-%d %H:%M UTC");
    match row.due_why.as_str() {
        "" => format!("due {due}"),
        why => format!("due {due}: {why}"),
    }
}

fn facts(row: &IncidentRow) -> Vec<String> {
    let names = |list: &str| {
        let names: Vec<String> = serde_json::from_str(list).unwrap_or_default();
        names.join(", ")
    };
    let mut facts = Vec::new();
    for (what, said) in [
        ("state", row.state.clone()),
        ("owner", row.owner.clone().unwrap_or_default()),
        ("users", names(&row.users)),
        ("clusters", names(&row.clusters)),
    ] {
        if !said.is_empty() {
            facts.push(format!("{what}: {said}"));
        }
    }
    facts
}
