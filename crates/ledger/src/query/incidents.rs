//! Lists of incidents, one of them, and what happened in it.

use davylamp_model::finding::Severity;

use super::{At, Page, Question, paged};
use crate::chain::Entry;
use crate::error::LedgerError;
use crate::ledger::{Ledger, entry_of};
use crate::record::{IncidentNo, OwnerStep, State};
use crate::rows::{IncidentRow, NOT_DUE, Row, severity_rank};
use crate::table::parse;

/// In which order incidents are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IncidentSort {
    /// The one with the latest finding first.
    #[default]
    LastSeen,
    /// The worst first, and of those the latest.
    Severity,
    /// What is due first, first.
    Due,
}

/// Which incidents. Those that became part of others are in no list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// In this state.
    pub state: Option<State>,
    /// Not closed.
    pub open: bool,
    /// At least this bad.
    pub severity: Option<Severity>,
    /// Owned by this person.
    pub owner: Option<String>,
    /// Owned by nobody.
    pub without_owner: bool,
    /// Handed on, and not taken yet.
    pub delegated: bool,
    /// Something is due.
    pub with_clock: bool,
    /// With a finding of this cluster.
    pub cluster: Option<String>,
    /// With a finding of this user.
    pub user: Option<String>,
    /// In which order.
    pub sort: IncidentSort,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentView {
    /// As it is now.
    pub row: IncidentRow,
    /// Those that became part of it.
    pub merged: Vec<IncidentNo>,
}

impl Ledger {
    /// Incidents.
    pub async fn incidents(
        &self,
        filter: &IncidentFilter,
        at: &At,
    ) -> Result<Page<IncidentRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        match filter.state {
            Some(state) => question.text("i.state = {}", state.as_str()),
            None => question.text("i.state <> {}", State::Merged.as_str()),
        }
        if filter.open {
            question.text("i.state <> {}", State::Closed.as_str());
        }
        if let Some(severity) = filter.severity {
            question.int("i.severity >= {}", severity_rank(severity));
        }
        if let Some(owner) = &filter.owner {
            question.text("i.owner = {}", owner);
        }
        if filter.without_owner {
            question.conditions.push("i.owner IS NULL".to_owned());
        }
        if filter.delegated {
            question.text("i.owner_step = {}", OwnerStep::Delegated.as_str());
        }
        if filter.with_clock {
            question.int("i.due < {}", NOT_DUE);
        }
        for (column, value) in [("cluster", &filter.cluster), ("hub_user", &filter.user)] {
            if let Some(value) = value {
                let condition = format!(
                    "EXISTS (SELECT 1 FROM finding f WHERE f.incident = i.id AND f.{column} = {{}})"
                );
                question.text(&condition, value);
            }
        }
        let (list, columns, sign, direction) = match filter.sort {
            IncidentSort::LastSeen => ("i", "i.last_at, i.id", "<", "DESC"),
            IncidentSort::Severity => ("s", "i.severity, i.last_at, i.id", "<", "DESC"),
            IncidentSort::Due => ("d", "i.due, i.id", ">", "ASC"),
        };
        if filter.sort == IncidentSort::Severity {
            if let Some(numbers) = at.numbers::<3>(list)? {
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
        let select = format!("{} FROM incident i", IncidentRow::TABLE.columns_of("i"));
        let rows = question.ask(self, &select, &order, limit).await?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, list, |row: &IncidentRow| {
            match filter.sort {
                IncidentSort::LastSeen => vec![row.last_at, row.id],
                IncidentSort::Severity => vec![row.severity, row.last_at, row.id],
                IncidentSort::Due => vec![row.due, row.id],
            }
        }))
    }

    /// What somebody owns and has not closed, what is due first at the front.
    pub async fn queue(&self, owner: &str, at: &At) -> Result<Page<IncidentRow>, LedgerError> {
        let filter = IncidentFilter {
            owner: Some(owner.to_owned()),
            open: true,
            sort: IncidentSort::Due,
            ..IncidentFilter::default()
        };
        self.incidents(&filter, at).await
    }

    /// One incident by its number, or the one it became part of.
    pub async fn incident(
        &self,
        incident: IncidentNo,
    ) -> Result<Option<IncidentView>, LedgerError> {
        let root = self.root_of(incident).await?;
        let mut question = Question::new();
        question.int("i.id = {}", root);
        let select = format!("{} FROM incident i", IncidentRow::TABLE.columns_of("i"));
        let rows = question.ask(self, &select, "i.id", 1).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let merged: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM incident WHERE merged_into = $1 ORDER BY id")
                .bind(root)
                .fetch_all(&self.pool)
                .await?;
        Ok(Some(IncidentView {
            row: parse(row)?,
            merged: merged.into_iter().map(IncidentNo).collect(),
        }))
    }

    /// What happened in an incident and in those that became part of it, the oldest first.
    pub async fn timeline(
        &self,
        incident: IncidentNo,
        at: &At,
    ) -> Result<Page<Entry>, LedgerError> {
        let limit = at.limit();
        let root = self.root_of(incident).await?;
        let mut question = Question::new();
        question.int("t.incident = {}", root);
        if let Some(numbers) = at.numbers::<1>("t")? {
            question.after("t.seq", ">", &numbers);
        }
        let select = "e.seq, e.at_us, e.kind, e.body, e.body_hash, e.hash
                      FROM timeline t JOIN entry e ON e.seq = t.seq";
        let rows = question.ask(self, select, "t.seq", limit).await?;
        let entries = rows.iter().map(entry_of).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(entries, limit, "t", |entry: &Entry| vec![entry.seq]))
    }

    /// The last entry of that kind in an incident.
    pub async fn latest(
        &self,
        incident: IncidentNo,
        kind: &str,
    ) -> Result<Option<Entry>, LedgerError> {
        let root = self.root_of(incident).await?;
        let mut question = Question::new();
        question.int("t.incident = {}", root);
        question.text("e.kind = {}", kind);
        let select = "e.seq, e.at_us, e.kind, e.body, e.body_hash, e.hash
                      FROM timeline t JOIN entry e ON e.seq = t.seq";
        let rows = question.ask(self, select, "t.seq DESC", 1).await?;
        Ok(rows.first().map(entry_of).transpose()?)
    }

    /// The incident that a number leads to.
    pub(super) async fn root_of(&self, incident: IncidentNo) -> Result<i64, LedgerError> {
        let into: Option<i64> =
            sqlx::query_scalar("SELECT coalesce(merged_into, id) FROM incident WHERE id = $1")
                .bind(incident.0)
                .fetch_optional(&self.pool)
                .await?;
        Ok(into.unwrap_or(incident.0))
    }
}
