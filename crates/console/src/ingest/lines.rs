//! From lines of agents to what the ledger takes.

use std::collections::BTreeMap;

use davylamp_ledger::record::Heartbeat;
use davylamp_ledger::{Input, Reported, Reporter};
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

/// The longest line: no agent of ours writes longer ones, and each takes many times its length to keep.
const LINE_BYTES: usize = 256 << 10;
/// So many lines are worked on at once.
const PORTION_LINES: usize = 500;
/// And of so many bytes together, unless one line has more.
const PORTION_BYTES: usize = 1 << 20;

/// How often something came, by its name.
pub(super) type Names = BTreeMap<String, u64>;

/// A part of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portion<'a> {
    bytes: &'a [u8],
    /// The number of its first line.
    first: usize,
}

/// How many lines a batch has that are not empty.
pub(super) fn count(body: &[u8]) -> usize {
    let lines = body.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.trim_ascii().is_empty()).count()
}

/// A batch in parts that are worked on one after another.
pub(super) fn portions(body: &[u8]) -> impl Iterator<Item = Portion<'_>> {
    let (mut rest, mut first) = (body, 1);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (mut end, mut lines) = (0, 0);
        while end < rest.len() && lines < PORTION_LINES {
            let line = &rest[end..];
            let length = line.iter().position(|byte| *byte == b'\n');
            let length = length.map_or(line.len(), |at| at + 1);
            if lines > 0 && end + length > PORTION_BYTES {
                break;
            }
            end += length;
            lines += 1;
        }
        let portion = Portion {
            bytes: &rest[..end],
            first,
        };
        rest = &rest[end..];
        first += lines;
        Some(portion)
    })
}

/// Whether every line can be read.
pub(super) fn check(portions: &[Portion<'_>], cluster: &str) -> Result<(), Vec<Wrong>> {
    let mut wrong = Vec::new();
    for portion in portions {
        if let Err(more) = read(portion, cluster) {
            wrong.extend(more);
        }
        if wrong.len() >= WRONG_SHOWN {
            break;
        }
    }
    wrong.truncate(WRONG_SHOWN);
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong),
    }
}

/// What a batch holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub inputs: Vec<Input>,
    /// Lines that say nothing the ledger keeps, by what they are.
    pub passed_over: Names,
}

enum Line {
    Input(Box<Input>),
    Other(String),
}

/// Reads a part of a batch.
pub(super) fn read(portion: &Portion<'_>, cluster: &str) -> Result<Read, Vec<Wrong>> {
    let (mut read, mut wrong) = (Read::default(), Vec::new());
    for (number, bytes) in portion.bytes.split(|byte| *byte == b'\n').enumerate() {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        match line(bytes, cluster) {
            Ok(Line::Input(input)) => read.inputs.push(*input),
            Ok(Line::Other(name)) => *read.passed_over.entry(name).or_default() += 1,
            Err(why) if wrong.len() < WRONG_SHOWN => wrong.push(Wrong {
                line: portion.first + number,
                why,
                begins: String::from_utf8_lossy(&bytes[..bytes.len().min(4 * EXCERPT_CHARS)])
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
    if bytes.len() > LINE_BYTES {
        return Err(format!("it has more than {LINE_BYTES} bytes"));
    }
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
        ("", "") => Err("it has neither an `action` nor an `event`".to_owned()),
        ("", event) => Ok(Line::Other(event.chars().take(EXCERPT_CHARS).collect())),
        (action, _) => Ok(Line::Other(action.chars().take(EXCERPT_CHARS).collect())),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(body: &[u8]) -> Result<Read, Vec<Wrong>> {
        let portions: Vec<_> = portions(body).collect();
        assert!(portions.len() < 2, "a small one is one portion");
        let none = Portion {
            bytes: &[],
            first: 1,
        };
        read(portions.first().unwrap_or(&none), "hub")
    }

    #[test]
    fn portions_are_whole_lines_in_order() {
        let long = "x".repeat(PORTION_BYTES / 2);
        let mut body = "a\n\nb\n".repeat(400);
        for _ in 0..5 {
            body.push_str(&long);
            body.push('\n');
        }
        body.push_str("end");
        let found: Vec<_> = portions(body.as_bytes()).collect();
        let joined: Vec<u8> = found
            .iter()
            .flat_map(|portion| portion.bytes)
            .copied()
            .collect();
        assert_eq!(joined, body.as_bytes());
        for (portion, next) in found.iter().zip(&found[1..]) {
            assert!(portion.bytes.ends_with(b"\n") && portion.bytes.len() <= PORTION_BYTES);
            let lines = portion.bytes.iter().filter(|byte| **byte == b'\n').count();
            assert!(lines <= PORTION_LINES);
            assert_eq!(portion.first + lines, next.first);
        }
        assert_eq!(count(body.as_bytes()), 400 * 2 + 6);
        let wrong = super::check(&found, "hub").expect_err("no JSON");
        assert_eq!((wrong.len(), wrong[0].line, wrong[1].line), (20, 1, 3));
        let longer = "x".repeat(LINE_BYTES + 1);
        let wrong = read_all(longer.as_bytes()).expect_err("too long");
        assert!(wrong[0].why.contains("262144"), "{}", wrong[0].why);
    }

    fn check(body: &str, expected: &str) {
        let found = match read_all(body.as_bytes()) {
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
                    Input::Record(record) => record.kind().to_owned(),
                });
                let over = read
                    .passed_over
                    .iter()
                    .map(|(name, count)| format!("{count} {name}"));
                inputs.chain(over).collect::<Vec<_>>().join("; ")
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
            "2: it is no JSON: expected ident at line 1 column 2; 3: it is no JSON object; 4: it has \
             neither an `action` nor an `event`",
        );
        check(
            r#"{"action":"observed","event":"Process connects","node":"n1"}"#,
            "1 observed",
        );
        check("", "");
    }

    #[test]
    fn a_line_that_is_no_text_is_told() {
        let wrong = read_all(b"{\"action\":\"killed\",\"cmdline\":\"\xff\"}").expect_err("refused");
        assert_eq!(wrong[0].why, "it is no UTF-8");
    }
}
