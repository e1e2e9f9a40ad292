//! What is removed when, and what stays of it.
//!
//! A body goes; the entry, its digest and the chain stay, and an entry says what went by which
//! policy. Nothing of an incident goes before it is closed.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row as _};

use crate::apply::{counts, named, names};
use crate::decide::Writer;
use crate::error::LedgerError;
use crate::ledger::{Ledger, Transaction, append};
use crate::record::{IncidentNo, Record, Remains, Retention};
use crate::rows::{EvidenceRow, FindingRow, Row as _};
use crate::table::{json, parse, run};
use crate::work::{Needs, Work};

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Findings go this many days after they were last seen; `None` keeps them.
    pub findings_days: Option<u32>,
    /// Evidence goes this many days after it was last touched; `None` keeps it.
    pub evidence_days: Option<u32>,
}

/// What went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// How many findings.
    pub findings: u64,
    /// How many records of evidence.
    pub evidence: u64,
    /// How many entries lost their body.
    pub bodies: u64,
}

impl Removed {
    /// Adds what another step removed.
    pub fn add(&mut self, other: Self) {
        self.findings += other.findings;
        self.evidence += other.evidence;
        self.bodies += other.bodies;
    }
}

/// How many findings or records of evidence go in one transaction.
const BATCH: i64 = 500;
/// Receipts by the keys of batches are kept this long; findings are known by their ids for longer.
const RECEIPT_DAYS: i64 = 30;
/// A day, in microseconds.
const DAY_US: i64 = 86_400_000_000;

impl Ledger {
    /// Removes what the policy says is too old.
    pub async fn retain(&self, policy: Policy, now: Timestamp) -> Result<Removed, LedgerError> {
        let mut removed = Removed::default();
        while let Some(more) = self.retain_some(policy, now).await? {
            removed.add(more);
        }
        Ok(removed)
    }

    /// Removes a little of what the policy says is too old, in one transaction; `None` once nothing is. Who
    /// waits for the ledger gets it between two of these.
    pub async fn retain_some(
        &self,
        policy: Policy,
        now: Timestamp,
    ) -> Result<Option<Removed>, LedgerError> {
        let before = |days: u32| now.as_microsecond() - i64::from(days) * DAY_US;
        if let Some(days) = policy.findings_days {
            let name = format!("findings_days = {days}");
            if let Some((findings, bodies)) = self.old_findings(&name, before(days), now).await? {
                return Ok(Some(Removed {
                    findings,
                    bodies,
                    ..Removed::default()
                }));
            }
        }
        if let Some(days) = policy.evidence_days {
            let name = format!("evidence_days = {days}");
            if let Some((evidence, bodies)) = self.old_evidence(&name, before(days), now).await? {
                return Ok(Some(Removed {
                    evidence,
                    bodies,
                    ..Removed::default()
                }));
            }
        }
        sqlx::query("DELETE FROM batch WHERE at_us < $1")
            .bind(now.as_microsecond() - RECEIPT_DAYS * DAY_US)
            .execute(&self.pool)
            .await?;
        Ok(None)
    }

    async fn old_findings(
        &self,
        policy: &str,
        before_us: i64,
        now: Timestamp,
    ) -> Result<Option<(u64, u64)>, LedgerError> {
        let (mut transaction, head) = self.lock().await?;
        let sql = format!(
            "SELECT {} FROM finding f LEFT JOIN incident i ON i.id = f.incident
             WHERE f.at < $1 AND (f.incident IS NULL OR i.state = 'closed' AND i.last_at < $1
                 AND NOT EXISTS (SELECT 1 FROM finding g WHERE g.incident = i.id AND g.at >= $1))
             ORDER BY f.at LIMIT $2",
            FindingRow::TABLE.columns_of("f")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(before_us)
            .bind(BATCH)
            .fetch_all(&mut *transaction)
            .await?;
        let rows: Vec<FindingRow> = rows.iter().map(parse).collect::<Result<_, _>>()?;
        if rows.is_empty() {
            return Ok(None);
        }
        let findings: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let sql = format!(
            "SELECT seq FROM finding_update WHERE finding IN {}",
            self.dialect.ints(1)
        );
        let updates: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(json(&findings))
            .fetch_all(&mut *transaction)
            .await?;
        let mut entries: Vec<i64> = findings.iter().copied().chain(updates).collect();
        entries.sort_unstable();
        let mut work = Work::new(self.dialect);
        let needs = Needs {
            findings: findings.iter().copied().collect(),
            ..Needs::default()
        };
        work.load(&mut transaction, needs).await?;
        let mut incidents: Vec<i64> = rows.iter().filter_map(|row| row.incident).collect();
        incidents.sort_unstable();
        incidents.dedup();
        let remains = incidents
            .into_iter()
            .filter_map(|incident| work.incidents.get(&incident))
            .map(|row| Remains {
                incident: IncidentNo(row.id),
                severity: row.severity,
                first_us: row.first_at,
                last_us: row.last_at,
                counts: counts(&row.counts),
                clusters: names(&row.clusters).into_iter().collect(),
                users: names(&row.users).into_iter().collect(),
            })
            .collect();
        let removed = (findings.len() as u64, entries.len() as u64);
        let record = Retention {
            policy: policy.to_owned(),
            before_us,
            entries,
            findings,
            evidence: Vec::new(),
            remains,
        };
        self.remove(transaction, work, head, record, now).await?;
        Ok(Some(removed))
    }

    async fn old_evidence(
        &self,
        policy: &str,
        before_us: i64,
        now: Timestamp,
    ) -> Result<Option<(u64, u64)>, LedgerError> {
        let (mut transaction, head) = self.lock().await?;
        let sql = format!(
            "SELECT {} FROM evidence e LEFT JOIN incident i ON i.id = e.incident
             WHERE e.at < $1 AND (e.incident IS NULL OR i.state = 'closed')
             ORDER BY e.id LIMIT $2",
            EvidenceRow::TABLE.columns_of("e")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(before_us)
            .bind(BATCH)
            .fetch_all(&mut *transaction)
            .await?;
        let rows: Vec<EvidenceRow> = rows.iter().map(parse).collect::<Result<_, _>>()?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut entries = Vec::new();
        for row in &rows {
            // Told of again, it stands in several entries; no table lists them, for it is rare.
            let bodies = sqlx::query(
                "SELECT seq, body FROM entry
                 WHERE kind = 'evidence' AND seq BETWEEN $1 AND $2 AND body IS NOT NULL",
            )
            .bind(row.id)
            .bind(row.latest)
            .fetch_all(&mut *transaction)
            .await?;
            for body in bodies {
                let seq: i64 = body.try_get(0)?;
                let text: String = body.try_get(1)?;
                if let Ok(Record::Evidence(record)) = serde_json::from_str(&text)
                    && named(&[&record.location]) == row.reference
                {
                    entries.push(seq);
                }
            }
        }
        entries.sort_unstable();
        let evidence: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let mut work = Work::new(self.dialect);
        let needs = Needs {
            evidence_ids: evidence.iter().copied().collect(),
            ..Needs::default()
        };
        work.load(&mut transaction, needs).await?;
        let removed = (evidence.len() as u64, entries.len() as u64);
        let record = Retention {
            policy: policy.to_owned(),
            before_us,
            entries,
            findings: Vec::new(),
            evidence,
            remains: Vec::new(),
        };
        self.remove(transaction, work, head, record, now).await?;
        Ok(Some(removed))
    }

    async fn remove(
        &self,
        mut transaction: Transaction,
        mut work: Work,
        head: crate::chain::Head,
        record: Retention,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let seqs = json(&record.entries);
        let mut writer = Writer::new(&mut work, head, now, self.within_secs);
        writer.write(&Record::Retention(record));
        let entries = writer.entries;
        append(&mut transaction, self.dialect, &entries).await?;
        let sql = format!(
            "UPDATE entry SET body = NULL WHERE seq IN {}",
            self.dialect.ints(1)
        );
        run(&mut transaction, sql, &seqs).await?;
        work.flush(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}
