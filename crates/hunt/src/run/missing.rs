//! What a hunt needs and the logs lack: why its nothing may not be nothing.

use std::fmt;

use davylamp_content::hunt::Hunt;

use crate::tally::Run;

/// Something that a hunt needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Missing {
    /// A log that is not read yet.
    Reader {
        /// Its table.
        table: &'static str,
    },
    /// A log of which there is no object.
    Logs {
        /// Its table.
        table: &'static str,
    },
    /// A column that the format of some objects does not carry.
    Column {
        /// Its table.
        table: &'static str,
        /// The column.
        column: String,
        /// How many objects lack it.
        objects: u64,
        /// How many objects were read.
        of: u64,
    },
    /// A column that no record has a value for, of those that came into question.
    Values {
        /// Its table.
        table: &'static str,
        /// The column.
        column: String,
        /// How many records came into question; others were passed over by what they do not hold.
        records: u64,
    },
}

impl Missing {
    /// Whether the logs cannot say what the hunt asks. That no record has a value may be just so:
    /// a quiet account starts no instance.
    pub fn is_blind(&self) -> bool {
        !matches!(self, Self::Values { .. })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reader { table } => write!(f, "logs of the kind {table} are not read yet"),
            Self::Logs { table } => write!(f, "none of the logs given is one of {table}"),
            Self::Column {
                table,
                column,
                objects,
                of,
            } => write!(
                f,
                "{table}.{column} is needed, and the format of {objects} of {of} objects does not carry it"
            ),
            Self::Values {
                table,
                column,
                records,
            } => write!(
                f,
                "{table}.{column} is needed, and it is NULL in all of the {records} records that came \
                 into question"
            ),
        }
    }
}

/// The columns that a hunt needs and that its logs had no values for.
pub(super) fn columns(run: &Run, hunt: &Hunt) -> Vec<Missing> {
    let tallies = run.tables();
    let mut missing = Vec::new();
    for table in hunt.tables.iter().map(|table| table.name()) {
        let Some(tally) = tallies.get(table) else {
            continue;
        };
        if tally.is_without_objects {
            missing.push(Missing::Logs { table });
            continue;
        }
        for column in &hunt.needs {
            let absent = tally.absent.get(column.as_str()).copied().unwrap_or(0);
            if absent > 0 {
                missing.push(Missing::Column {
                    table,
                    column: column.clone(),
                    objects: absent,
                    of: tally.objects,
                });
            } else if tally.records > 0 && run.filled(table, column) == Some(0) {
                missing.push(Missing::Values {
                    table,
                    column: column.clone(),
                    records: tally.records,
                });
            }
        }
    }
    missing
}
