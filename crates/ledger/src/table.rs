//! From rows to SQL and back: the one place that knows how the two databases differ.
//!
//! A batch of rows travels as one JSON array in one parameter, so that it is one statement whose text
//! is always the same. Words that both databases reserve (`user`, `by`) are no column's name.

use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use crate::error::LedgerError;
use crate::rows::Row;

mod cells;

use cells::Cells;

/// So many entries' numbers make a stretch.
const STRETCH: i64 = 1 << 16;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Text,
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub name: &'static str,
    pub keys: &'static [&'static str],
    pub columns: &'static [(&'static str, Kind)],
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The members of a JSON array of text, as a query in brackets.
    pub fn texts(self, parameter: u8) -> String {
        self.texts_in(&format!("${parameter}"))
    }

    /// The same of a parameter in its place.
    pub fn texts_in(self, place: &str) -> String {
        match self {
            Self::Sqlite => format!("(SELECT value FROM json_each({place}))"),
            Self::Postgres => {
                format!("(SELECT value FROM json_array_elements_text({place}::json))")
            }
        }
    }

    /// The members of a JSON array of whole numbers, as a query in brackets.
    pub fn ints(self, parameter: u8) -> String {
        self.ints_in(&format!("${parameter}"))
    }

    /// The same of a parameter in its place.
    pub fn ints_in(self, place: &str) -> String {
        match self {
            Self::Sqlite => format!("(SELECT value FROM json_each({place}))"),
            Self::Postgres => {
                format!("(SELECT value::bigint FROM json_array_elements_text({place}::json))")
            }
        }
    }

    /// The rows of a JSON array of objects, as something to select from.
    pub fn records(self, parameter: u8, columns: &[(&str, Kind)]) -> String {
        match self {
            Self::Sqlite => {
                let values: Vec<String> = columns
                    .iter()
                    .map(|(name, _)| format!("value->>'{name}' AS {name}"))
                    .collect();
                format!(
                    "(SELECT {} FROM json_each(${parameter})) AS r",
                    values.join(", ")
                )
            }
            Self::Postgres => {
                let types: Vec<String> = columns
                    .iter()
                    .map(|(name, kind)| match kind {
                        Kind::Int => format!("{name} bigint"),
                        Kind::Text => format!("{name} text"),
                    })
                    .collect();
                format!(
                    "json_to_recordset(${parameter}::json) AS r({})",
                    types.join(", ")
                )
            }
        }
    }

    /// How a transaction begins that writes.
    pub fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// Reads the head, and keeps every other writer out until the transaction ends.
    pub fn lock_head(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT seq, hash FROM head",
            Self::Postgres => "SELECT seq, hash FROM head FOR UPDATE",
        }
    }

    /// A word as it is kept for a finding. SQLite has to gather every finding with a word, or with one that
    /// begins so, before it gives the first of them; within a stretch of findings that is soon done, so its
    /// words carry the number of their stretch.
    pub fn word(self, id: i64, word: &str) -> String {
        match self {
            Self::Sqlite => format!("{:x}_{word}", id / STRETCH),
            Self::Postgres => word.to_owned(),
        }
    }

    /// The stretches of findings that are searched one after another: those with numbers up to `last`.
    pub fn stretches(self, last: i64) -> std::ops::RangeInclusive<i64> {
        match self {
            Self::Sqlite => 0..=last.max(0) / STRETCH,
            Self::Postgres => 0..=0,
        }
    }

    /// In which of them a finding is.
    pub fn stretch(self, id: i64) -> i64 {
        match self {
            Self::Sqlite => id.max(0) / STRETCH,
            Self::Postgres => 0,
        }
    }

    /// The number behind which a walk goes on that comes to a stretch.
    pub fn edge(self, stretch: i64, oldest_first: bool) -> i64 {
        match oldest_first {
            true => stretch * STRETCH - 1,
            false => (stretch + 1) * STRETCH,
        }
    }

    /// Stores the words of findings.
    pub fn store_words(self) -> String {
        let records = self.records(1, &[("id", Kind::Int), ("words", Kind::Text)]);
        match self {
            Self::Sqlite => format!(
                "INSERT OR REPLACE INTO finding_words (rowid, words)
                 SELECT id, words FROM {records}"
            ),
            Self::Postgres => format!(
                "INSERT INTO finding_words (id, words)
                 SELECT id, array_to_tsvector(string_to_array(words, ' ')) FROM {records}
                 ON CONFLICT (id) DO UPDATE SET words = excluded.words"
            ),
        }
    }

    /// The name of the number in the table of words.
    pub fn words_id(self) -> &'static str {
        match self {
            Self::Sqlite => "rowid",
            Self::Postgres => "id",
        }
    }

    /// The condition that a finding's words, as `w`, match the question `{}`.
    pub fn words_match(self) -> &'static str {
        match self {
            Self::Sqlite => "f.id = w.rowid AND w.finding_words MATCH {}",
            Self::Postgres => "f.id = w.id AND w.words @@ {}::tsquery",
        }
    }

    /// A question for those of a stretch that have every word, or one that begins with it.
    pub fn words_question(self, words: &[String], stretch: i64) -> String {
        let (quote, joint) = match self {
            Self::Sqlite => ("\"{}\"*", " AND "),
            Self::Postgres => ("'{}':*", " & "),
        };
        words
            .iter()
            .map(|word| quote.replace("{}", &self.word(stretch.saturating_mul(STRETCH), word)))
            .collect::<Vec<_>>()
            .join(joint)
    }
}

impl Table {
    pub fn column_list(&self) -> String {
        self.columns
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The same, each of the table with that alias.
    pub fn columns_of(&self, alias: &str) -> String {
        self.columns
            .iter()
            .map(|(name, _)| format!("{alias}.{name}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn upsert(&self, dialect: Dialect) -> String {
        let others: Vec<String> = self
            .columns
            .iter()
            .filter(|(name, _)| !self.keys.contains(name))
            .map(|(name, _)| format!("{name} = excluded.{name}"))
            .collect();
        let conflict = if others.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", others.join(", "))
        };
        let columns = self.column_list();
        format!(
            "INSERT INTO {} ({columns}) SELECT {columns} FROM {} WHERE true
             ON CONFLICT ({}) DO {conflict}",
            self.name,
            dialect.records(1, self.columns),
            self.keys.join(", "),
        )
    }

    /// A row of the database as JSON.
    pub fn value(&self, row: &AnyRow) -> Result<Map<String, Value>, sqlx::Error> {
        let mut map = Map::new();
        for (index, (name, kind)) in self.columns.iter().enumerate() {
            let value = match kind {
                Kind::Int => row.try_get::<Option<i64>, _>(index)?.map(Value::from),
                Kind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::from),
            };
            map.insert((*name).to_owned(), value.unwrap_or(Value::Null));
        }
        Ok(map)
    }
}

/// A row of a list that selected all columns of its table, in their order, first.
pub(crate) fn parse<R: Row>(row: &AnyRow) -> Result<R, LedgerError> {
    R::deserialize(Cells::of(&R::TABLE, row))
        .map_err(|error| LedgerError::Database(format!("a row of {}: {error}", R::TABLE.name)))
}

/// Rows that `condition` holds for, of which `$1` is `parameter`.
pub(crate) async fn select<R: Row>(
    connection: &mut AnyConnection,
    condition: &str,
    parameter: &str,
) -> Result<Vec<R>, LedgerError> {
    let sql = format!(
        "SELECT {} FROM {} WHERE {condition}",
        R::TABLE.column_list(),
        R::TABLE.name
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(parameter.to_owned())
        .fetch_all(connection)
        .await?;
    rows.iter().map(parse).collect()
}

/// Stores rows, over those that have their keys.
pub(crate) async fn store<'a, R: Row + 'a>(
    connection: &mut AnyConnection,
    dialect: Dialect,
    rows: impl IntoIterator<Item = &'a R>,
) -> Result<(), LedgerError> {
    let rows: Vec<&R> = rows.into_iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    run(connection, R::TABLE.upsert(dialect), &json(&rows)).await
}

/// Runs a statement with one parameter.
pub(crate) async fn run(
    connection: &mut AnyConnection,
    sql: String,
    parameter: &str,
) -> Result<(), LedgerError> {
    sqlx::query(AssertSqlSafe(sql))
        .bind(parameter.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// A value as JSON text. Rows and lists of names always have one.
pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
