//! What a log's table is: its columns by name, kind and meaning.
//!
//! What must stay true: a table is the same on every engine, so a column has one of five plain
//! kinds, a list is text joined by commas with all its items, and a time is in UTC. Deliberately
//! not here: the tables themselves, each of which stands with its reader under `read`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The table of one log.
#[derive(Debug)]
pub struct Table {
    /// Its name in SQL.
    pub name: &'static str,
    /// What one row is.
    pub about: &'static str,
    /// The column that says when a row happened: what a time range is about.
    pub time: &'static str,
    /// The column with the account that a row is about.
    pub account: Option<&'static str>,
    /// The column with the region that a row is about.
    pub region: Option<&'static str>,
    /// The columns, in the order in which they are shown.
    pub columns: &'static [Column],
}

/// One column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The log's own name for it, in snake_case.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it says, in one line.
    pub about: &'static str,
    /// Whether the reader works it out instead of taking it from the record.
    pub is_computed: bool,
    /// Whether a value stands in the log's bytes as it stands in the table, so that a search for
    /// the bytes finds every record that has it.
    pub is_verbatim: bool,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A number with a fraction, of 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// A moment in UTC, in microseconds.
    Time,
}

/// The object a row was read from and where in it: on every table.
pub const SOURCE: Column = text(
    "_source",
    "the object the row was read from, and its line or record there",
)
.computed();

/// A text column taken from the log.
pub const fn text(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Text, about)
}

/// A column of whole numbers taken from the log.
pub const fn integer(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Integer, about)
}

/// A column of numbers with a fraction taken from the log.
pub const fn float(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Float, about)
}

/// A column of true and false taken from the log.
pub const fn boolean(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Boolean, about)
}

/// A column of moments taken from the log.
pub const fn time(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Time, about)
}

impl Column {
    const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self {
            name,
            kind,
            about,
            is_computed: false,
            is_verbatim: false,
        }
    }

    /// The reader works it out.
    pub const fn computed(self) -> Self {
        Self {
            is_computed: true,
            ..self
        }
    }

    /// A value stands in the log's bytes as it stands in the table.
    pub const fn verbatim(self) -> Self {
        Self {
            is_verbatim: true,
            ..self
        }
    }
}

impl Kind {
    /// The Arrow type that holds it.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8View,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}

impl Table {
    /// The Arrow schema. Any column can be NULL.
    pub fn schema(&self) -> SchemaRef {
        let fields = self
            .columns
            .iter()
            .map(|column| Field::new(column.name, column.kind.data_type(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The number of a column.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
