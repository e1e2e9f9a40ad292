//! Lists of findings, and one of them.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use davylamp_model::finding::Severity;
use jiff::Timestamp;

use super::{At, Page, Question, cursor};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::record::{FindingRecord, IncidentNo, Record, Taken};
use crate::rows::{FindingRow, Row, severity_rank};
use crate::table::parse;
use crate::text::words;

/// Which findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// Last seen at or after.
    pub from: Option<Timestamp>,
    /// Last seen before.
    pub to: Option<Timestamp>,
    /// Of this incident, or the one it became part of.
    pub incident: Option<IncidentNo>,
    /// At least this bad.
    pub severity: Option<Severity>,
    /// With this done about them.
    pub taken: Option<Taken>,
    /// Of this cluster.
    pub cluster: Option<String>,
    /// Of this node.
    pub node: Option<String>,
    /// Of this user.
    pub user: Option<String>,
    /// With this key: see [`crate::keys`].
    pub key: Option<String>,
    /// Every word of this is one of theirs, or the beginning of one. With it the list is in the order
    /// of arrival.
    pub text: Option<String>,
    /// The oldest first.
    pub oldest_first: bool,
}

/// A finding, with what its entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingView {
    /// As lists show it.
    pub row: FindingRow,
    /// Its latest state in full; `None` where retention has removed it.
    pub record: Option<FindingRecord>,
}

impl Ledger {
    /// Findings, the latest first.
    pub async fn findings(
        &self,
        filter: &FindingFilter,
        at: &At,
    ) -> Result<Page<FindingRow>, LedgerError> {
        let rows = self.found(filter, at, ("", "")).await?;
        let items = rows.items.iter().map(parse).collect::<Result<_, _>>()?;
        let next = rows.next;
        Ok(Page { items, next })
    }

    /// The same, each with what its entry says: for whoever has to look into all of them.
    pub async fn findings_in_full(
        &self,
        filter: &FindingFilter,
        at: &At,
    ) -> Result<Page<FindingView>, LedgerError> {
        let with_body = (", e.body", " JOIN entry e ON e.seq = f.latest");
        let rows = self.found(filter, at, with_body).await?;
        let items = rows.items.iter().map(view).collect::<Result<_, _>>()?;
        let next = rows.next;
        Ok(Page { items, next })
    }

    /// Rows of findings, with columns and tables beside theirs.
    async fn found(
        &self,
        filter: &FindingFilter,
        at: &At,
        (columns_beside, tables_beside): (&str, &str),
    ) -> Result<Page<AnyRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        if let Some(from) = filter.from {
            question.int("f.at >= {}", from.as_microsecond());
        }
        if let Some(to) = filter.to {
            question.int("f.at < {}", to.as_microsecond());
        }
        if let Some(incident) = filter.incident {
            let root = self.root_of(incident).await?;
            question.int("f.incident = {}", root);
        }
        match filter.severity {
            // Equal where it can be: an index then gives the order as well.
            Some(Severity::Critical) => question.int("f.severity = {}", 3),
            Some(severity) => question.int("f.severity >= {}", severity_rank(severity)),
            None => {}
        }
        if let Some(taken) = filter.taken {
            question.text("f.action = {}", taken.as_str());
        }
        for (column, value) in [
            ("f.cluster", &filter.cluster),
            ("f.node", &filter.node),
            ("f.hub_user", &filter.user),
        ] {
            if let Some(value) = value {
                question.text(&format!("{column} = {{}}"), value);
            }
        }
        // A key that no finding can have is not asked for: PostgreSQL takes no NUL.
        if let Some(key) = &filter.key.as_ref().map(|key| key.replace('\0', "")) {
            question.raw(
                "f.id IN (SELECT finding FROM finding_key WHERE key = {})",
                key,
            );
        }
        let asked = filter.text.as_deref().map(|text| words([text]));
        let asked = asked.filter(|words| !words.is_empty());
        // With words, those are walked in their own order, so that a page of a common word ends early.
        let words_id = format!("w.{}", self.dialect.words_id());
        let mut from = "finding f";
        let (mut list, mut columns) = ("f", "f.at, f.id");
        if let Some(words) = &asked {
            question.raw(
                self.dialect.words_match(),
                &self.dialect.words_question(words),
            );
            from = "finding_words w CROSS JOIN finding f";
            (list, columns) = ("w", words_id.as_str());
        }
        let (sign, direction) = if filter.oldest_first {
            (">", "ASC")
        } else {
            ("<", "DESC")
        };
        if asked.is_some() {
            if let Some(numbers) = at.numbers::<1>(list)? {
                question.after(columns, sign, &numbers);
            }
        } else if let Some(numbers) = at.numbers::<2>(list)? {
            question.after(columns, sign, &numbers);
        }
        let order = columns
            .split(", ")
            .map(|column| format!("{column} {direction}"))
            .collect::<Vec<_>>()
            .join(", ");
        let select = format!(
            "{}{columns_beside} FROM {from}{tables_beside}",
            FindingRow::TABLE.columns_of("f")
        );
        let mut items = question.ask(self, &select, &order, limit).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = match items.last().filter(|_| more) {
            None => None,
            Some(last) => {
                let last: FindingRow = parse(last)?;
                let numbers = match asked.is_some() {
                    true => vec![last.id],
                    false => vec![last.at, last.id],
                };
                Some(cursor(list, &numbers))
            }
        };
        Ok(Page { items, next })
    }

    /// One finding, by its number.
    pub async fn finding(&self, id: i64) -> Result<Option<FindingView>, LedgerError> {
        let mut question = Question::new();
        question.int("f.id = {}", id);
        let select = format!(
            "{}, e.body FROM finding f JOIN entry e ON e.seq = f.latest",
            FindingRow::TABLE.columns_of("f")
        );
        let rows = question.ask(self, &select, "f.id", 1).await?;
        rows.first().map(view).transpose()
    }
}

/// A finding with what its entry says, which stands behind its own columns.
fn view(row: &AnyRow) -> Result<FindingView, LedgerError> {
    let body: Option<String> = row.try_get(FindingRow::TABLE.columns.len())?;
    let row: FindingRow = parse(row)?;
    let record = match body {
        None => None,
        Some(body) => match serde_json::from_str(&body) {
            Ok(Record::Finding(record)) => Some(*record),
            Ok(_) => None,
            Err(error) => {
                return Err(LedgerError::Entry {
                    seq: row.latest,
                    why: error.to_string(),
                });
            }
        },
    };
    Ok(FindingView { row, record })
}
