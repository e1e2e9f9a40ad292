//! Amazon Security Lake's events, in OCSF 1.1 and, where its names are others, 1.0.
//!
//! Source: the mappings that AWS publishes in github.com/ocsf/examples, `mappings/markdown/AWS`.
//! What a mapping has no place for stands in `unmapped`, by the path it had in the record.

use std::io;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use serde_json::{Map, Value, json};

use super::{field, has_struct};
use crate::output;
use crate::read::{cloudtrail, dns_query, eks_audit, vpc_flow};

mod event;

/// How events of a log become its records again.
#[derive(Debug)]
pub(super) struct Mapping {
    /// The table.
    pub table: &'static str,
    /// How the name of the product that wrote the events starts.
    product: &'static str,
    /// Structs that all of these events have.
    structs: &'static [&'static str],
    /// The fields of the text, of flow logs.
    pub format: Option<&'static str>,
    /// Writes an event as a record.
    record: fn(&Event<'_>) -> Record,
    /// Columns that the events have no value for.
    pub absent: &'static [&'static str],
}

impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
    }
}

impl Eq for Mapping {}

/// A record of a log.
enum Record {
    /// One JSON object.
    Json(Value),
    /// The fields of a line.
    Fields(Vec<Option<String>>),
}

/// An event in OCSF.
struct Event<'a>(&'a Map<String, Value>);

static MAPPINGS: &[Mapping] = &[
    Mapping {
        table: vpc_flow::TABLE.name,
        product: "Amazon VPC",
        structs: &["metadata", "src_endpoint", "dst_endpoint", "traffic"],
        format: Some(event::FLOW_FORMAT),
        record: event::flow,
        absent: &[],
    },
    Mapping {
        table: dns_query::TABLE.name,
        product: "Route 53",
        structs: &["metadata", "query", "src_endpoint"],
        format: None,
        record: event::dns,
        absent: &[],
    },
    Mapping {
        table: cloudtrail::TABLE.name,
        product: "CloudTrail",
        structs: &["metadata", "api", "actor"],
        format: None,
        record: event::trail,
        absent: event::TRAIL_ABSENT,
    },
    Mapping {
        table: eks_audit::TABLE.name,
        product: "Amazon EKS",
        structs: &["metadata", "api", "actor"],
        format: None,
        record: event::audit,
        absent: event::AUDIT_ABSENT,
    },
];

/// The product of a file, from what its statistics say of a path.
pub(super) fn product_of(value: impl Fn(&str) -> Option<String>) -> Option<String> {
    value("metadata.product.name")
}

/// The mappings of a file with these columns, and of this product where that is known.
pub(super) fn mappings(schema: &Schema, product: Option<&str>) -> Vec<&'static Mapping> {
    let fits = |mapping: &&Mapping| {
        mapping.structs.iter().all(|name| has_struct(schema, name))
            && product.is_none_or(|product| product.starts_with(mapping.product))
    };
    MAPPINGS.iter().filter(fits).collect()
}

/// Writes events as records of a log; those of other products are none.
pub(super) fn write(
    batch: &RecordBatch,
    mapping: &Mapping,
    into: &mut Vec<u8>,
    bad: &mut u64,
) -> io::Result<()> {
    let mut lines = Vec::new();
    let mut writer = output::json_lines(&mut lines);
    writer.write(batch).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)?;
    drop(writer);
    let lines = lines.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| !line.is_empty()) {
        let event: Map<String, Value> = serde_json::from_slice(line).map_err(io::Error::other)?;
        let event = Event(&event);
        let product = event.text(&["metadata.product.name"]).unwrap_or_default();
        if !product.starts_with(mapping.product) {
            continue;
        }
        match (mapping.record)(&event) {
            Record::Json(record) => {
                serde_json::to_writer(&mut *into, &record).map_err(io::Error::other)?;
            }
            Record::Fields(fields) => {
                for (at, text) in fields.iter().enumerate() {
                    if at > 0 {
                        into.push(b' ');
                    }
                    field(text.as_deref(), into, bad);
                }
            }
        }
        into.push(b'\n');
    }
    Ok(())
}

impl Event<'_> {
    /// What stands at the first of some paths that has something.
    fn get(&self, paths: &[&str]) -> Option<&Value> {
        paths.iter().find_map(|path| {
            let mut parts = path.split('.');
            let mut at = self.0.get(parts.next()?)?;
            for part in parts {
                at = match at {
                    Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
                    other => other.get(part)?,
                };
            }
            let is_empty = at.is_null() || at.as_str() == Some("");
            (!is_empty).then_some(at)
        })
    }

    /// The same as text.
    fn text(&self, paths: &[&str]) -> Option<String> {
        match self.get(paths)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The same as a value, NULL where there is none.
    fn value(&self, paths: &[&str]) -> Value {
        self.get(paths).cloned().unwrap_or_default()
    }

    /// A text that holds JSON, as that.
    fn parsed(&self, paths: &[&str]) -> Value {
        match self.text(paths) {
            Some(text) => serde_json::from_str(&text).unwrap_or(json!(text)),
            None => Value::Null,
        }
    }

    /// What no field of OCSF has a place for, by the path that it had.
    fn unmapped(&self, path: &str) -> Option<String> {
        let value = self.0.get("unmapped")?.get(path)?;
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    /// Seconds since 1970 of the first of some moments.
    fn seconds(&self, paths: &[&str]) -> Option<String> {
        let value = self.get(paths)?;
        let millis = match value {
            Value::Number(number) => number.as_i64()?,
            other => {
                let text = other.as_str()?;
                return Some((crate::read::moment::micros(text)? / 1_000_000).to_string());
            }
        };
        Some((millis / 1000).to_string())
    }
}
