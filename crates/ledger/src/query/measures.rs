//! How the ledger stands, in numbers for those who measure: nothing here names anybody.

use std::collections::BTreeMap;

use davylamp_model::finding::Severity;
use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;

use super::NodeCounts;
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::record::State;
use crate::rows::severity_of;

/// What is open, whose it is not, and what is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measures {
    /// How many incidents are not closed, by severity.
    pub open: BTreeMap<Severity, i64>,
    /// How many of those have no owner, and when the oldest of them was opened, in microseconds.
    pub unowned: BTreeMap<Severity, (i64, i64)>,
    /// How many of the open ones have a clock that has run out.
    pub overdue: i64,
    /// How many of the open ones have a finding that was missed.
    pub with_missed: i64,
    /// How many findings there were of late, by what was done.
    pub taken: BTreeMap<String, i64>,
    /// How nodes are.
    pub nodes: NodeCounts,
}

impl Ledger {
    /// How it stands: findings since `from`, nodes that are silent after `silent_after`.
    pub async fn measures(
        &self,
        from: Timestamp,
        silent_after: SignedDuration,
        now: Timestamp,
    ) -> Result<Measures, LedgerError> {
        let mut measures = Measures::default();
        let (closed, merged) = (State::Closed.as_str(), State::Merged.as_str());
        let rows = sqlx::query(
            "SELECT severity, count(*), count(*) FILTER (WHERE owner IS NULL),
                 min(CASE WHEN owner IS NULL THEN opened END),
                 count(*) FILTER (WHERE due < $1), count(*) FILTER (WHERE counts LIKE $2)
             FROM incident WHERE state <> $3 AND state <> $4 GROUP BY severity",
        )
        .bind(now.as_microsecond())
        .bind("%\"missed\":%")
        .bind(closed)
        .bind(merged)
        .fetch_all(&self.pool)
        .await?;
        for row in &rows {
            let severity = severity_of(row.try_get(0)?);
            measures.open.insert(severity, row.try_get(1)?);
            if let Some(opened) = row.try_get::<Option<i64>, _>(3)? {
                measures.unowned.insert(severity, (row.try_get(2)?, opened));
            }
            measures.overdue += row.try_get::<i64, _>(4)?;
            measures.with_missed += row.try_get::<i64, _>(5)?;
        }
        let rows = sqlx::query(
            "SELECT action, CAST(sum(n) AS BIGINT) FROM tally WHERE hour >= $1 GROUP BY action",
        )
        .bind(from.as_microsecond().div_euclid(3_600_000_000))
        .fetch_all(&self.pool)
        .await?;
        for row in &rows {
            measures.taken.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let oldest = now.saturating_sub(silent_after).unwrap_or(Timestamp::MIN);
        measures.nodes = self.node_counts(None, oldest).await?;
        Ok(measures)
    }

    /// How many entries there are of each kind, from behind a number on. Entries never go, so counts of
    /// one stretch after the other add up.
    pub async fn kinds_since(&self, seq: i64) -> Result<(i64, BTreeMap<String, i64>), LedgerError> {
        let rows = match seq {
            // From the index alone: the bodies of a million entries are not read for this.
            0 => sqlx::query("SELECT kind, count(*), max(seq) FROM entry GROUP BY kind"),
            _ => sqlx::query(
                "SELECT kind, count(*), max(seq) FROM entry WHERE seq > $1 GROUP BY kind",
            )
            .bind(seq),
        };
        let rows = rows.fetch_all(&self.pool).await?;
        let (mut last, mut kinds) = (seq, BTreeMap::new());
        for row in &rows {
            kinds.insert(row.try_get(0)?, row.try_get(1)?);
            last = last.max(row.try_get(2)?);
        }
        Ok((last, kinds))
    }
}
