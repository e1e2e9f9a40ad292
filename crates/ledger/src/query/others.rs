//! Actions, evidence, nodes, entries as they come, and the numbers of the first page.

use std::collections::BTreeMap;

use davylamp_model::finding::Severity;
use jiff::Timestamp;
use sqlx::Row as _;

use super::{At, Page, Question, number, paged};
use crate::chain::{Entry, Head};
use crate::error::LedgerError;
use crate::ledger::{Ledger, entry_of};
use crate::record::{IncidentNo, Stage, State};
use crate::rows::{ActionRow, CounterRow, EvidenceRow, NodeRow, Row, TallyRow, severity_of};
use crate::table::{json, parse};

/// A node, with when it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// What it said of itself.
    pub row: NodeRow,
    /// When it was last heard of, in microseconds.
    pub seen_us: Option<i64>,
    /// When its last canary was tried.
    pub canary_us: Option<i64>,
}

/// The numbers of the first page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Where the ledger stands.
    pub head: Head,
    /// How many incidents there are, by state and severity.
    pub incidents: BTreeMap<(State, Severity), i64>,
    /// How many findings each hour had, by cluster and what was done.
    pub hours: Vec<TallyRow>,
}

impl Overview {
    /// How many incidents are not closed.
    pub fn open(&self) -> i64 {
        self.incidents
            .iter()
            .filter(|((state, _), _)| !matches!(state, State::Closed | State::Merged))
            .map(|(_, n)| n)
            .sum()
    }
}

impl Ledger {
    /// Steps of plans, the latest plan first; of an incident, or at a stage.
    pub async fn actions(
        &self,
        incident: Option<IncidentNo>,
        stage: Option<Stage>,
        at: &At,
    ) -> Result<Page<ActionRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        if let Some(incident) = incident {
            let root = self.root_of(incident).await?;
            question.int("a.incident = {}", root);
        }
        if let Some(stage) = stage {
            question.text("a.stage = {}", stage.as_str());
        }
        if let Some(numbers) = at.numbers::<1>("a")? {
            question.after("a.id", "<", &numbers);
        }
        let select = format!("{} FROM action a", ActionRow::TABLE.columns_of("a"));
        let rows = question.ask(self, &select, "a.id DESC", limit).await?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, "a", |row: &ActionRow| vec![row.id]))
    }

    /// What was kept at a place.
    pub async fn evidence_at(&self, location: &str) -> Result<Option<EvidenceRow>, LedgerError> {
        let mut question = Question::new();
        question.raw("v.reference = {}", &crate::apply::named(&[location]));
        let select = format!("{} FROM evidence v", EvidenceRow::TABLE.columns_of("v"));
        let rows = question.ask(self, &select, "v.id", 1).await?;
        rows.first().map(parse).transpose()
    }

    /// Evidence, the latest first; of an incident.
    pub async fn evidence(
        &self,
        incident: Option<IncidentNo>,
        at: &At,
    ) -> Result<Page<EvidenceRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        if let Some(incident) = incident {
            let root = self.root_of(incident).await?;
            question.int("v.incident = {}", root);
        }
        if let Some(numbers) = at.numbers::<1>("v")? {
            question.after("v.id", "<", &numbers);
        }
        let select = format!("{} FROM evidence v", EvidenceRow::TABLE.columns_of("v"));
        let rows = question.ask(self, &select, "v.id DESC", limit).await?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, "v", |row: &EvidenceRow| vec![row.id]))
    }

    /// One piece of evidence, by its number.
    pub async fn evidence_by_id(&self, id: i64) -> Result<Option<EvidenceRow>, LedgerError> {
        let mut question = Question::new();
        question.int("v.id = {}", id);
        let select = format!("{} FROM evidence v", EvidenceRow::TABLE.columns_of("v"));
        let rows = question.ask(self, &select, "v.id", 1).await?;
        rows.first().map(parse).transpose()
    }

    /// Nodes, by the entry that last told something new of them, the latest first.
    pub async fn nodes(&self, at: &At) -> Result<Page<NodeView>, LedgerError> {
        self.nodes_of(None, at).await
    }

    /// The same of some clusters.
    pub async fn nodes_of(
        &self,
        clusters: Option<&[String]>,
        at: &At,
    ) -> Result<Page<NodeView>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        if let Some(clusters) = clusters {
            let texts = self.dialect.texts_in("{}");
            question.raw(&format!("n.cluster IN {texts}"), &json(clusters));
        }
        if let Some(numbers) = at.numbers::<1>("n")? {
            question.after("n.latest", "<", &numbers);
        }
        let columns = NodeRow::TABLE.columns.len();
        let select = format!(
            "{}, p.seen, p.canary FROM node n
             LEFT JOIN pulse p ON p.cluster = n.cluster AND p.node = n.node",
            NodeRow::TABLE.columns_of("n")
        );
        let rows = question.ask(self, &select, "n.latest DESC", limit).await?;
        let views = rows
            .iter()
            .map(|row| {
                Ok(NodeView {
                    row: parse(row)?,
                    seen_us: row.try_get(columns)?,
                    canary_us: row.try_get(columns + 1)?,
                })
            })
            .collect::<Result<Vec<_>, LedgerError>>()?;
        Ok(paged(views, limit, "n", |view: &NodeView| {
            vec![view.row.latest]
        }))
    }

    /// Entries after a number, in their order: what a live stream sends on.
    pub async fn entries_since(&self, seq: i64, limit: u32) -> Result<Vec<Entry>, LedgerError> {
        let limit = limit.clamp(1, super::PAGE_ROWS) as usize;
        let mut question = Question::new();
        question.int("seq > {}", seq);
        let select = "seq, at_us, kind, body, body_hash, hash FROM entry";
        let mut rows = question.ask(self, select, "seq", limit).await?;
        rows.truncate(limit);
        Ok(rows.iter().map(entry_of).collect::<Result<_, _>>()?)
    }

    /// The entries of these numbers, in their order: as many as a page has.
    pub async fn entries_by_number(&self, seqs: &[i64]) -> Result<Vec<Entry>, LedgerError> {
        let mut question = Question::new();
        let ints = self.dialect.ints_in("{}");
        question.raw(&format!("seq IN {ints}"), &json(seqs));
        let select = "seq, at_us, kind, body, body_hash, hash FROM entry";
        let mut rows = question
            .ask(self, select, "seq", super::PAGE_ROWS as usize)
            .await?;
        rows.truncate(super::PAGE_ROWS as usize);
        Ok(rows.iter().map(entry_of).collect::<Result<_, _>>()?)
    }

    /// One entry.
    pub async fn entry(&self, seq: i64) -> Result<Option<Entry>, LedgerError> {
        let mut question = Question::new();
        question.int("seq = {}", seq);
        let select = "seq, at_us, kind, body, body_hash, hash FROM entry";
        let rows = question.ask(self, select, "seq", 1).await?;
        Ok(rows.first().map(entry_of).transpose()?)
    }

    /// Entries of a kind, such as settings, runs or what was removed, the latest first.
    pub async fn entries_of(&self, kind: &str, at: &At) -> Result<Page<Entry>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        question.text("kind = {}", kind);
        if let Some(numbers) = at.numbers::<1>("k")? {
            question.after("seq", "<", &numbers);
        }
        let select = "seq, at_us, kind, body, body_hash, hash FROM entry";
        let rows = question.ask(self, select, "seq DESC", limit).await?;
        let entries = rows.iter().map(entry_of).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(entries, limit, "k", |entry: &Entry| vec![entry.seq]))
    }

    /// The numbers of the first page, of the hours from `from` on.
    pub async fn overview(&self, from: Timestamp) -> Result<Overview, LedgerError> {
        let rows = sqlx::query("SELECT state, severity, n FROM counter WHERE n <> 0")
            .fetch_all(&self.pool)
            .await?;
        let mut incidents = BTreeMap::new();
        for row in &rows {
            let row: CounterRow = parse(row)?;
            let state = State::named(&row.state).unwrap_or(State::Open);
            *incidents
                .entry((state, severity_of(row.severity)))
                .or_default() += row.n;
        }
        let rows = sqlx::query(
            "SELECT hour, cluster, action, n FROM tally WHERE hour >= $1 AND n <> 0
             ORDER BY hour, cluster, action",
        )
        .bind(from.as_microsecond().div_euclid(3_600_000_000))
        .fetch_all(&self.pool)
        .await?;
        Ok(Overview {
            head: self.head().await?,
            incidents,
            hours: rows.iter().map(parse).collect::<Result<_, _>>()?,
        })
    }

    /// How many nodes there are.
    pub async fn node_count(&self) -> Result<i64, LedgerError> {
        let row = sqlx::query("SELECT count(*) FROM node")
            .fetch_one(&self.pool)
            .await?;
        number(&row, 0)
    }
}
