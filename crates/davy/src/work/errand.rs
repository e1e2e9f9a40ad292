//! What each errand comes to: which verbs are run, and what is told of it.

use davylamp_forward::work::Job;
use davylamp_model::intake;
use serde_json::Value;

use super::Worker;
use super::child::{self, Said};
use crate::output::counted;
use crate::{outbox, records};

/// What came of a job.
#[derive(Debug, Default)]
pub(super) struct Came {
    pub done: bool,
    /// What came of it, in words.
    pub detail: String,
    /// What the console is to have.
    pub lines: Vec<String>,
}

impl Came {
    pub(super) fn failed(detail: impl Into<String>) -> Self {
        Self {
            done: false,
            detail: detail.into(),
            lines: Vec::new(),
        }
    }
}

/// What a job is about, for people.
pub(super) fn subject(job: &Job) -> &str {
    match job.text("errand") {
        "hunt" => job.text("hunt"),
        _ => job.text("plan"),
    }
}

/// Does it.
pub(super) async fn does(worker: &Worker<'_>, job: &Job) -> Came {
    let came = match job.text("errand") {
        "plan" => plan(worker, job).await,
        "run" => carry_out(worker, job).await,
        "undo" => undo(worker, job).await,
        "hunt" => hunt(worker, job).await,
        other => Ok(Came::failed(format!(
            "this worker does not know how to {other}"
        ))),
    };
    came.unwrap_or_else(|error| Came::failed(format!("{error:#}")))
}

/// Runs `davy respond` with some arguments, and reads what it reports.
async fn respond(
    worker: &Worker<'_>,
    arguments: &[&str],
    input: Vec<u8>,
) -> anyhow::Result<(Said, Option<Value>)> {
    let mut all = vec!["respond".to_owned()];
    all.extend(arguments.iter().map(|it| (*it).to_owned()));
    all.extend(["--output".to_owned(), "json".to_owned()]);
    all.extend(worker.args.common());
    let said = child::run(&all, input, Vec::new(), worker.stopped.clone()).await?;
    let report = serde_json::from_slice(&said.stdout).ok();
    Ok((said, report))
}

/// Findings one a line, as `davy respond` takes them.
fn lines(findings: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for finding in findings {
        bytes.extend_from_slice(finding.to_string().as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

async fn plan(worker: &Worker<'_>, job: &Job) -> anyhow::Result<Came> {
    if job.findings.is_empty() {
        return Ok(Came::failed(
            "the incident has no finding that a plan could be made for",
        ));
    }
    let asked = ["plan", "--finding", "-"];
    let (said, report) = respond(worker, &asked, lines(&job.findings)).await?;
    let Some(report) = report else {
        return Ok(Came::failed(said.why()));
    };
    let sent = records::of_report(&report, Some(job.id()));
    let plans = sent.iter().filter(|it| it.record.kind() == "plan").count() as u64;
    let blind = blind(&report);
    let detail = match (plans, blind.as_str()) {
        (0, "") => format!("no plan was made: {}", untold(&report, &said)),
        (_, "") => counted(plans, "plan was made", "plans were made"),
        (_, why) => format!("nothing of it could be read: {why}"),
    };
    Ok(Came {
        done: plans > 0 && blind.is_empty(),
        detail,
        lines: outbox::lines(&sent),
    })
}

/// Why nothing of what a plan is about could be read, where that is so.
fn blind(report: &Value) -> String {
    let incidents = report["incidents"].as_array().into_iter().flatten();
    let why = incidents.filter_map(|it| it["plan"]["blind"].as_str());
    why.collect::<Vec<_>>().join("; ")
}

/// Why a report names no plan.
fn untold(report: &Value, said: &Said) -> String {
    let reported = report["reported"].as_array().into_iter().flatten();
    let mut why: Vec<&str> = reported.filter_map(|it| it["because"].as_str()).collect();
    why.dedup();
    match why.is_empty() {
        true => said.why(),
        false => why.join("; "),
    }
}

/// The findings that a plan answers.
fn answered(plan: &Value, findings: &[Value]) -> Vec<Value> {
    let ids: Vec<&str> = plan["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let is_of_it = |finding: &&Value| {
        let read = intake::read(finding.to_string().as_bytes());
        read.findings.iter().any(|it| ids.contains(&it.id.as_str()))
    };
    findings.iter().filter(is_of_it).cloned().collect()
}

/// The one incident of a report whose plan is `wanted`.
fn planned<'r>(report: &'r Value, wanted: &str) -> Option<&'r Value> {
    let mut incidents = report["incidents"].as_array()?.iter();
    incidents.find(|it| it["plan"].is_object() && records::plan_id(&it["plan"]) == wanted)
}

async fn carry_out(worker: &Worker<'_>, job: &Job) -> anyhow::Result<Came> {
    let wanted = job.text("plan");
    let Some(plan) = &job.plan else {
        return Ok(Came::failed(
            "the console does not have the plan any more: ask for a new one",
        ));
    };
    let findings = answered(plan, &job.findings);
    if findings.is_empty() {
        return Ok(Came::failed(
            "the console does not have the plan's findings any more",
        ));
    }
    // What a person said yes to is what is done: planned anew it must come to the same.
    let asked = ["plan", "--finding", "-"];
    let (said, report) = respond(worker, &asked, lines(&findings)).await?;
    let Some(report) = report else {
        return Ok(Came::failed(said.why()));
    };
    if planned(&report, wanted).is_none() {
        let sent = records::of_report(&report, Some(job.id()));
        return Ok(Came {
            done: false,
            detail: "nothing was done: things have changed, and the plan is another now; look at the new one"
                .to_owned(),
            lines: outbox::lines(&sent),
        });
    }
    let asked = ["--finding", "-"];
    let (mut said, report) = respond(worker, &asked, lines(&findings)).await?;
    let Some(mut report) = report else {
        return Ok(Came::failed(said.why()));
    };
    let mut sent = records::of_report(&report, Some(job.id()));
    let approved_by = job.text("approved_by");
    let incident = planned(&report, wanted).map(|it| it["incident"].clone());
    if let (Some(incident), false) = (&incident, approved_by.is_empty()) {
        let incident = incident.as_str().unwrap_or_default().to_owned();
        if waits_for_a_person(&report, wanted) {
            let asked = ["approve", &incident, "--by", approved_by];
            let (approved, after) = respond(worker, &asked, Vec::new()).await?;
            said = approved;
            match after {
                Some(after) if records::is_report(&after) => {
                    sent.extend(records::of_report(&after, Some(job.id())));
                    report = after;
                }
                _ => {
                    return Ok(Came {
                        done: false,
                        detail: format!("the approval was not taken: {}", said.why()),
                        lines: outbox::lines(&sent),
                    });
                }
            }
        }
    }
    let (done, detail) = outcome(&report, wanted, &said);
    Ok(Came {
        done,
        detail,
        lines: outbox::lines(&sent),
    })
}

/// The states of the steps of a plan in a report.
fn states<'r>(report: &'r Value, wanted: &str) -> impl Iterator<Item = (&'r String, &'r Value)> {
    let steps =
        planned(report, wanted).and_then(|it| it["came-of-it"]["outcome"]["steps"].as_object());
    steps.into_iter().flatten()
}

fn waits_for_a_person(report: &Value, wanted: &str) -> bool {
    states(report, wanted)
        .any(|(_, state)| matches!(state["state"].as_str(), Some("withheld" | "waiting")))
}

/// What a run came to, in words.
fn outcome(report: &Value, wanted: &str, said: &Said) -> (bool, String) {
    let mut counts = [("done", 0), ("waiting", 0), ("not done", 0), ("failed", 0)];
    let mut why = Vec::new();
    for (step, state) in states(report, wanted) {
        let (at, reason) = match state["state"].as_str() {
            Some("succeeded") => (0, ""),
            Some("waiting" | "intended") => (1, state["what"].as_str().unwrap_or_default()),
            Some("withheld") => (2, state["why"].as_str().unwrap_or_default()),
            Some("failed") => (3, state["why"].as_str().unwrap_or_default()),
            _ => continue,
        };
        counts[at].1 += 1;
        if !reason.is_empty() {
            why.push(format!("{step}: {reason}"));
        }
    }
    let came = planned(report, wanted).map(|it| &it["came-of-it"]);
    let result = came.and_then(|it| it["result"].as_str());
    if result != Some("worked") {
        let why = came.and_then(|it| it["why"].as_str()).map(str::to_owned);
        return (false, why.unwrap_or_else(|| said.why()));
    }
    let told: Vec<String> = counts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(what, n)| format!("{n} {what}"))
        .collect();
    let mut detail = match told.is_empty() {
        true => "there was nothing to do".to_owned(),
        false => format!("steps: {}", told.join(", ")),
    };
    if !why.is_empty() {
        detail.push('\n');
        detail.push_str(&why.join("\n"));
    }
    (counts[3].1 == 0 && said.code().is_some(), detail)
}

async fn undo(worker: &Worker<'_>, job: &Job) -> anyhow::Result<Came> {
    let plan = job.plan.as_ref().map(|plan| &plan["incident"]);
    let Some(incident) = plan.and_then(Value::as_str) else {
        return Ok(Came::failed(
            "the console does not know which incident of the responder's it is",
        ));
    };
    let by = job.text("by");
    let asked = ["undo", incident, "--by", by];
    let (said, undone) = respond(worker, &asked, Vec::new()).await?;
    let Some(undone) = undone else {
        return Ok(Came::failed(said.why()));
    };
    let sent = records::of_undo(&undone, job.text("plan"), Some(job.id()), by);
    let count = |name: &str| undone[name].as_array().map_or(0, Vec::len) as u64;
    let (back, not) = (count("undone") + count("gone"), count("not-undone"));
    let mut detail = counted(back, "step was taken back", "steps were taken back");
    for one in undone["not-undone"].as_array().into_iter().flatten() {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        detail.push_str(&format!("\n{} stays: {}", text("step"), text("why")));
    }
    Ok(Came {
        done: not == 0,
        detail,
        lines: outbox::lines(&sent),
    })
}

async fn hunt(worker: &Worker<'_>, job: &Job) -> anyhow::Result<Came> {
    let name = job.text("hunt");
    // A name is one word; an option is none.
    if name.is_empty() || name.starts_with('-') {
        return Ok(Came::failed(format!("`{name}` is no hunt's name")));
    }
    let mut all = vec!["hunt".to_owned(), "run".to_owned(), name.to_owned()];
    all.extend(["--console", "--output", "json"].map(str::to_owned));
    for (option, value) in [
        ("--since", job.text("since")),
        ("--until", job.text("until")),
    ] {
        if !value.is_empty() {
            all.extend([option.to_owned(), value.to_owned()]);
        }
    }
    for (option, value) in [
        ("--endpoint-url", &worker.args.endpoint_url),
        ("--bucket-region", &worker.args.region),
    ] {
        if let Some(value) = value {
            all.extend([option.to_owned(), value.clone()]);
        }
    }
    all.push("--logs".to_owned());
    all.extend(worker.config.logs.iter().cloned());
    let variables = worker.variables();
    let said = child::run(&all, Vec::new(), variables, worker.stopped.clone()).await?;
    let report: Option<Value> = serde_json::from_slice(&said.stdout).ok();
    let suspects = report.as_ref().and_then(|it| it["suspects"].as_array());
    let found = suspects.map_or(0, Vec::len) as u64;
    let detail = match said.code() {
        Some(0) => "nothing was found".to_owned(),
        Some(1) => counted(found, "incident is suspected", "incidents are suspected"),
        _ => said.why(),
    };
    Ok(Came {
        done: matches!(said.code(), Some(0 | 1)),
        detail,
        lines: Vec::new(),
    })
}
