//! VPC flow logs as Parquet: a column for each field, named as in the text with underscores.
//!
//! Source: the Amazon VPC user guide, "Flow log files" and "Available fields". The columns of a
//! path that is compatible with Hive stand in the path alone.

use std::io;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{field, is_plain};
use crate::read::vpc_flow;

/// Fields of which a flow log has one at least.
const TOLD_BY: [&str; 5] = [
    "srcaddr",
    "dstaddr",
    "pkt_srcaddr",
    "pkt_dstaddr",
    "interface_id",
];

/// Whether columns are those of a flow log.
pub(super) fn is_flow(schema: &Schema) -> bool {
    let fields = schema
        .fields()
        .iter()
        .filter(|field| is_plain(field.data_type()) && vpc_flow::is_field(field.name()));
    let names: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
    names.len() >= 2 && names.iter().any(|name| TOLD_BY.contains(name))
}

/// The format of the text, and the columns in its order. A column that is no field is named all
/// the same, so that the reader can tell it.
pub(super) fn format(schema: &Schema) -> (String, Vec<usize>) {
    let (mut names, mut columns) = (Vec::new(), Vec::new());
    for (at, field) in schema.fields().iter().enumerate() {
        if is_plain(field.data_type()) {
            names.push(format!("${{{}}}", field.name().replace('_', "-")));
            columns.push(at);
        }
    }
    (names.join(" "), columns)
}

/// Writes rows as lines.
pub(super) fn write(
    batch: &RecordBatch,
    columns: &[usize],
    into: &mut Vec<u8>,
    bad: &mut u64,
) -> io::Result<()> {
    let options = FormatOptions::new();
    let formatters: Result<Vec<_>, _> = columns
        .iter()
        .map(|column| ArrayFormatter::try_new(batch.column(*column).as_ref(), &options))
        .collect();
    let formatters = formatters.map_err(io::Error::other)?;
    for row in 0..batch.num_rows() {
        for (at, (column, formatter)) in columns.iter().zip(&formatters).enumerate() {
            if at > 0 {
                into.push(b' ');
            }
            let text = match batch.column(*column).is_null(row) {
                true => None,
                false => Some(
                    formatter
                        .value(row)
                        .try_to_string()
                        .map_err(io::Error::other)?,
                ),
            };
            field(text.as_deref(), into, bad);
        }
        into.push(b'\n');
    }
    Ok(())
}
