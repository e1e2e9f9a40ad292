//! An entry of the ledger in words.

use davylamp_ledger::Entry;
use davylamp_ledger::record::{
    Access, Action, Audit, Blocklist, Choice, Clock, Cost, Decision, Errand, Evidence,
    FindingRecord, Heartbeat, IncidentNo, Job, JobStage, JobStep, Note, Owner, OwnerStep, Plan,
    Record, Run, Setting, Stage, Tick,
};
use davylamp_model::resource::Resource;
use davylamp_model::verdict::Verdict;
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
        Some(Record::Finding(finding)) => scope.holds(&finding.place()),
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
        Record::Audit(record) => audit(record),
        Record::Cost(record) => cost(record),
        Record::Job(record) => job(record),
        Record::JobStep(record) => job_step(record, now),
        Record::Blocklist(record) => blocklist(record),
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
        ("cluster", &record.place()),
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
            Choice::AcceptRisk { until } => {
                " accepted the risk" @if let Some(subject) = &record.subject { " of " (text::brief(subject)) }
                " until " (time::both(until.as_microsecond(), now))
            }
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
        @if let Some(error) = &record.error { " " strong.warn { "it did not come to its end" } ": " (text::brief(error)) }
    }
}

fn audit(record: &Audit) -> Markup {
    let counted = |verdict: Verdict| {
        let of_it = record.outcomes.iter().filter(|it| it.verdict == verdict);
        of_it.count()
    };
    html! {
        (by(&record.by)) " audited " strong { (text::brief(&record.target)) } " with " (text::brief(&record.name)) ": "
        (counted(Verdict::Fail)) " failed · " (counted(Verdict::Unknown)) " unknown · " (counted(Verdict::Pass)) " passed"
    }
}

fn cost(record: &Cost) -> Markup {
    html! {
        (by(&record.by)) " says that " (link(record.incident)) " cost " (word::usd(record.low_micro_usd)) " to "
        (word::usd(record.high_micro_usd)) " so far, and " (word::usd(record.per_hour_micro_usd)) " an hour"
        @if !record.unknown.is_empty() { " " span.warn { "without what is not known: " (text::brief(&record.unknown.join("; "))) } }
    }
}

fn errand(errand: &Errand) -> Markup {
    match errand {
        Errand::Plan => html! { "to plan" },
        Errand::Run { plan, approved_by } => html! {
            "to carry out plan " code { (text::brief(plan)) }
            @match approved_by {
                Some(name) => { " with the yes of " (by(name)) }
                None => { " as far as nobody has to say yes" }
            }
        },
        Errand::Undo { plan } => html! { "to take back plan " code { (text::brief(plan)) } },
        Errand::Hunt { hunt, .. } => html! { "to run hunt " (text::brief(hunt)) },
    }
}

fn job(record: &Job) -> Markup {
    html! { (by(&record.by)) " asked a worker " (errand(&record.errand)) (about(record.incident)) }
}

fn job_step(record: &JobStep, now: Timestamp) -> Markup {
    html! {
        (by(&record.by))
        @match &record.stage {
            JobStage::Taken { until } => { " took job " (text::brief(&record.job)) " until " (time::both(until.as_microsecond(), now)) }
            JobStage::Done => { " did job " (text::brief(&record.job)) }
            JobStage::Failed => { " " strong.warn { "failed" } " at job " (text::brief(&record.job)) }
            JobStage::Withdrawn => { " withdrew job " (text::brief(&record.job)) }
        }
        (because(&record.detail))
    }
}

fn blocklist(record: &Blocklist) -> Markup {
    html! {
        (by(&record.by)) " set blocklist " strong { (text::brief(&record.name)) } " " code { (text::brief(&record.digest)) } " to "
        (record.rollout.as_str()) " with " (word::count(record.strings, "string", "strings")) (because(&record.note))
    }
}

fn setting(record: &Setting) -> Markup {
    let value = |value: &Option<serde_json::Value>| match value {
        None => html! { span.muted { "nothing" } },
        Some(value) => html! { code { (text::brief(&value.to_string())) } },
    };
    html! { (by(&record.by)) " changed " strong { (text::brief(&record.name)) } " from " (value(&record.from)) " to " (value(&record.to)) }
}
