//! From a question over our tables to the text that Athena is given.
//!
//! Athena's tables are those of the lake, in a database and split by account, region and day. What is
//! asked for is said of them once, before the question, whose own text stays as it is.
//!
//! Names are taken as Trino takes them, <https://docs.aws.amazon.com/athena/latest/ug/ddl-sql-reference.html>.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::lake::{ACCOUNT, DATE, REGION, UNKNOWN};
use crate::objects::Scope;
use crate::read::LOGS;
use crate::table::Table;

/// What is asked of, and where.
#[derive(Debug, Clone)]
pub struct Scoped {
    /// The database with the tables of the lake.
    pub database: String,
    /// What of them is asked for.
    pub scope: Scope,
}

/// Why a question cannot be put to Athena.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It is no SQL.
    #[error("it cannot be read: {0}")]
    NoSql(String),
    /// It is not one question.
    #[error("it is no single SELECT, and Athena is asked one question at a time")]
    NoQuestion,
}

impl Scoped {
    /// The text for Athena.
    ///
    /// # Errors
    /// When it is no question.
    pub fn question(&self, sql: &str) -> Result<String, TextError> {
        let tokens = Tokenizer::new(&GenericDialect {}, sql)
            .tokenize_with_location()
            .map_err(|error| TextError::NoSql(error.to_string()))?;
        let mut words = tokens
            .iter()
            .filter(|it| !matches!(it.token, Token::Whitespace(_)));
        let keyword = |token: &Token| match token {
            Token::Word(word) if word.quote_style.is_none() => word.keyword,
            _ => Keyword::NoKeyword,
        };
        let named: Vec<&str> = words
            .clone()
            .filter_map(|it| match &it.token {
                Token::Word(word) => Some(word.value.as_str()),
                _ => None,
            })
            .collect();
        let is_named = |table: &&Table| named.iter().any(|it| it.eq_ignore_ascii_case(table.name));
        let tables: Vec<String> = LOGS
            .iter()
            .map(|log| log.table())
            .filter(is_named)
            .map(|table| self.table(table))
            .collect();
        let Some(first) = words.next() else {
            return Err(TextError::NoQuestion);
        };
        if words.any(|it| it.token == Token::SemiColon) {
            return Err(TextError::NoQuestion);
        }
        let ours = tables.join(",\n");
        let (begin, end) = (first.span.start, first.span.end);
        let at = |line: u64, column: u64| offset(sql, line, column);
        Ok(match keyword(&first.token) {
            Keyword::WITH if ours.is_empty() => sql.to_owned(),
            Keyword::WITH => {
                let cut = at(end.line, end.column);
                format!("{} {ours},{}", &sql[..cut], &sql[cut..])
            }
            Keyword::SELECT if ours.is_empty() => sql.to_owned(),
            Keyword::SELECT => {
                let cut = at(begin.line, begin.column);
                format!("{}WITH {ours}\n{}", &sql[..cut], &sql[cut..])
            }
            _ => return Err(TextError::NoQuestion),
        })
    }

    /// A table, with no more of it than is asked for. A row that does not say where or when it belongs
    /// is asked for, as everywhere; the folder of rows without a day cannot be named beside days.
    fn table(&self, table: &Table) -> String {
        let mut within = Vec::new();
        let Scope {
            since,
            until,
            accounts,
            regions,
        } = &self.scope;
        let time = table.time;
        let known = |text: &str| format!("({text} OR \"{time}\" IS NULL)");
        if let Some(at) = since {
            within.push(format!("{DATE} >= '{}'", day(*at)));
            within.push(known(&format!("\"{time}\" >= {}", moment(*at))));
        }
        if let Some(at) = until {
            within.push(format!("{DATE} <= '{}'", day(*at)));
            within.push(known(&format!("\"{time}\" < {}", moment(*at))));
        }
        for (folder, wanted) in [(ACCOUNT, accounts), (REGION, regions)] {
            if !wanted.is_empty() {
                let wanted = wanted.iter().map(String::as_str).chain([UNKNOWN]);
                let all: Vec<String> = wanted.map(text).collect();
                within.push(format!("{folder} IN ({})", all.join(", ")));
            }
        }
        let filter = match within.is_empty() {
            true => String::new(),
            false => format!("\n  WHERE {}", within.join("\n    AND ")),
        };
        format!(
            "{} AS (\n  SELECT * FROM {}.{}{filter}\n)",
            table.name, self.database, table.name
        )
    }
}

/// A text within quotes.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

fn moment(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::UTC).datetime();
    format!("TIMESTAMP '{}'", at.strftime("%Y-%m-%d %H:%M:%S%.6f"))
}

/// Where a line and column, both counted in letters from 1 on, lie in a text.
fn offset(text: &str, line: u64, column: u64) -> usize {
    let mut here = (1, 1);
    for (at, letter) in text.char_indices() {
        if here == (line, column) {
            return at;
        }
        here = match letter {
            '\n' => (here.0 + 1, 1),
            _ => (here.0, here.1 + 1),
        };
    }
    text.len()
}

#[cfg(test)]
mod tests;
