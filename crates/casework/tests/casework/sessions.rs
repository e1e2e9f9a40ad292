//! Sessions that name a user, and hours of the day.

use std::fs::{self, File};
use std::path::Path;

use davylamp_casework::case::{Case, Innocence};
use davylamp_model::verdict::Verdict;
use davylamp_testkit::attack::{Scenario, Truth, Verdict as Right};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use crate::support::{case_of, written};

/// Investigates a story whose records are changed first: those for which nothing comes are left out.
async fn retold(
    scenario: Scenario,
    change: impl Fn(&Truth, Value) -> Option<Value>,
) -> (Truth, Case) {
    let (dir, truth) = written(1, scenario);
    rewrite(&dir.path().join("AWSLogs"), &|record| {
        change(&truth, record)
    });
    (truth, case_of(dir.path(), &[]).await)
}

fn rewrite(dir: &Path, change: &dyn Fn(Value) -> Option<Value>) {
    for entry in fs::read_dir(dir).expect("the folder can be listed") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            rewrite(&path, change);
            continue;
        }
        let file = File::open(&path).expect("a file can be opened");
        let mut log: Value =
            serde_json::from_reader(MultiGzDecoder::new(file)).expect("a log file is JSON");
        let Some(records) = log["Records"].as_array_mut() else {
            continue;
        };
        *records = std::mem::take(records)
            .into_iter()
            .filter_map(change)
            .collect();
        fs::remove_file(&path).expect("a file can be removed");
        fs::write(path.with_extension(""), log.to_string()).expect("a file can be written");
    }
}

/// The last part of the ARN of whom the story frames.
fn framed(truth: &Truth) -> String {
    let framed = truth
        .principals
        .iter()
        .find(|it| it.verdict == Right::Framed);
    let arn = &framed.expect("somebody is framed").arn;
    arn.rsplit('/').next().expect("an ARN has parts").to_owned()
}

fn said_of<'a>(case: &'a Case, name: &str) -> Option<&'a Innocence> {
    let end = format!("user/{name}");
    case.innocence
        .iter()
        .find(|it| it.principal.ends_with(&end))
}

/// A session's records get a name that is nobody's, and a user as their source identity.
fn by_identity(truth: &Truth, mut record: Value) -> Value {
    let framed = framed(truth);
    let session = format!(":{framed}");
    let id = record["userIdentity"]["principalId"].as_str().unwrap_or("");
    if record["userIdentity"]["type"] == "AssumedRole" && id.ends_with(&session) {
        let other = id.replace(&session, ":work");
        record["userIdentity"]["principalId"] = json!(other);
        record["userIdentity"]["sessionContext"]["sourceIdentity"] = json!(framed);
    }
    if record["eventName"] == "AssumeRole"
        && record["requestParameters"]["roleSessionName"] == json!(framed)
    {
        record["requestParameters"]["roleSessionName"] = json!("work");
        record["requestParameters"]["sourceIdentity"] = json!(framed);
        record["responseElements"]["sourceIdentity"] = json!(framed);
        let user = &mut record["responseElements"]["assumedRoleUser"];
        for member in ["arn", "assumedRoleId"] {
            let text = user[member].as_str().unwrap_or("").replace(&framed, "work");
            user[member] = json!(text);
        }
    }
    record
}

#[tokio::test]
async fn a_source_identity_that_another_chose_frames_nobody() {
    let (truth, case) = retold(Scenario::Impersonation, |truth, record| {
        Some(by_identity(truth, record))
    })
    .await;
    let said = said_of(&case, &framed(&truth)).expect("the framed user is named");
    assert_eq!(said.verdict, Verdict::Pass, "{said:#?}");
    let is_told = said
        .reasons
        .iter()
        .any(|reason| reason.is_for && reason.statement.text.contains("source identity"));
    assert!(is_told, "{said:#?}");
    let is_linked = |it: &davylamp_casework::case::Link| {
        it.verb == "is named in" && it.from == said.principal && it.to.starts_with("session work")
    };
    assert!(case.links.iter().any(is_linked));
}

#[tokio::test]
async fn who_set_a_source_identity_is_unknown_where_no_opening_is_recorded() {
    let (truth, case) = retold(Scenario::Impersonation, |truth, record| {
        let record = by_identity(truth, record);
        (record["eventName"] != "AssumeRole").then_some(record)
    })
    .await;
    let said = said_of(&case, &framed(&truth)).expect("the framed user is named");
    assert_eq!(said.verdict, Verdict::Unknown, "{said:#?}");
}
