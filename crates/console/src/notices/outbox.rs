//! What is to be told and what was, beside the ledger: items wait to be put together, notices to go out.
//!
//! What must stay true: the place up to which entries were read moves in the same transaction in which
//! their items are made; an item goes into one notice; a notice is sent by whoever holds its lease, with
//! the words that it was made with, so that it has the same id when it comes a second time.

mod claim;
mod list;

use davylamp_ledger::Ledger;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Row as _};

use super::happening::Happening;
pub(super) use claim::{Made, Turn};
pub use list::{Asked, Told, Waiting};

/// The tables. Both databases take this text; it is run at each start.
const TABLES: [&str; 9] = [
    "CREATE TABLE IF NOT EXISTS console_notice_cursor (name TEXT PRIMARY KEY, seq BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS console_notice_incident (
        incident BIGINT PRIMARY KEY, severity BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS console_notice_item (
        id TEXT PRIMARY KEY, seq BIGINT NOT NULL, incident BIGINT, family TEXT NOT NULL,
        severity BIGINT NOT NULL, channel TEXT NOT NULL, person TEXT NOT NULL, body TEXT NOT NULL,
        due BIGINT NOT NULL, held BIGINT NOT NULL, created BIGINT NOT NULL, notice TEXT)",
    "CREATE TABLE IF NOT EXISTS console_notice (
        id TEXT PRIMARY KEY, seq BIGINT NOT NULL, incident BIGINT, channel TEXT NOT NULL,
        person TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL,
        attempts BIGINT NOT NULL, next_at BIGINT NOT NULL, until BIGINT NOT NULL, holder TEXT NOT NULL,
        error TEXT NOT NULL, created BIGINT NOT NULL, sent BIGINT)",
    "CREATE TABLE IF NOT EXISTS console_notice_channel (name TEXT PRIMARY KEY, full_at BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS console_notice_item_waiting ON console_notice_item (due) WHERE notice IS NULL",
    "CREATE INDEX IF NOT EXISTS console_notice_item_incident ON console_notice_item (incident)",
    "CREATE INDEX IF NOT EXISTS console_notice_next ON console_notice (state, next_at)",
    "CREATE INDEX IF NOT EXISTS console_notice_created ON console_notice (created, id)",
];

/// The place up to which entries were read.
const CURSOR: &str = "entries";

/// So many ids are asked for together.
const KNOWN_AT_ONCE: usize = 200;

/// Where a notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It goes out when its time comes.
    Waiting,
    /// It is on its way.
    Sending,
    /// It went out.
    Sent,
    /// It was given up.
    Failed,
}

impl State {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Sending, Self::Sent, Self::Failed];

    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Something that one channel tells, once it is put into a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub id: String,
    pub severity: i64,
    pub channel: String,
    /// Whose own address it goes to; empty for the channel's.
    pub person: String,
    pub happening: Happening,
    /// When it is told at the latest.
    pub due: i64,
    /// Whether it had to wait for the channel's bounds.
    pub is_held: bool,
}

impl Item {
    pub fn new(happening: Happening, severity: i64, channel: &str, person: &str, due: i64) -> Self {
        Self {
            id: named(&[&happening.id, channel, person]),
            severity,
            channel: channel.to_owned(),
            person: person.to_owned(),
            happening,
            due,
            is_held: false,
        }
    }
}

/// A notice as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What tells it from every other.
    pub id: String,
    /// The last entry it tells of; 0 for none.
    pub seq: i64,
    /// Its incident, where it is about one.
    pub incident: Option<i64>,
    /// Its channel.
    pub channel: String,
    /// Whose own address it goes to; empty for the channel's.
    pub person: String,
    /// What it says, on one line.
    pub title: String,
    /// The notice itself, as JSON.
    pub body: String,
    /// Where it stands.
    pub state: State,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, in microseconds; while it is on its way, when it may be taken from whoever
    /// has it.
    pub next_at: i64,
    /// Until when it is tried.
    pub until: i64,
    /// Why it did not go out the last time.
    pub error: String,
    /// When it was made.
    pub created: i64,
    /// When it went out.
    pub sent: Option<i64>,
}

const COLUMNS: &str = "id, seq, incident, channel, person, title, body, state, attempts, next_at, until, \
     error, created, sent";

/// See the module.
#[derive(Debug, Clone)]
pub struct Outbox {
    pool: AnyPool,
}

/// A short name for texts of any length.
pub(super) fn named(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    hex::encode(&digest.finalize()[..16])
}

/// Numbers as the inside of SQL's `IN (…)`: digits cannot be anything else.
fn inside(numbers: impl Iterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    match numbers.is_empty() {
        true => "NULL".to_owned(),
        false => numbers.join(", "),
    }
}

fn row(row: &AnyRow) -> Result<Row, sqlx::Error> {
    let state: String = row.try_get(7)?;
    Ok(Row {
        id: row.try_get(0)?,
        seq: row.try_get(1)?,
        incident: row.try_get(2)?,
        channel: row.try_get(3)?,
        person: row.try_get(4)?,
        title: row.try_get(5)?,
        body: row.try_get(6)?,
        state: State::named(&state).unwrap_or(State::Failed),
        attempts: row.try_get(8)?,
        next_at: row.try_get(9)?,
        until: row.try_get(10)?,
        error: row.try_get(11)?,
        created: row.try_get(12)?,
        sent: row.try_get(13)?,
    })
}

impl Outbox {
    /// The tables beside a ledger's, made if they are not there. The first time, what is in the ledger
    /// already is no news.
    pub(crate) async fn beside(ledger: &Ledger) -> Result<Self, sqlx::Error> {
        let pool = ledger.database().clone();
        crate::store::make(&pool, &TABLES).await?;
        let sql =
            "INSERT INTO console_notice_cursor (name, seq) SELECT $1, seq FROM head WHERE true
                   ON CONFLICT (name) DO NOTHING";
        sqlx::query(sql).bind(CURSOR).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// The place up to which entries were read.
    pub(super) async fn read_to(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT seq FROM console_notice_cursor WHERE name = $1")
            .bind(CURSOR)
            .fetch_one(&self.pool)
            .await
    }

    /// Moves the place, if nobody else has; what is written on the same transaction stands or falls with it.
    pub(super) async fn move_on(
        &self,
        from: i64,
        to: i64,
    ) -> Result<Option<sqlx::Transaction<'static, sqlx::Any>>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let sql = "UPDATE console_notice_cursor SET seq = $1 WHERE name = $2 AND seq = $3";
        let moved = sqlx::query(sql)
            .bind(to)
            .bind(CURSOR)
            .bind(from)
            .execute(&mut *transaction)
            .await?;
        Ok((moved.rows_affected() == 1).then_some(transaction))
    }

    /// How bad incidents were when they were last told of.
    pub(super) async fn told_severity(
        &self,
        incidents: impl Iterator<Item = i64>,
    ) -> Result<Vec<(i64, i64)>, sqlx::Error> {
        let sql = format!(
            "SELECT incident, severity FROM console_notice_incident WHERE incident IN ({})",
            inside(incidents)
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    pub(super) async fn set_severity(
        connection: &mut AnyConnection,
        incident: i64,
        severity: i64,
    ) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO console_notice_incident (incident, severity) VALUES ($1, $2)
                   ON CONFLICT (incident) DO UPDATE SET severity = excluded.severity";
        let query = sqlx::query(sql).bind(incident).bind(severity);
        query.execute(connection).await?;
        Ok(())
    }

    /// Lets what waits about one incident be about another.
    pub(super) async fn merge(
        connection: &mut AnyConnection,
        from: i64,
        into: i64,
    ) -> Result<(), sqlx::Error> {
        for sql in [
            "UPDATE console_notice_item SET incident = $1 WHERE incident = $2",
            "UPDATE console_notice SET incident = $1 WHERE incident = $2",
        ] {
            let query = sqlx::query(sql).bind(into).bind(from);
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// Adds items; those that are there already stay as they are.
    pub(super) async fn add(
        connection: &mut AnyConnection,
        items: &[Item],
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        for item in items {
            let body = serde_json::to_string(&item.happening).unwrap_or_default();
            let sql = "INSERT INTO console_notice_item
                (id, seq, incident, family, severity, channel, person, body, due, held, created)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10) ON CONFLICT (id) DO NOTHING";
            sqlx::query(sql)
                .bind(item.id.as_str())
                .bind(item.happening.seq)
                .bind(item.happening.incident)
                .bind(item.happening.group())
                .bind(item.severity)
                .bind(item.channel.as_str())
                .bind(item.person.as_str())
                .bind(body)
                .bind(item.due)
                .bind(now.as_microsecond())
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    /// The same on a transaction of its own, for what no entry tells of: most of it is there already.
    pub(super) async fn add_alone(
        &self,
        items: &[Item],
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let mut new: Vec<Item> = Vec::new();
        for part in items.chunks(KNOWN_AT_ONCE) {
            // The ids are our own hexadecimal digits.
            let ids: Vec<String> = part.iter().map(|item| format!("'{}'", item.id)).collect();
            let sql = format!(
                "SELECT id FROM console_notice_item WHERE id IN ({})",
                ids.join(", ")
            );
            let known: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_all(&self.pool)
                .await?;
            new.extend(
                part.iter()
                    .filter(|item| !known.contains(&item.id))
                    .cloned(),
            );
        }
        if new.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        Self::add(&mut transaction, &new, now).await?;
        transaction.commit().await
    }

    /// How many notices wait to be sent, or to be sent again.
    pub(crate) async fn waiting_count(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT count(*) FROM console_notice WHERE state = 'waiting'")
            .fetch_one(&self.pool)
            .await
    }

    /// Forgets what was told long ago.
    pub(super) async fn forget(&self, before: i64) -> Result<(), sqlx::Error> {
        for sql in [
            "DELETE FROM console_notice_item WHERE created < $1 AND notice IS NOT NULL",
            "DELETE FROM console_notice WHERE created < $1 AND state IN ('sent', 'failed')",
        ] {
            sqlx::query(sql).bind(before).execute(&self.pool).await?;
        }
        Ok(())
    }
}
