//! Lists of findings, and one of them.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use davylamp_model::finding::Severity;
use jiff::Timestamp;

use super::{At, Page, Question, narrowed, number, paged};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::record::{FindingRecord, IncidentNo, Record, Taken};
use crate::rows::{FindingRow, Row, severity_rank};
use crate::table::parse;
use crate::text::words;

/// Up to so many clusters are each asked for their latest, in the order of an index; of more, whatever
/// comes is taken that is of one of them.
const LEGS: usize = 32;
/// So many stretches are searched for one page of words; a page that is not full by then has a next one.
const STRETCHES: usize = 16;

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
    /// Of one of these clusters: what somebody may see, where that is not everything.
    pub clusters: Option<Vec<String>>,
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
        let asked = filter.text.as_deref().map(|text| words([text]));
        if let Some(words) = asked.filter(|words| !words.is_empty()) {
            return self.worded(filter, &words, at).await;
        }
        let limit = at.limit();
        let clusters = narrowed(&filter.clusters, &filter.cluster);
        if clusters.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Page::empty());
        }
        let mut question = self.asked(filter).await?;
        let (sign, direction) = direction(filter);
        if let Some(numbers) = at.numbers::<2>("f")? {
            question.after("f.at, f.id", sign, &numbers);
        }
        let order = format!("f.at {direction}, f.id {direction}");
        let select = format!("{} FROM finding f", FindingRow::TABLE.columns_of("f"));
        // What is of one user, node, incident or key is little, whatever its cluster.
        let is_little = filter.user.is_some()
            || filter.node.is_some()
            || filter.incident.is_some()
            || filter.key.is_some();
        let rows = match clusters.as_deref() {
            Some(clusters) if (2..=LEGS).contains(&clusters.len()) && !is_little => {
                let legs = ("f.cluster = {}", clusters);
                let outer = format!("at {direction}, id {direction}");
                let ask = question.ask_legs(self, &select, legs, &order, &outer, limit);
                ask.await?
            }
            clusters => {
                of_clusters(self, &mut question, clusters);
                question.ask(self, &select, &order, limit).await?
            }
        };
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, "f", |row: &FindingRow| {
            vec![row.at, row.id]
        }))
    }

    /// The same, each with what its entry says: for whoever has to look into all of them.
    pub async fn findings_in_full(
        &self,
        filter: &FindingFilter,
        at: &At,
    ) -> Result<Page<FindingView>, LedgerError> {
        let page = self.findings(filter, at).await?;
        let latest: Vec<i64> = page.items.iter().map(|row| row.latest).collect();
        let entries = self.entries_by_number(&latest).await?;
        let mut bodies: HashMap<i64, String> = entries
            .into_iter()
            .filter_map(|entry| Some((entry.seq, entry.body?)))
            .collect();
        let view = |row: FindingRow| {
            let body = bodies.remove(&row.latest);
            view(row, body)
        };
        Ok(Page {
            items: page.items.into_iter().map(view).collect::<Result<_, _>>()?,
            next: page.next,
        })
    }

    /// Findings with words. They are walked in the order of their numbers, so that a page of a common word
    /// ends early, stretch by stretch.
    async fn worded(
        &self,
        filter: &FindingFilter,
        words: &[String],
        at: &At,
    ) -> Result<Page<FindingRow>, LedgerError> {
        let limit = at.limit();
        let clusters = narrowed(&filter.clusters, &filter.cluster);
        let (sign, direction) = direction(filter);
        let words_id = format!("w.{}", self.dialect.words_id());
        let order = format!("{words_id} {direction}");
        let select = format!(
            "{} FROM finding_words w CROSS JOIN finding f",
            FindingRow::TABLE.columns_of("f")
        );
        let mut place = at.numbers::<1>("w")?.map(|[id]| id);
        let last: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM finding")
            .fetch_one(&self.pool)
            .await?;
        let all = self.dialect.stretches(last);
        let mut stretch = match place {
            Some(id) => self.dialect.stretch(id),
            None if filter.oldest_first => *all.start(),
            None => *all.end(),
        };
        let mut rows: Vec<FindingRow> = Vec::new();
        for _ in 0..STRETCHES {
            let mut question = self.asked(filter).await?;
            of_clusters(self, &mut question, clusters.as_deref());
            question.raw(
                self.dialect.words_match(),
                &self.dialect.words_question(words, stretch),
            );
            if let Some(id) = place {
                question.after(&words_id, sign, &[id]);
            }
            let wanted = limit.saturating_sub(rows.len());
            let found: Vec<AnyRow> = question.ask(self, &select, &order, wanted).await?;
            rows.extend(found.iter().map(parse).collect::<Result<Vec<_>, _>>()?);
            if rows.len() > limit {
                return Ok(paged(rows, limit, "w", |row| vec![row.id]));
            }
            stretch += if filter.oldest_first { 1 } else { -1 };
            if !all.contains(&stretch) {
                return Ok(Page {
                    items: rows,
                    next: None,
                });
            }
            place = None;
        }
        let next = self.dialect.edge(stretch, filter.oldest_first);
        Ok(Page {
            items: rows,
            next: Some(super::cursor("w", &[next])),
        })
    }

    /// How many there are, counted up to a bound: `most + 1` says that there are more. Words and keys are
    /// not looked at.
    pub async fn count_findings(
        &self,
        filter: &FindingFilter,
        most: u32,
    ) -> Result<i64, LedgerError> {
        let clusters = narrowed(&filter.clusters, &filter.cluster);
        if clusters.as_ref().is_some_and(Vec::is_empty) {
            return Ok(0);
        }
        let mut question = self.asked(filter).await?;
        of_clusters(self, &mut question, clusters.as_deref());
        let rows = question
            .count(self, "finding f", "f.at DESC, f.id DESC", most as usize)
            .await?;
        number(&rows, 0)
    }

    /// The conditions that every way of asking has; not those about clusters and words.
    async fn asked(&self, filter: &FindingFilter) -> Result<Question, LedgerError> {
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
        for (column, value) in [("f.node", &filter.node), ("f.hub_user", &filter.user)] {
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
        Ok(question)
    }

    /// The finding that an entry tells of: its first state or a later one.
    pub async fn finding_of_entry(&self, seq: i64) -> Result<Option<i64>, LedgerError> {
        let found = sqlx::query_scalar(
            "SELECT id FROM finding WHERE id = $1
             UNION ALL SELECT finding FROM finding_update WHERE seq = $1 LIMIT 1",
        )
        .bind(seq)
        .fetch_optional(&self.pool)
        .await?;
        Ok(found)
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
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let body: Option<String> = row.try_get(FindingRow::TABLE.columns.len())?;
        view(parse(row)?, body).map(Some)
    }
}

/// A finding with what its entry says.
fn view(row: FindingRow, body: Option<String>) -> Result<FindingView, LedgerError> {
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

fn direction(filter: &FindingFilter) -> (&'static str, &'static str) {
    match filter.oldest_first {
        true => (">", "ASC"),
        false => ("<", "DESC"),
    }
}

/// Adds that a finding is of one of these clusters.
fn of_clusters(ledger: &Ledger, question: &mut Question, clusters: Option<&[String]>) {
    if let Some(clusters) = clusters {
        let condition = question.one_of(ledger.dialect, "f.cluster", clusters);
        question.conditions.push(condition);
    }
}
