//! A ledger in its database: opened, written to, asked for its head.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Row as _};

use crate::chain::{Entry, Head};
use crate::decide::{self, Clocks, Input, Receipt, Writer};
use crate::error::LedgerError;
use crate::record::{IncidentNo, Record};
use crate::rows::IncidentRow;
use crate::table::{Dialect, Kind, json, run};
use crate::work::{Needs, Work};

/// How the entries of a batch are stored.
const ENTRY: [(&str, Kind); 6] = [
    ("seq", Kind::Int),
    ("at_us", Kind::Int),
    ("kind", Kind::Text),
    ("body", Kind::Text),
    ("body_hash", Kind::Text),
    ("hash", Kind::Text),
];

/// How much of entries one statement stores, unless one alone is larger.
const STATEMENT_BYTES: usize = 16 << 20;

/// A ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) pool: AnyPool,
    pub(crate) dialect: Dialect,
    pub(crate) within_secs: i64,
    pub(crate) clocks: Clocks,
}

/// A transaction that keeps every other writer out.
pub(crate) type Transaction = sqlx::Transaction<'static, sqlx::Any>;

impl Ledger {
    /// Takes a batch, all of it or nothing. A batch with a key that was seen before gives the same
    /// receipt again and writes nothing; without one, what is known changes nothing all the same.
    pub async fn deliver(
        &self,
        key: Option<&str>,
        inputs: &[Input],
        now: Timestamp,
    ) -> Result<Receipt, LedgerError> {
        let (mut transaction, head) = self.lock().await?;
        let name = key.map(decide::batch_name);
        if let Some(name) = &name {
            let known: Option<String> =
                sqlx::query_scalar("SELECT receipt FROM batch WHERE name = $1")
                    .bind(name.clone())
                    .fetch_optional(&mut *transaction)
                    .await?;
            if let Some(receipt) = known {
                return serde_json::from_str(&receipt)
                    .map_err(|error| LedgerError::Database(format!("a receipt: {error}")));
            }
        }
        let mut work = Work::new(self.dialect);
        work.load(&mut transaction, decide::needs(inputs)).await?;
        let once = self.once(&mut transaction, inputs).await?;
        let mut written = BTreeSet::new();
        let mut writer = Writer::new(&mut work, head, now, self.within_secs);
        for input in inputs {
            if let Input::Once { id, .. } = input {
                let name = decide::once_name(id);
                if once.contains(&name) || !written.insert(name) {
                    writer.receipt.unchanged += 1;
                    continue;
                }
            }
            writer.take(input)?;
            if let Input::Record(record) = input {
                writer.after(&self.clocks, record);
            }
        }
        writer.wind(&self.clocks);
        let (head, mut entries, mut receipt) = (writer.head, writer.entries, writer.receipt);
        let near = self.near(&mut transaction, &mut work).await?;
        if !near.is_empty() {
            let mut writer = Writer::new(&mut work, head, now, self.within_secs);
            writer.rejoin(&near, self.within_secs);
            entries.append(&mut writer.entries);
            receipt.first = receipt.first.or(writer.receipt.first);
            receipt.last = writer.receipt.last.or(receipt.last);
        }
        self.pulse(&mut transaction, inputs, now).await?;
        self.note(&mut transaction, &written, now).await?;
        if let Some(name) = name {
            sqlx::query("INSERT INTO batch (name, at_us, receipt) VALUES ($1, $2, $3)")
                .bind(name)
                .bind(now.as_microsecond())
                .bind(json(&receipt))
                .execute(&mut *transaction)
                .await?;
        }
        append(&mut transaction, self.dialect, &entries).await?;
        work.flush(&mut transaction).await?;
        transaction.commit().await?;
        Ok(receipt)
    }

    /// Which of the records that are written once are there already, by their names.
    async fn once(
        &self,
        connection: &mut AnyConnection,
        inputs: &[Input],
    ) -> Result<BTreeSet<String>, LedgerError> {
        let names: Vec<String> = inputs
            .iter()
            .filter_map(|input| match input {
                Input::Once { id, .. } => Some(decide::once_name(id)),
                _ => None,
            })
            .collect();
        if names.is_empty() {
            return Ok(BTreeSet::new());
        }
        let sql = format!(
            "SELECT name FROM batch WHERE name IN {}",
            self.dialect.texts(1)
        );
        let known: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(json(&names))
            .fetch_all(connection)
            .await?;
        Ok(known.into_iter().collect())
    }

    /// Notes that they are.
    async fn note(
        &self,
        connection: &mut AnyConnection,
        names: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        if names.is_empty() {
            return Ok(());
        }
        let columns = [
            ("name", Kind::Text),
            ("at_us", Kind::Int),
            ("receipt", Kind::Text),
        ];
        let rows: Vec<_> = names
            .iter()
            .map(|name| {
                serde_json::json!({
                    "name": name, "at_us": now.as_microsecond(), "receipt": "{}",
                })
            })
            .collect();
        let sql = format!(
            "INSERT INTO batch (name, at_us, receipt) SELECT name, at_us, receipt FROM {} WHERE true",
            self.dialect.records(1, &columns)
        );
        run(connection, sql, &json(&rows)).await
    }

    /// The database, for tables of others beside the ledger's.
    pub fn database(&self) -> &AnyPool {
        &self.pool
    }

    /// Writes one record, such as a person's decision.
    pub async fn record(&self, record: Record, now: Timestamp) -> Result<Receipt, LedgerError> {
        self.deliver(None, &[Input::Record(Box::new(record))], now)
            .await
    }

    /// Writes records about an incident if it stands as `holds` says, and nothing otherwise: of two who ask at
    /// the same time, one finds it changed.
    pub async fn record_if(
        &self,
        incident: IncidentNo,
        holds: impl FnOnce(&IncidentRow) -> bool + Send,
        records: &[Record],
        now: Timestamp,
    ) -> Result<Option<Receipt>, LedgerError> {
        let (mut transaction, head) = self.lock().await?;
        let mut work = Work::new(self.dialect);
        let mut needs = Needs::default();
        needs.incidents.insert(incident.0);
        records.iter().for_each(|record| needs.of(record));
        work.load(&mut transaction, needs).await?;
        let root = work.root(incident.0);
        if !work.incidents.get(&root).is_some_and(holds) {
            return Ok(None);
        }
        let mut writer = Writer::new(&mut work, head, now, self.within_secs);
        for record in records {
            writer.take(&Input::Record(Box::new(record.clone())))?;
            writer.after(&self.clocks, record);
        }
        writer.wind(&self.clocks);
        let (entries, receipt) = (writer.entries, writer.receipt);
        append(&mut transaction, self.dialect, &entries).await?;
        work.flush(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Some(receipt))
    }

    /// Where the ledger stands. Noted elsewhere, it shows a tail that was cut off.
    pub async fn head(&self) -> Result<Head, LedgerError> {
        let mut connection = self.pool.acquire().await?;
        read_head(&mut connection, "SELECT seq, hash FROM head").await
    }

    /// Begins to write: from here on the head is ours.
    pub(crate) async fn lock(&self) -> Result<(Transaction, Head), LedgerError> {
        let mut transaction = self.pool.begin_with(self.dialect.begin()).await?;
        let head = read_head(&mut transaction, self.dialect.lock_head()).await?;
        Ok((transaction, head))
    }

    /// The findings that open nothing and lie where something has just come near, and all that is
    /// needed to choose for them.
    async fn near(
        &self,
        connection: &mut AnyConnection,
        work: &mut Work,
    ) -> Result<BTreeSet<String>, LedgerError> {
        let zones = std::mem::take(&mut work.zones);
        if zones.is_empty() {
            return Ok(BTreeSet::new());
        }
        let columns = [
            ("key", Kind::Text),
            ("from_at", Kind::Int),
            ("to_at", Kind::Int),
        ];
        let sql = format!(
            "SELECT DISTINCT k.finding FROM {} CROSS JOIN finding_key k
             WHERE k.key = r.key AND k.opens = 0 AND k.at BETWEEN r.from_at AND r.to_at",
            self.dialect.records(1, &columns)
        );
        let stored: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(json(&zones))
            .fetch_all(&mut *connection)
            .await?;
        let needs = Needs {
            findings: stored.iter().copied().collect(),
            ..Needs::default()
        };
        work.load(connection, needs).await?;
        let mut near: BTreeSet<String> = stored
            .iter()
            .filter_map(|id| work.references.get(id).cloned())
            .collect();
        // Those of this batch are not stored yet.
        let fresh = work.findings.values().filter(|row| {
            row.opens == 0
                && zones.iter().any(|zone| {
                    (zone.from_at..=zone.to_at).contains(&row.at)
                        && crate::work::keys_of(row).contains(&zone.key)
                })
        });
        near.extend(fresh.map(|row| row.reference.clone()));
        Ok(near)
    }

    /// Notes when nodes were last heard of. Not an entry: it says the same a thousand times a day.
    async fn pulse(
        &self,
        connection: &mut AnyConnection,
        inputs: &[Input],
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let mut rows = std::collections::BTreeMap::new();
        for input in inputs {
            if let Input::Heartbeat(heartbeat) = input {
                let (cluster, node) = crate::apply::node_name(heartbeat);
                rows.insert(
                    (cluster.clone(), node.clone()),
                    serde_json::json!({
                        "cluster": cluster,
                        "node": node,
                        "seen": now.as_microsecond(),
                        "canary": heartbeat.canary_at.map(Timestamp::as_microsecond),
                    }),
                );
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let columns = [
            ("cluster", Kind::Text),
            ("node", Kind::Text),
            ("seen", Kind::Int),
            ("canary", Kind::Int),
        ];
        let sql = format!(
            "INSERT INTO pulse (cluster, node, seen, canary)
             SELECT cluster, node, seen, canary FROM {} WHERE true
             ON CONFLICT (cluster, node) DO UPDATE
             SET seen = excluded.seen, canary = excluded.canary WHERE pulse.seen <= excluded.seen",
            self.dialect.records(1, &columns)
        );
        let rows: Vec<_> = rows.into_values().collect();
        run(connection, sql, &json(&rows)).await
    }
}

async fn read_head(connection: &mut AnyConnection, sql: &'static str) -> Result<Head, LedgerError> {
    let row = sqlx::query(sql).fetch_one(connection).await?;
    Ok(Head {
        seq: row.try_get(0)?,
        hash: row.try_get(1)?,
    })
}

/// Stores entries behind the head, and moves it.
pub(crate) async fn append(
    connection: &mut AnyConnection,
    dialect: Dialect,
    entries: &[Entry],
) -> Result<(), LedgerError> {
    let Some(last) = entries.last() else {
        return Ok(());
    };
    let sql = format!(
        "INSERT INTO entry (seq, at_us, kind, body, body_hash, hash)
         SELECT seq, at_us, kind, body, body_hash, hash FROM {} WHERE true",
        dialect.records(1, &ENTRY)
    );
    // Large bodies go in several statements: PostgreSQL takes a parameter of one GiB at most.
    let mut rest = entries;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest.iter().position(|entry| {
            bytes += entry.body.as_ref().map_or(0, String::len);
            bytes > STATEMENT_BYTES
        });
        let (now, later) = rest.split_at(fit.unwrap_or(rest.len()).max(1));
        run(connection, sql.clone(), &json(now)).await?;
        rest = later;
    }
    sqlx::query("UPDATE head SET seq = $1, hash = $2")
        .bind(last.seq)
        .bind(last.hash.clone())
        .execute(connection)
        .await?;
    Ok(())
}

/// Entries after a number, in their order.
pub(crate) async fn read_entries(
    connection: &mut AnyConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<Entry>, LedgerError> {
    let rows = sqlx::query(
        "SELECT seq, at_us, kind, body, body_hash, hash FROM entry
         WHERE seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(entry_of(row)?)).collect()
}

/// An entry, from its columns in their order.
pub(crate) fn entry_of(row: &sqlx::any::AnyRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        seq: row.try_get(0)?,
        at_us: row.try_get(1)?,
        kind: row.try_get(2)?,
        body: row.try_get(3)?,
        body_hash: row.try_get(4)?,
        hash: row.try_get(5)?,
    })
}
