//! From lines to what the ledger takes.

use std::collections::BTreeMap;

use davylamp_ledger::record::Heartbeat;
use davylamp_ledger::wire::Sent;
use davylamp_ledger::{Input, Reported, Reporter, Taken};
use davylamp_model::finding::Finding;
use davylamp_model::intake::{self, Intake, compliance};
use davylamp_model::resource::Resource;
use serde::Serialize;
use serde_json::Value;

/// Who sends lines.
const AGENT: &str = "guard";
/// Reported of one batch at most.
const WRONG_SHOWN: usize = 20;
/// Shown of a line that cannot be read.
const EXCERPT_CHARS: usize = 80;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Wrong {
    /// From 1.
    pub line: usize,
    /// Why.
    pub why: String,
    /// How it begins.
    pub begins: String,
}

/// What a batch holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub inputs: Vec<Input>,
    /// Records, of which it is not settled yet which incident they are about.
    pub sent: Vec<Sent>,
    /// Lines that say nothing the ledger keeps, by what they are.
    pub passed_over: BTreeMap<String, u64>,
}

/// What an input is, for the metrics.
pub(super) fn name(input: &Input) -> &'static str {
    match input {
        Input::Finding(reported) => reported.taken.as_str(),
        Input::Heartbeat(_) => "heartbeat",
        Input::Record(_) | Input::Once { .. } => "record",
    }
}

enum Line {
    Input(Box<Input>),
    Sent(Box<Sent>),
    /// A finding in another form than ours may be several.
    Intake(Box<Intake>),
    Other(String),
}

/// Reads a batch.
pub(super) fn read(body: &[u8], cluster: &str) -> Result<Read, Vec<Wrong>> {
    let (mut read, mut wrong) = (Read::default(), Vec::new());
    let over = |name: String, times: u64, read: &mut Read| {
        *read.passed_over.entry(name).or_default() += times;
    };
    for (number, bytes) in body.split(|byte| *byte == b'\n').enumerate() {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        match line(bytes, cluster) {
            Ok(Line::Input(input)) => read.inputs.push(*input),
            Ok(Line::Sent(sent)) => read.sent.push(*sent),
            Ok(Line::Intake(intake)) => {
                let text = std::str::from_utf8(bytes).unwrap_or_default();
                for (name, times) in intake.passed_over {
                    over(name, times, &mut read);
                }
                if !intake.signals.is_empty() {
                    over(
                        "a signal".to_owned(),
                        intake.signals.len() as u64,
                        &mut read,
                    );
                }
                // Several of one line share it; the line is kept with the first.
                let mut line = Some(text.to_owned());
                for finding in intake.findings {
                    read.inputs.push(Input::Finding(Box::new(reported(
                        finding,
                        cluster,
                        line.take(),
                    ))));
                }
            }
            Ok(Line::Other(name)) => over(name, 1, &mut read),
            Err(why) if wrong.len() < WRONG_SHOWN => wrong.push(Wrong {
                line: number + 1,
                why,
                begins: String::from_utf8_lossy(bytes)
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(EXCERPT_CHARS)
                    .collect(),
            }),
            Err(_) => {}
        }
    }
    match wrong.is_empty() {
        true => Ok(read),
        false => Err(wrong),
    }
}

fn line(bytes: &[u8], cluster: &str) -> Result<Line, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let Some(members) = value.as_object() else {
        return Err("it is no JSON object".to_owned());
    };
    let member = |name: &str| {
        members
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if members.get("record").is_some_and(Value::is_object) {
        return sent(value);
    }
    if ["action", "event"]
        .iter()
        .all(|name| member(name).is_empty())
        || members.contains_key("class_uid")
    {
        if compliance::is_one(&value) {
            return Err(
                "it is one outcome of an audit; `davy send` sends an audit whole".to_owned(),
            );
        }
        return foreign(bytes);
    }
    let reporter = Reporter {
        cluster: cluster.to_owned(),
        node: member("node").to_owned(),
        agent: AGENT.to_owned(),
    };
    if let Some(reported) = Reported::from_guard_value(&value, text, cluster, AGENT) {
        return Ok(Line::Input(Box::new(Input::Finding(Box::new(reported)))));
    }
    let action = member("action").to_ascii_lowercase();
    let event = member("event");
    if matches!(event, "ready" | "alive") {
        return Ok(Line::Input(Box::new(Input::Heartbeat(heartbeat(
            &value, reporter,
        )))));
    }
    match (action.as_str(), event) {
        ("", event) => Ok(Line::Other(event.chars().take(EXCERPT_CHARS).collect())),
        (action, _) => Ok(Line::Other(action.chars().take(EXCERPT_CHARS).collect())),
    }
}

/// A record of a responder, a hunt or an audit.
fn sent(value: Value) -> Result<Line, String> {
    let sent: Sent =
        serde_json::from_value(value).map_err(|error| format!("it is no record: {error}"))?;
    if sent.id.trim().is_empty() {
        return Err("the record has no id".to_owned());
    }
    if !Sent::is_for_senders(&sent.record) {
        return Err(format!(
            "a record of kind `{}` is not for senders",
            sent.record.kind()
        ));
    }
    Ok(Line::Sent(Box::new(sent)))
}

/// A finding in the form of another product, or of a hunt.
fn foreign(bytes: &[u8]) -> Result<Line, String> {
    let intake = intake::read(bytes);
    match intake.rejected.first() {
        Some(rejected) => Err(format!("{}; {}", rejected.why, rejected.why.next_step())),
        None => Ok(Line::Intake(Box::new(intake))),
    }
}

fn reported(finding: Finding, cluster: &str, line: Option<String>) -> Reported {
    let node = finding
        .resources
        .iter()
        .find_map(|resource| match resource {
            Resource::Node { name, .. } => Some(name.to_string()),
            _ => None,
        });
    Reported {
        reporter: Reporter {
            cluster: cluster.to_owned(),
            node: node.unwrap_or_default(),
            agent: String::new(),
        },
        finding,
        taken: Taken::Reported,
        line,
    }
}

fn heartbeat(said: &Value, reporter: Reporter) -> Heartbeat {
    let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or("unknown");
    let count = |name: &str| said.get(name).and_then(Value::as_i64).unwrap_or(0);
    let lost: Vec<&str> = said
        .get("lost")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut coverage = format!(
        "{}; {} detections, {} strings, {} file rules",
        text("mode"),
        count("detections"),
        count("patterns"),
        count("file_rules")
    );
    for lost in lost {
        coverage.push_str("; without ");
        coverage.push_str(lost);
    }
    Heartbeat {
        reporter,
        version: text("version").to_owned(),
        coverage,
        canary_at: None,
        canary_caught: None,
        lost_events: count("events_lost"),
        lists: said
            .get("lists")
            .and_then(|lists| serde_json::from_value(lists.clone()).ok())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        let found = match read(body.as_bytes(), "hub") {
            Ok(read) => {
                let inputs = read.inputs.iter().map(|input| match input {
                    Input::Finding(reported) => format!(
                        "{} on {}/{}",
                        reported.taken.as_str(),
                        reported.reporter.cluster,
                        reported.reporter.node
                    ),
                    Input::Heartbeat(heartbeat) => {
                        format!("{}: {}", heartbeat.version, heartbeat.coverage)
                    }
                    Input::Record(record) | Input::Once { record, .. } => record.kind().to_owned(),
                });
                let sent = read.sent.iter().map(|sent| sent.record.kind().to_owned());
                let over = read
                    .passed_over
                    .iter()
                    .map(|(name, count)| format!("{count} {name}"));
                inputs
                    .chain(sent)
                    .chain(over)
                    .collect::<Vec<_>>()
                    .join("; ")
            }
            Err(wrong) => {
                let lines = wrong
                    .iter()
                    .map(|wrong| format!("{}: {}", wrong.line, wrong.why));
                lines.collect::<Vec<_>>().join("; ")
            }
        };
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn lines_are_findings_nodes_or_nothing_and_a_wrong_one_refuses_all() {
        check(
            r#"{"action":"killed","node":"n1","id":"1"}"#,
            "killed on hub/n1",
        );
        check(
            r#"{"action":"Missed-Kill","node":"n1"}"#,
            "missed on hub/n1",
        );
        check(
            "\n{\"action\":\"spared\",\"node\":null}\r\n\n{\"event\":\"log lines left out\",\"count\":3}\n",
            "spared on hub/; 1 log lines left out",
        );
        check(
            r#"{"event":"ready","node":"n1","version":"0.1.0","mode":"enforce","detections":29,"patterns":1,"file_rules":17,"lost":["wire"]}"#,
            "0.1.0: enforce; 29 detections, 1 strings, 17 file rules; without wire",
        );
        check(
            "{\"action\":\"killed\"}\nno\n[1]\n{}",
            "2: it is no JSON: expected ident at line 1 column 2; 3: it is no JSON object; 4: this has \
             none of the forms in which findings come; give a finding or an event as its source writes \
             it; the forms are in docs/responder.md",
        );
        check(
            r#"{"action":"observed","event":"Process connects","node":"n1"}"#,
            "1 observed",
        );
        check("", "");
    }

    #[test]
    fn findings_of_others_and_records_are_taken() {
        check(
            r#"{"schemaVersion":"2.0","accountId":"111122223333","region":"us-east-1","id":"f1","type":"CryptoCurrency:EC2/BitcoinTool.B!DNS","severity":8,"title":"t","resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-0123456789abcdef0"}},"service":{"archived":false,"resourceRole":"TARGET","count":1}}"#,
            "reported on hub/",
        );
        check(
            r#"{"id":"1","record":{"kind":"blocklist","name":"l","digest":"d","rollout":"observe","strings":1,"by":"a"}}"#,
            "blocklist",
        );
        check(
            r#"{"id":" ","record":{"kind":"blocklist","name":"l","digest":"d","rollout":"observe","strings":1,"by":"a"}}"#,
            "1: the record has no id",
        );
        // What people decide is decided in the console.
        check(
            r#"{"id":"1","record":{"kind":"decision","incident":1,"choice":"close","reason":"r","by":"a"}}"#,
            "1: a record of kind `decision` is not for senders",
        );
        check(
            r#"{"id":"1","record":{"kind":"plan"}}"#,
            "1: it is no record: missing field `plan`",
        );
    }

    #[test]
    fn a_line_that_is_no_text_is_told() {
        let wrong =
            read(b"{\"action\":\"killed\",\"cmdline\":\"\xff\"}", "hub").expect_err("refused");
        assert_eq!(wrong[0].why, "it is no UTF-8");
    }
}
