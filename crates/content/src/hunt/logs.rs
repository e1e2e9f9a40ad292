//! A case's records as a log writes them.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::table::{Table, VPC_FLOW_FIELDS};

/// A record again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeat {
    pub times: u32,
    pub every_secs: u32,
}

impl Repeat {
    /// The record for the `n`th time, from 0: its times moved, `{n}` in its texts replaced.
    pub fn nth(self, table: Table, record: &Map<String, Value>, n: u32) -> Map<String, Value> {
        let later = i64::from(self.every_secs) * i64::from(n);
        let entries = record.iter();
        let entries = entries.map(|(key, value)| (key.clone(), moved(table, key, value, later, n)));
        entries.collect()
    }
}

fn moved(table: Table, key: &str, value: &Value, later: i64, n: u32) -> Value {
    match value {
        Value::String(text) => {
            let text = numbered(text, n);
            Value::String(if is_time(table, key) {
                later_text(&text, later).unwrap_or(text)
            } else {
                text
            })
        }
        Value::Number(number) if is_time(table, key) => match number.as_i64() {
            Some(number) => Value::from(number.saturating_add(later)),
            None => value.clone(),
        },
        Value::Array(items) => {
            let items = items.iter();
            items.map(|item| moved(table, "", item, later, n)).collect()
        }
        Value::Object(entries) => {
            let inner = |key: &String, value| {
                // Only a finding keeps its times inside; a session's creation stays where it is.
                let name = if table == Table::GuardDuty {
                    key.as_str()
                } else {
                    ""
                };
                moved(table, name, value, later, n)
            };
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| (key.clone(), inner(key, value)));
            Value::Object(entries.collect())
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
    }
}

fn is_time(table: Table, key: &str) -> bool {
    let plain: String = key.chars().filter(|c| !matches!(c, '_' | '-')).collect();
    table.time_fields().contains(&plain.to_lowercase().as_str())
}

fn later_text(text: &str, later: i64) -> Option<String> {
    let time: Timestamp = text.parse().ok()?;
    let time = time.checked_add(SignedDuration::from_secs(later)).ok()?;
    Some(time.to_string())
}

/// `{n}` and `{n:04}` as the number.
fn numbered(text: &str, n: u32) -> String {
    let mut numbered = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{n") {
        let (before, found) = rest.split_at(at);
        numbered.push_str(before);
        let inner = found
            .split_once('}')
            .map(|(inner, behind)| (&inner[2..], behind));
        let width = match inner {
            Some(("", _)) => Some(0),
            Some((format, _)) => format
                .strip_prefix(":0")
                .filter(|width| width.len() == 1)
                .and_then(|width| width.parse::<usize>().ok()),
            None => None,
        };
        match (width, inner) {
            (Some(width), Some((_, behind))) => {
                let _ = write!(numbered, "{n:0width$}");
                rest = behind;
            }
            _ => {
                numbered.push_str("{n");
                rest = &found[2..];
            }
        }
    }
    numbered + rest
}

/// `record` over `base`, tables inside merged as well.
pub(super) fn over(base: &Map<String, Value>, record: Map<String, Value>) -> Map<String, Value> {
    let mut merged = base.clone();
    for (key, value) in record {
        let value = match (merged.remove(&key), value) {
            (Some(Value::Object(base)), Value::Object(value)) => Value::Object(over(&base, value)),
            (_, value) => value,
        };
        merged.insert(key, value);
    }
    merged
}

/// Whether a value can stand between two blanks of a flow log.
pub(super) fn is_flow_value(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::String(text) => {
            !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        }
        _ => false,
    }
}

/// Records as their log's text: a flow log with its header, CloudTrail as one document of
/// `Records`, everything else as JSON lines.
pub fn render(table: Table, records: &[Map<String, Value>]) -> String {
    match table {
        Table::VpcFlow => flow_log(records),
        Table::CloudTrail => {
            let records = records.iter().cloned().map(Value::Object).collect();
            let document = Map::from_iter([("Records".to_owned(), Value::Array(records))]);
            Value::Object(document).to_string()
        }
        Table::DnsQuery
        | Table::GuardDuty
        | Table::EksAudit
        | Table::Guard
        | Table::Recorder
        | Table::ConfigItem => {
            let lines = records.iter().cloned();
            lines
                .map(|record| format!("{}\n", Value::Object(record)))
                .collect()
        }
    }
}

/// The header names the fields that some record has, in the order of the versions.
fn flow_log(records: &[Map<String, Value>]) -> String {
    let fields: Vec<&str> = VPC_FLOW_FIELDS
        .iter()
        .copied()
        .filter(|field| records.iter().any(|record| record.contains_key(*field)))
        .collect();
    let mut text = fields.join(" ") + "\n";
    for record in records {
        let values: Vec<String> = fields
            .iter()
            .map(|field| match record.get(*field) {
                Some(Value::String(value)) => value.clone(),
                Some(value) => value.to_string(),
                // What a record does not say is a hyphen, as in NODATA records.
                None => "-".to_owned(),
            })
            .collect();
        text.push_str(&values.join(" "));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn the_number_stands_where_it_is_asked_for_and_nowhere_else() {
        for (text, expected) in [
            ("a{n}b{n:03}", "a7b007"),
            ("{n:3}{n:0}{n:0x}{name}{n", "{n:3}{n:0}{n:0x}{name}{n"),
            ("{}{{n}}é", "{}{7}é"),
        ] {
            assert_eq!(numbered(text, 7), expected);
        }
    }

    #[test]
    fn times_move_and_nothing_else_does() {
        let repeat = Repeat {
            times: 2,
            every_secs: 300,
        };
        let flow = map(json!({ "start": 100, "end": 160, "bytes": 100 }));
        let later = repeat.nth(Table::VpcFlow, &flow, 1);
        assert_eq!(
            later,
            map(json!({ "start": 400, "end": 460, "bytes": 100 }))
        );
        let event = map(json!({
            "eventTime": "2026-03-01T12:00:00Z",
            "userIdentity": { "creationDate": "2026-03-01T12:00:00Z", "eventTime": "x{n}" },
        }));
        let later = repeat.nth(Table::CloudTrail, &event, 1);
        assert_eq!(
            later,
            map(json!({
                "eventTime": "2026-03-01T12:05:00Z",
                "userIdentity": { "creationDate": "2026-03-01T12:00:00Z", "eventTime": "x1" },
            }))
        );
        let finding = map(json!({ "Service": { "EventLastSeen": "2026-03-01T12:00:00.500Z" } }));
        let later = repeat.nth(Table::GuardDuty, &finding, 1);
        let expected = json!({ "Service": { "EventLastSeen": "2026-03-01T12:05:00.5Z" } });
        assert_eq!(later, map(expected));
    }

    #[test]
    fn a_record_goes_over_its_base() {
        let base = map(json!({ "a": { "b": 1, "c": 2 }, "d": [1] }));
        let record = map(json!({ "a": { "b": 3 }, "d": [2], "e": 4 }));
        let merged = json!({ "a": { "b": 3, "c": 2 }, "d": [2], "e": 4 });
        assert_eq!(over(&base, record), map(merged));
    }

    #[test]
    fn logs_are_written_as_the_services_write_them() {
        let records = [
            map(json!({ "dstport": 3333, "srcaddr": "10.0.0.5" })),
            map(json!({ "srcaddr": "10.0.0.6", "version": 2 })),
        ];
        assert_eq!(
            render(Table::VpcFlow, &records),
            "version srcaddr dstport\n- 10.0.0.5 3333\n2 10.0.0.6 -\n"
        );
        let records = [map(json!({ "a": 1 })), map(json!({ "a": "é" }))];
        assert_eq!(
            render(Table::CloudTrail, &records),
            r#"{"Records":[{"a":1},{"a":"é"}]}"#
        );
        assert_eq!(
            render(Table::DnsQuery, &records),
            "{\"a\":1}\n{\"a\":\"é\"}\n"
        );
    }
}
