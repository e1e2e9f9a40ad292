//! Whether a ledger is what was written: the chain, every body, and the tables made of them.
//!
//! The entries are replayed into a database of its own in a scratch folder, and every table is then
//! compared with the ledger's, row by row. Memory stays bounded whatever the ledger's size; the scratch
//! folder takes about as much room as the ledger. All is read from one snapshot, so writers need not
//! stop.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::TryStreamExt as _;
use serde_json::{Map, Value};
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::chain::{Entry, Head};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::open::Options;
use crate::record::Record;
use crate::replay::{page, replay};
use crate::rows::DERIVED;
use crate::table::{Dialect, Table, json, run};

/// The first thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The entry, where it is about one.
    pub seq: Option<i64>,
    /// What is wrong.
    pub what: String,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// How many entries were looked at.
    pub entries: i64,
    /// Where the ledger stands.
    pub head: Head,
    /// The first fault.
    pub fault: Option<Fault>,
}

/// A file that goes when it is done with.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.0.clone().into_os_string();
            name.push(end);
            // It may never have been there.
            let _ = std::fs::remove_file(name);
        }
    }
}

impl Ledger {
    /// Looks at everything. With a head that was noted elsewhere, also whether that entry is still
    /// there. `scratch` is a folder with room.
    pub async fn verify(
        &self,
        noted: Option<&Head>,
        scratch: &Path,
    ) -> Result<Verification, LedgerError> {
        static RUN: AtomicU64 = AtomicU64::new(0);
        let run = RUN.fetch_add(1, Ordering::Relaxed);
        let scratch = Scratch(scratch.join(format!(
            "ledger-verification-{}-{run}.sqlite",
            std::process::id()
        )));
        let options = Options {
            connections: 1,
            ..Options::default()
        };
        let copy = Self::open(&format!("sqlite://{}", scratch.0.display()), &options).await?;
        let outcome = self.verify_with(noted, &copy).await;
        copy.close().await;
        outcome
    }

    async fn verify_with(
        &self,
        noted: Option<&Head>,
        copy: &Self,
    ) -> Result<Verification, LedgerError> {
        let mut ours = self.snapshot().await?;
        let mut theirs = copy.pool.acquire().await?;
        // What is lost when the machine stops here is only the scratch file.
        sqlx::raw_sql(
            "PRAGMA synchronous = OFF;
             CREATE TEMP TABLE removed (seq INTEGER PRIMARY KEY);
             CREATE TEMP TABLE told (seq INTEGER PRIMARY KEY)",
        )
        .execute(&mut *theirs)
        .await?;
        let mut head = Head::genesis();
        let mut seen = noted.is_none_or(|noted| *noted == head);
        let found = |head: &Head, seq: Option<i64>, what: String| {
            Ok(Verification {
                entries: head.seq,
                head: head.clone(),
                fault: Some(Fault { seq, what }),
            })
        };
        loop {
            let entries = page(&mut ours, head.seq).await?;
            if entries.is_empty() {
                break;
            }
            for entry in &entries {
                if let Some(what) = entry.fault(&head).or_else(|| unreadable(entry)) {
                    return found(&head, Some(entry.seq.min(head.seq + 1)), what);
                }
                head = entry.head();
                if noted.is_some_and(|noted| noted.seq == head.seq) {
                    seen = noted == Some(&head);
                    if !seen {
                        let what = "its hash is not the one that was noted".to_owned();
                        return found(&head, Some(head.seq), what);
                    }
                }
            }
            removals(&mut theirs, &entries).await?;
            replay(&mut theirs, Dialect::Sqlite, &entries).await?;
        }
        if let Some(noted) = noted.filter(|_| !seen) {
            let what = format!(
                "the ledger ends before entry {}, which was noted",
                noted.seq
            );
            return found(&head, Some(head.seq + 1), what);
        }
        let row = sqlx::query_as::<_, (i64, String)>("SELECT seq, hash FROM head")
            .fetch_one(&mut *ours)
            .await?;
        if (row.0, &row.1) != (head.seq, &head.hash) {
            let what = format!(
                "the ledger notes entry {} as its last, and its entries end with {}",
                row.0, head.seq
            );
            return found(&head, Some(head.seq + 1), what);
        }
        let untold: Option<i64> = sqlx::query_scalar(
            "SELECT seq FROM removed WHERE seq NOT IN (SELECT seq FROM told) ORDER BY seq LIMIT 1",
        )
        .fetch_optional(&mut *theirs)
        .await?;
        if untold.is_some() {
            let what = "its body was removed, and no entry says so".to_owned();
            return found(&head, untold, what);
        }
        for table in DERIVED {
            if let Some(fault) = compare(&mut ours, &mut theirs, &table).await? {
                return Ok(Verification {
                    entries: head.seq,
                    head,
                    fault: Some(fault),
                });
            }
        }
        let words = "SELECT count(*) FROM finding_words";
        let ours: i64 = sqlx::query_scalar(words).fetch_one(&mut *ours).await?;
        let theirs: i64 = sqlx::query_scalar(words).fetch_one(&mut *theirs).await?;
        if ours != theirs {
            let what = format!("{ours} findings can be searched, and {theirs} should be");
            return found(&head, None, what);
        }
        Ok(Verification {
            entries: head.seq,
            head,
            fault: None,
        })
    }

    /// Everything as it is at one moment.
    pub(crate) async fn snapshot(&self) -> Result<crate::ledger::Transaction, LedgerError> {
        let begin = match self.dialect {
            Dialect::Sqlite => "BEGIN",
            Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        Ok(self.pool.begin_with(begin).await?)
    }
}

/// What is wrong with what an intact entry says.
fn unreadable(entry: &Entry) -> Option<String> {
    let body = entry.body.as_ref()?;
    match serde_json::from_str::<Record>(body) {
        Ok(record) if record.kind() == entry.kind => None,
        Ok(record) => Some(format!("it says that it is of kind {}", record.kind())),
        Err(error) => Some(format!("it cannot be read: {error}")),
    }
}

/// Notes whose bodies are gone, and whose are said to be.
async fn removals(connection: &mut AnyConnection, entries: &[Entry]) -> Result<(), LedgerError> {
    let mut removed = Vec::new();
    let mut told = Vec::new();
    for entry in entries {
        match &entry.body {
            None => removed.push(entry.seq),
            Some(body) if entry.kind == "retention" => {
                if let Ok(Record::Retention(record)) = serde_json::from_str(body) {
                    told.extend(record.entries);
                }
            }
            Some(_) => {}
        }
    }
    for (table, seqs) in [("removed", removed), ("told", told)] {
        if !seqs.is_empty() {
            let sql = format!("INSERT OR IGNORE INTO {table} SELECT value FROM json_each($1)");
            run(connection, sql, &json(&seqs)).await?;
        }
    }
    Ok(())
}

/// The first row in which a table differs from what the entries say.
async fn compare(
    ours: &mut AnyConnection,
    theirs: &mut AnyConnection,
    table: &Table,
) -> Result<Option<Fault>, LedgerError> {
    let counts = table.columns.iter().any(|(name, _)| *name == "n");
    let sql = format!(
        "SELECT {} FROM {} {} ORDER BY {}",
        table.column_list(),
        table.name,
        // What has been counted down to nothing is the same as what was never counted.
        if counts { "WHERE n <> 0" } else { "" },
        table.keys.join(", ")
    );
    let mut ours = sqlx::query(AssertSqlSafe(sql.clone())).fetch(ours);
    let mut theirs = sqlx::query(AssertSqlSafe(sql)).fetch(theirs);
    loop {
        let our = ours
            .try_next()
            .await?
            .map(|row| table.value(&row))
            .transpose()?;
        let their = theirs
            .try_next()
            .await?
            .map(|row| table.value(&row))
            .transpose()?;
        let what = match (&our, &their) {
            (None, None) => return Ok(None),
            (Some(our), Some(their)) if our == their => continue,
            (Some(our), Some(their)) if key(table, our) == key(table, their) => {
                let (name, _) = table
                    .columns
                    .iter()
                    .find(|(name, _)| our.get(*name) != their.get(*name))
                    .unwrap_or(&("", crate::table::Kind::Int));
                format!(
                    "table {}, row {}: {name} is {}, and the entries say {}",
                    table.name,
                    key(table, our),
                    our.get(*name).unwrap_or(&Value::Null),
                    their.get(*name).unwrap_or(&Value::Null)
                )
            }
            (our, their) => format!(
                "table {}: its next row is {}, and the entries say {}",
                table.name,
                our.as_ref()
                    .map_or("none".to_owned(), |row| key(table, row)),
                their
                    .as_ref()
                    .map_or("none".to_owned(), |row| key(table, row)),
            ),
        };
        let seq = [&their, &our].into_iter().flatten().find_map(|row| {
            ["latest", "seq", "id", "finding", "incident"]
                .iter()
                .find_map(|name| row.get(*name).and_then(Value::as_i64))
        });
        return Ok(Some(Fault { seq, what }));
    }
}

fn key(table: &Table, row: &Map<String, Value>) -> String {
    let values: Vec<String> = table
        .keys
        .iter()
        .map(|name| row.get(*name).unwrap_or(&Value::Null).to_string())
        .collect();
    values.join("/")
}
