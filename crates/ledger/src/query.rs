//! What pages ask for. Every list goes on where it stopped by a cursor, so that its thousandth page
//! costs as much as its first; numbers on every page come from tables that are kept, not counted.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::text::{SHOWN_BYTES, shown};

mod findings;
mod incidents;
mod others;
mod standing;
mod work;

pub use findings::{FindingFilter, FindingView};
pub use incidents::{IncidentFilter, IncidentSort, IncidentView};
pub use others::{NodeView, Overview};
pub use standing::Standing;
pub use work::{AuditView, Burning, JobFilter, JobView, PlanView, RunFilter};

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
        self.bound.push(Bound::Text(value.to_owned()));
        let parameter = format!("${}", self.bound.len());
        self.conditions.push(condition.replace("{}", &parameter));
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
        let sql = format!(
            "SELECT {select} WHERE {} ORDER BY {order} LIMIT {}",
            self.conditions.join(" AND "),
            limit + 1
        );
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
