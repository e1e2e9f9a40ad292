//! Which field stands where in a line.

use super::columns::{FIELDS, TABLE};
use crate::table::Kind;

/// Fields of version 2, the default format: the first of the table.
const VERSION_2: usize = 14;

/// More fields than this are no flow log's: AWS has [`FIELDS`], and a user may repeat a few.
pub(super) const MAX_FIELDS: usize = 64;

/// The order of the fields of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    /// For each place in a line, the table's column; `None` for a field that has none.
    pub columns: Vec<Option<usize>>,
    /// The names of the fields that have no column.
    pub unknown: Vec<String>,
}

impl Fields {
    /// The order that a line of names says, if it is one.
    pub fn of_names(line: &str) -> Option<Self> {
        let line = line.trim_start_matches('\u{feff}').trim();
        // A record starts with a number, an id or an address, none of which is a field's name.
        let first = line.split_ascii_whitespace().next()?;
        column(first)?;
        Self::of(line.split_ascii_whitespace())
    }

    /// The order that a format says, as AWS writes it: `${version} ${srcaddr}`. Bare names do too.
    pub fn of_format(format: &str) -> Option<Self> {
        Self::of(format.split_ascii_whitespace().map(|field| {
            field
                .strip_prefix("${")
                .and_then(|field| field.strip_suffix('}'))
                .unwrap_or(field)
        }))
    }

    /// The default format.
    pub fn of_version_2() -> Self {
        Self {
            columns: (0..VERSION_2).map(Some).collect(),
            unknown: Vec::new(),
        }
    }

    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut fields = Self {
            columns: Vec::new(),
            unknown: Vec::new(),
        };
        for name in names.take(MAX_FIELDS) {
            let column = column(name);
            if column.is_none() {
                fields.unknown.push(name.chars().take(40).collect());
            }
            fields.columns.push(column);
        }
        let is_known = fields.columns.iter().any(Option::is_some);
        is_known.then_some(fields)
    }
}

/// The column of a field: names have hyphens in the log and underscores in SQL.
fn column(name: &str) -> Option<usize> {
    let name = name.replace('-', "_").to_ascii_lowercase();
    TABLE.columns[..FIELDS]
        .iter()
        .position(|column| column.name == name)
}

/// Whether a line may be a record with these fields: as many, and numbers where there are some.
pub(super) fn is_record_of(fields: &Fields, line: &str) -> bool {
    let values: Vec<&str> = line.split_ascii_whitespace().take(MAX_FIELDS + 1).collect();
    let is_number = |value: &str| value == "-" || value.parse::<i64>().is_ok();
    let mut pairs = fields.columns.iter().zip(&values);
    values.len() == fields.columns.len()
        && pairs.all(|(column, value)| match column {
            Some(column) if TABLE.columns[*column].kind != Kind::Text => is_number(value),
            _ => true,
        })
}

/// Whether a line is a record of the default format.
pub(super) fn is_record_of_version_2(line: &str) -> bool {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    fields.len() == VERSION_2
        && fields[0] == "2"
        && matches!(fields[VERSION_2 - 1], "OK" | "NODATA" | "SKIPDATA")
}
