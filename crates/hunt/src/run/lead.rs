//! From a row to a lead.

use std::collections::BTreeSet;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use davylamp_content::hunt::Hunt;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::output;
use crate::suspects::{Entity, Lead};

/// The rows of a batch as JSON: numbers and texts, moments as text, NULL as null.
///
/// # Errors
/// When a column has a type that has no JSON.
pub fn rows(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>, DataFusionError> {
    let mut text = Vec::new();
    let mut writer = output::json_lines(&mut text);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let parsed = lines.map(|line| {
        serde_json::from_slice(line).map_err(|error| DataFusionError::External(Box::new(error)))
    });
    parsed.collect()
}

/// What a row of a hunt says.
pub(super) fn of(hunt: &Hunt, row: &Map<String, Value>) -> Lead {
    let text = |column: &str| row.get(column).and_then(text);
    let moment = |column: &str| row.get(column)?.as_str()?.parse::<Timestamp>().ok();
    let entities: BTreeSet<Entity> = hunt
        .entities
        .iter()
        .filter_map(|(kind, column)| Some((*kind, text(column)?)))
        .flat_map(|(kind, value)| Entity::all_of(kind, &value))
        .collect();
    let evidence = hunt.evidence.iter().map(|column| {
        let value = row.get(column).cloned().unwrap_or_default();
        (column.clone(), value)
    });
    Lead {
        hunt: hunt.name.clone(),
        severity: hunt.severity,
        score: row.get("score").and_then(Value::as_f64).unwrap_or(0.0),
        first_seen: moment("first_seen"),
        last_seen: moment("last_seen"),
        entities,
        because: hunt.explain(text),
        evidence: evidence.collect(),
    }
}

/// A value as it stands in a sentence; nothing for NULL.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(match number.as_f64() {
            // 12.0 is said as 12.
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        }),
        other => Some(other.to_string()),
    }
}
