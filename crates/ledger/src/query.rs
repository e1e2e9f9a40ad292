//! What pages ask for. Every list goes on where it stopped by a cursor, so that its thousandth page
//! costs as much as its first; numbers on every page come from tables that are kept, not counted.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::table::{Dialect, json};
use crate::text::{SHOWN_BYTES, shown};

mod findings;
mod incidents;
mod measures;
mod others;
#[cfg(test)]
mod plans;
mod standing;
mod work;

pub use findings::{FindingFilter, FindingView};
pub use incidents::{IncidentFilter, IncidentSort, IncidentView};
pub use measures::Measures;
pub use others::{NodeView, Overview};
pub use standing::{Cost, NodeCounts, Standing};
pub use work::{AuditView, JobFilter, JobView, PlanView, RunFilter};

/// The most that one page of a list has.
pub const PAGE_ROWS: u32 = 500;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; `None` on the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The page of a list that has nothing.
    fn empty() -> Self {
        Self {
            items: Vec::new(),
            next: None,
        }
    }
}

/// So many values are each a parameter of a question; more are one together.
const SEEN: usize = 32;

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct At {
    /// [`Page::next`] of the page before.
    pub cursor: Option<String>,
    /// How many are on a page, up to [`PAGE_ROWS`].
    pub rows: u32,
}

impl At {
    /// The first page.
    pub fn first(rows: u32) -> Self {
        Self { cursor: None, rows }
    }

    fn limit(&self) -> usize {
        self.rows.clamp(1, PAGE_ROWS) as usize
    }

    /// The numbers of the cursor of a list.
    fn numbers<const N: usize>(&self, list: &str) -> Result<Option<[i64; N]>, LedgerError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let mut parts = cursor.split('.');
        if parts.next() != Some(list) {
            return Err(LedgerError::Cursor);
        }
        let numbers: Vec<i64> = parts
            .map(|part| part.parse().map_err(|_| LedgerError::Cursor))
            .collect::<Result<_, _>>()?;
        let numbers: [i64; N] = numbers.try_into().map_err(|_| LedgerError::Cursor)?;
        Ok(Some(numbers))
    }
}

/// The cursor behind a row of a list.
fn cursor(list: &str, numbers: &[i64]) -> String {
    let mut text = list.to_owned();
    for number in numbers {
        text.push('.');
        text.push_str(&number.to_string());
    }
    text
}

/// The clusters that are asked for, of those that somebody may see; `None` for all of them.
fn narrowed(may: &Option<Vec<String>>, asked: &Option<String>) -> Option<Vec<String>> {
    let asked = asked.as_ref().map(|name| shown(name, SHOWN_BYTES));
    let may = may.as_ref().map(|names| {
        let names = names.iter().map(|name| shown(name, SHOWN_BYTES));
        let names: std::collections::BTreeSet<String> = names.collect();
        names
    });
    match (may, asked) {
        (None, None) => None,
        (None, Some(asked)) => Some(vec![asked]),
        (Some(may), None) => Some(may.into_iter().collect()),
        (Some(may), Some(asked)) => {
            Some(may.contains(&asked).then_some(asked).into_iter().collect())
        }
    }
}

enum Bound {
    Int(i64),
    Text(String),
}

/// A question under construction.
struct Question {
    conditions: Vec<String>,
    bound: Vec<Bound>,
}

impl Question {
    fn new() -> Self {
        Self {
            conditions: vec!["true".to_owned()],
            bound: Vec::new(),
        }
    }

    /// Adds a condition in which `{}` stands for the value.
    fn int(&mut self, condition: &str, value: i64) {
        self.bound.push(Bound::Int(value));
        let parameter = format!("${}", self.bound.len());
        self.conditions.push(condition.replace("{}", &parameter));
    }

    /// The same with text as it is.
    fn raw(&mut self, condition: &str, value: &str) {
        let condition = self.bind(condition, value);
        self.conditions.push(condition);
    }

    /// The condition, for a place of its own.
    fn bind(&mut self, condition: &str, value: &str) -> String {
        self.bound.push(Bound::Text(value.to_owned()));
        let parameter = format!("${}", self.bound.len());
        condition.replace("{}", &parameter)
    }

    /// The condition that a column is one of several, in a form whose values the planners see, where they are
    /// not many.
    fn one_of(&mut self, dialect: Dialect, column: &str, values: &[String]) -> String {
        match values {
            [] => "false".to_owned(),
            [one] => self.bind(&format!("{column} = {{}}"), one),
            some if some.len() <= SEEN => {
                let places: Vec<String> = some.iter().map(|value| self.bind("{}", value)).collect();
                format!("{column} IN ({})", places.join(", "))
            }
            many => {
                let texts = dialect.texts_in("{}");
                self.bind(&format!("{column} IN {texts}"), &json(many))
            }
        }
    }

    /// The same with text, in the form in which columns hold it.
    fn text(&mut self, condition: &str, value: &str) {
        self.raw(condition, &shown(value, SHOWN_BYTES));
    }

    /// Adds that the row comes after the cursor in an order of columns.
    fn after(&mut self, columns: &str, sign: &str, numbers: &[i64]) {
        let mut parameters = Vec::new();
        for number in numbers {
            self.bound.push(Bound::Int(*number));
            parameters.push(format!("${}", self.bound.len()));
        }
        self.conditions
            .push(format!("({columns}) {sign} ({})", parameters.join(", ")));
    }

    /// Asks for one row more than wanted, which tells whether there is a next page.
    async fn ask(
        self,
        ledger: &Ledger,
        select: &str,
        order: &str,
        limit: usize,
    ) -> Result<Vec<AnyRow>, LedgerError> {
        let sql = self.sql(select, order, limit);
        self.fetch(ledger, sql).await
    }

    fn sql(&self, select: &str, order: &str, limit: usize) -> String {
        format!(
            "SELECT {select} WHERE {} ORDER BY {order} LIMIT {}",
            self.conditions.join(" AND "),
            limit + 1
        )
    }

    /// The same for each of several values of one condition, of which each gives its first rows in the
    /// order of an index; `outer` is the order without names of tables.
    async fn ask_legs(
        mut self,
        ledger: &Ledger,
        select: &str,
        (condition, values): (&str, &[String]),
        order: &str,
        outer: &str,
        limit: usize,
    ) -> Result<Vec<AnyRow>, LedgerError> {
        let mut legs = Vec::new();
        for (number, value) in values.iter().enumerate() {
            self.raw(condition, value);
            let leg = self.sql(select, order, limit);
            legs.push(format!("SELECT * FROM ({leg}) AS leg{number}"));
            self.conditions.pop();
        }
        let sql = format!(
            "SELECT * FROM ({}) AS legs ORDER BY {outer} LIMIT {}",
            legs.join(" UNION ALL "),
            limit + 1
        );
        self.fetch(ledger, sql).await
    }

    /// How many rows there are, counted up to one more than `most`, in an order that an index has: what is
    /// counted is mostly what is latest, which the planner of PostgreSQL does not know.
    async fn count(
        self,
        ledger: &Ledger,
        from: &str,
        order: &str,
        most: usize,
    ) -> Result<AnyRow, LedgerError> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {from} WHERE {} ORDER BY {order} LIMIT {}) AS counted",
            self.conditions.join(" AND "),
            most + 1
        );
        let mut rows = self.fetch(ledger, sql).await?;
        rows.pop()
            .ok_or_else(|| LedgerError::Database("a count gave no row".to_owned()))
    }

    async fn fetch(self, ledger: &Ledger, sql: String) -> Result<Vec<AnyRow>, LedgerError> {
        #[cfg(test)]
        plans::note(&sql, &self.bound);
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for bound in self.bound {
            query = match bound {
                Bound::Int(value) => query.bind(value),
                Bound::Text(value) => query.bind(value),
            };
        }
        Ok(query.fetch_all(&ledger.pool).await?)
    }
}

/// Makes a page of what was asked for.
fn paged<T>(
    mut items: Vec<T>,
    limit: usize,
    list: &str,
    place: impl Fn(&T) -> Vec<i64>,
) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| cursor(list, &place(last)));
    Page { items, next }
}

/// Reads a number that a table keeps.
fn number(row: &AnyRow, index: usize) -> Result<i64, LedgerError> {
    Ok(row.try_get(index)?)
}
