//! An entry of the ledger in words.

use davylamp_ledger::Entry;
use davylamp_ledger::record::{
    Access, Action, Choice, Clock, Decision, Evidence, FindingRecord, Heartbeat, IncidentNo, Note,
    Owner, OwnerStep, Plan, Record, Run, Setting, Stage, Tick,
};
use davylamp_model::resource::Resource;
use jiff::Timestamp;
use maud::{Markup, html};

use super::{text, time, word};
use crate::access::Scope;

/// What an entry says; `None` where its body was removed or cannot be read.
pub(super) fn record(entry: &Entry) -> Option<Record> {
    serde_json::from_str(entry.body.as_deref()?).ok()
}

/// Whether somebody may read what an entry says, as far as it says itself of which cluster it is.
/// Entries that name none are of everything.
pub(super) fn is_in(scope: &Scope, record: Option<&Record>) -> bool {
    match record {
        _ if scope.is_all() => true,
        Some(Record::Finding(finding)) => scope.holds(&finding.reporter.cluster),
        Some(Record::Heartbeat(heartbeat)) => scope.holds(&heartbeat.reporter.cluster),
        _ => false,
    }
}

/// The entry in words.
pub(super) fn words(entry: &Entry, record: Option<&Record>, now: Timestamp) -> Markup {
    match record {
        Some(record) => said(entry.seq, record, now),
        None if entry.body.is_none() => html! {
            span.muted { "Retention has removed what this entry (" (entry.kind) ") said; the digest of it stays." }
        },
        None => html! { strong { "This entry cannot be read: verify the ledger." } },
    }
}

fn said(seq: i64, record: &Record, now: Timestamp) -> Markup {
    match record {
        Record::Finding(record) => finding(seq, record),
        Record::IncidentOpened(record) => {
            html! { "Incident " (link(IncidentNo(seq))) " was opened: " (text::brief(&record.title)) " " (word::severity(record.severity)) }
        }
        Record::IncidentMerged(record) => {
            html! { "Incident " (record.from) " turned out to be part of " (link(record.into)) }
        }
        Record::FindingJoined(record) => {
            let n = i64::try_from(record.findings.len()).unwrap_or(i64::MAX);
            html! { (word::count(n, "finding belongs", "findings belong")) " to " (link(record.incident)) ", which came near" }
        }
        Record::IncidentState(record) => html! {
            (by(&record.by)) " set " (link(record.incident)) " to " (word::state(record.state.as_str()))
            (because(&record.reason))
        },
        Record::Owner(record) => owner(record),
        Record::Clock(record) => clock(record, now),
        Record::Plan(record) => plan(record),
        Record::Action(record) => action(record),
        Record::Evidence(record) => evidence(record),
        Record::Decision(record) => decision(record, now),
        Record::Note(record) => note(record),
        Record::Access(record) => access(record),
        Record::Heartbeat(record) => heartbeat(record),
        Record::Run(record) => run(record),
        Record::Setting(record) => setting(record),
        Record::Retention(record) => html! {
            "Retention removed what " (word::count(count(record.entries.len()), "entry", "entries")) " said: "
            (text::brief(&record.policy))
        },
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn link(incident: IncidentNo) -> Markup {
    html! { a href=(format!("/incidents/{}", incident.0)) { (incident) } }
}

fn about(incident: Option<IncidentNo>) -> Markup {
    html! { @if let Some(incident) = incident { " in " (link(incident)) } }
}

fn by(name: &str) -> Markup {
    html! { strong { (text::brief(name)) } }
}

fn because(reason: &str) -> Markup {
    html! { @if !reason.trim().is_empty() { blockquote { (text::lines(reason)) } } }
}

/// The command line of a finding.
pub(super) fn command(record: &FindingRecord) -> Option<&str> {
    let observed = &record.finding.observed;
    let named = |what: &str| observed.iter().find(|seen| seen.what == what);
    let found = named("command-line").or_else(|| named("process"));
    found.map(|seen| seen.value.as_str())
}

/// Where a finding was: its user, pod and node, as far as they are known.
pub(super) fn places(record: &FindingRecord) -> Vec<(&'static str, String)> {
    let mut places = Vec::new();
    for resource in &record.finding.resources {
        match resource {
            Resource::HubUser { user, .. } => places.push(("user", user.to_string())),
            Resource::Workload {
                namespace, name, ..
            } => {
                places.push(("pod", format!("{namespace}/{name}")));
            }
            Resource::Instance { id } => places.push(("instance", id.to_string())),
            _ => {}
        }
    }
    for (what, name) in [
        ("node", &record.reporter.node),
        ("cluster", &record.reporter.cluster),
    ] {
        if !name.is_empty() {
            places.push((what, name.clone()));
        }
    }
    places
}

fn finding(seq: i64, record: &FindingRecord) -> Markup {
    html! {
        (word::taken(record.taken)) " " (word::severity(record.finding.severity)) " "
        a href=(format!("/findings/{seq}")) { (text::brief(&record.finding.title)) }
        @if let Some(command) = command(record) { " " code.command { (text::brief(command)) } }
        span.places { @for (what, name) in places(record) { span { span.muted { (what) } " " (text::brief(&name)) } " " } }
    }
}

fn owner(record: &Owner) -> Markup {
    let to = |verb: &str| html! { (by(&record.by)) " " (verb) " " (link(record.incident)) " to " (by(&record.owner)) };
    match record.step {
        OwnerStep::Assigned => to("assigned"),
        OwnerStep::Delegated => to("handed on"),
        OwnerStep::Accepted => html! { (by(&record.by)) " accepted " (link(record.incident)) },
        OwnerStep::Declined => {
            html! { (by(&record.by)) " declined " (link(record.incident)) ": it has no owner" }
        }
    }
}

fn clock(record: &Clock, now: Timestamp) -> Markup {
    match &record.tick {
        Tick::Due { until, why } => html! {
            (by(&record.by)) " set a clock for " (link(record.incident)) ": due "
            (time::both(until.as_microsecond(), now)) (because(why))
        },
        Tick::Met => html! { (by(&record.by)) " met the clock of " (link(record.incident)) },
        Tick::Escalated { to } => html! {
            strong { "The clock of " (link(record.incident)) " ran out" } ": told " (by(to))
        },
    }
}

fn plan(record: &Plan) -> Markup {
    html! {
        (by(&record.by)) " planned" (about(record.incident)) ": " (text::brief(&record.summary))
        @if !record.left_out.is_empty() { " " span.muted { "(" (word::count(count(record.left_out.len()), "thing", "things")) " left out, each with its reason)" } }
    }
}

fn action(record: &Action) -> Markup {
    let stage = match record.stage {
        Stage::Before => "is about to do",
        Stage::Done => "did",
        Stage::Withheld => "did not, because of a brake, do",
        Stage::Failed => "failed to do",
        Stage::Undone => "took back",
    };
    html! {
        (by(&record.by)) " " (stage) " " strong { (text::brief(&record.what)) } " to " (text::brief(&record.target))
        (about(record.incident))
        @if !record.detail.is_empty() { ": " (text::brief(&record.detail)) }
    }
}

/// Where it lies is on its own page alone, whose reading is written down.
fn evidence(record: &Evidence) -> Markup {
    html! {
        (by(&record.by)) " kept evidence" (about(record.incident)) ": " (text::brief(&record.what))
        @if record.sha256.is_none() { " " span.warn { "without a digest" } }
    }
}

fn decision(record: &Decision, now: Timestamp) -> Markup {
    let plan =
        html! { @if let Some(plan) = &record.plan { " plan " code { (text::brief(plan)) } } };
    html! {
        (by(&record.by))
        @match &record.choice {
            Choice::Approve => { " approved" (plan) }
            Choice::Run => { " ran" (plan) }
            Choice::Undo => { " took back" (plan) }
            Choice::AcceptRisk { until } => { " accepted the risk until " (time::both(until.as_microsecond(), now)) }
            Choice::Close => { " closed it" }
        }
        (about(record.incident)) (because(&record.reason))
    }
}

fn note(record: &Note) -> Markup {
    html! { (by(&record.by)) " wrote" (about(record.incident)) (because(&record.text)) }
}

fn access(record: &Access) -> Markup {
    html! { (by(&record.by)) " read evidence" (about(record.incident)) (because(&record.purpose)) }
}

fn heartbeat(record: &Heartbeat) -> Markup {
    html! {
        "Node " (text::brief(&record.reporter.node)) " of " (text::brief(&record.reporter.cluster)) " says: version "
        (text::brief(&record.version)) ", " (text::brief(&record.coverage))
        @if record.canary_caught == Some(false) { " " strong.warn { "its canary was not caught" } }
        @if record.lost_events > 0 { " " strong.warn { (word::count(record.lost_events, "event was", "events were")) " lost" } }
    }
}

fn run(record: &Run) -> Markup {
    html! {
        (by(&record.by)) " ran " (text::brief(&record.verb)) " " (text::brief(&record.name))
        @for (name, n) in &record.counts { " · " (text::brief(name)) " " (n) }
    }
}

fn setting(record: &Setting) -> Markup {
    let value = |value: &Option<serde_json::Value>| match value {
        None => html! { span.muted { "nothing" } },
        Some(value) => html! { code { (text::brief(&value.to_string())) } },
    };
    html! { (by(&record.by)) " changed " strong { (text::brief(&record.name)) } " from " (value(&record.from)) " to " (value(&record.to)) }
}
