//! Opening the file: made for its owner alone, in write-ahead mode, with our layout in it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::error::DatabaseError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use super::{SqliteJournal, trouble};
use crate::journal::JournalError;

/// The layout below. A file with another one is refused, not guessed at.
const SCHEMA_VERSION: i64 = 1;
/// Marks the file as ours: `davy` in ASCII (SQLite, "PRAGMA application_id").
const APPLICATION_ID: i64 = 0x6461_7679;
/// How long a transaction waits for another process. A transaction takes milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before connecting is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// SQLite's result code for a file that another connection has locked (sqlite.org/rescode.html).
const SQLITE_BUSY: i32 = 5;
/// And for one that may only be read.
const SQLITE_READONLY: i32 = 8;
/// Connections of one process. Writers queue up behind one lock, so more would only wait.
const CONNECTIONS: u32 = 4;

const SCHEMA: &[&str] = &[
    "CREATE TABLE incident (
        id TEXT PRIMARY KEY,
        resource TEXT NOT NULL,
        opened_at INTEGER NOT NULL,
        run TEXT,
        until INTEGER,
        due INTEGER
    ) STRICT",
    "CREATE INDEX incident_by_resource ON incident (resource, opened_at)",
    "CREATE TABLE entry (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        incident TEXT NOT NULL REFERENCES incident (id),
        body TEXT NOT NULL
    ) STRICT",
    "CREATE INDEX entry_by_incident ON entry (incident, seq)",
    "CREATE TABLE counted (
        playbook TEXT NOT NULL,
        at INTEGER NOT NULL,
        incident TEXT NOT NULL,
        irreversible INTEGER NOT NULL
    ) STRICT",
    "CREATE INDEX counted_by_playbook ON counted (playbook, at)",
    "CREATE TABLE notice (
        incident TEXT NOT NULL,
        notice TEXT NOT NULL,
        run TEXT NOT NULL,
        until INTEGER NOT NULL,
        sent INTEGER NOT NULL,
        PRIMARY KEY (incident, notice)
    ) STRICT",
];

impl SqliteJournal {
    /// Opens the file, and makes it if there is none. Only its owner may read it: plans name
    /// people.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        let store = path.display().to_string();
        let unreachable = |error: io::Error| JournalError::Unreachable {
            store: store.clone(),
            why: error.to_string(),
        };
        make_private(path).map_err(unreachable)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // What is journaled must survive a power cut before the step it announces is taken.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = connect(options)
            .await
            .map_err(|error| trouble(&store, &error))?;
        let journal = Self {
            pool,
            store: store.clone(),
        };
        journal.prepare().await?;
        // Only now is it known to be ours: a mistyped path must not lock somebody else's file.
        keep_private(path).map_err(unreachable)?;
        Ok(journal)
    }

    async fn prepare(&self) -> Result<(), JournalError> {
        let mut lock = self.lock().await?;
        let version = self.pragma(&mut lock, "PRAGMA user_version").await?;
        let application = self.pragma(&mut lock, "PRAGMA application_id").await?;
        match (version, application) {
            (SCHEMA_VERSION, APPLICATION_ID) => return Ok(()),
            (0, 0) => {}
            (found, _) => {
                return Err(JournalError::Unreadable {
                    store: self.store.clone(),
                    why: format!(
                        "its layout is {found} of application {application:#x}, and this program \
                         knows layout {SCHEMA_VERSION} of {APPLICATION_ID:#x}"
                    ),
                });
            }
        }
        // A database of somebody else that sets neither number would now be written to.
        let tables = self
            .pragma(&mut lock, "SELECT count(*) FROM sqlite_schema")
            .await?;
        if tables != 0 {
            return Err(JournalError::Unreadable {
                store: self.store.clone(),
                why: "it is a database of another program".to_owned(),
            });
        }
        for statement in SCHEMA {
            self.done(sqlx::query(*statement).execute(&mut *lock).await)?;
        }
        let marks = [
            format!("PRAGMA user_version = {SCHEMA_VERSION}"),
            format!("PRAGMA application_id = {APPLICATION_ID}"),
        ];
        for mark in marks {
            // A pragma takes no bound values; both are constants of this file.
            self.done(
                sqlx::query(sqlx::AssertSqlSafe(mark))
                    .execute(&mut *lock)
                    .await,
            )?;
        }
        self.done(lock.commit().await)
    }

    async fn pragma(
        &self,
        connection: &mut SqliteConnection,
        statement: &'static str,
    ) -> Result<i64, JournalError> {
        self.done(
            sqlx::query_scalar::<_, i64>(statement)
                .fetch_one(connection)
                .await,
        )
    }
}

/// Connects, and puts the file into write-ahead mode. SQLite does not wait for its busy timeout
/// where that mode is switched on or a log is recovered by two at once (sqlite.org/wal.html,
/// "Sometimes Queries Return SQLITE_BUSY In WAL Mode"), so the waiting is done here.
async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let end = Instant::now() + BUSY_TIMEOUT;
    loop {
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_with(options.clone())
            .await;
        match pool {
            Err(error) if is_busy(&error) && Instant::now() < end => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            pool => return pool,
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| primary(error) == Some(SQLITE_BUSY))
}

/// Whether the file is one that this user may not write to.
pub(super) fn is_read_only(error: &dyn DatabaseError) -> bool {
    primary(error) == Some(SQLITE_READONLY)
}

/// The low byte of an extended code is the primary one (sqlite.org/rescode.html).
fn primary(error: &dyn DatabaseError) -> Option<i32> {
    let code = error.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}

/// Makes the file for its owner alone before SQLite would make it for everyone.
///
/// A file that is there is not opened: closing any descriptor of it would drop the locks that
/// SQLite holds on it in this process (sqlite.org/howtocorrupt.html, section 2.2).
fn make_private(path: &Path) -> io::Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Takes the rights of others away from a file that has them.
fn keep_private(path: &Path) -> io::Result<()> {
    let mut rights = std::fs::metadata(path)?.permissions();
    if rights.mode() & 0o077 != 0 {
        rights.set_mode(0o600);
        std::fs::set_permissions(path, rights)?;
    }
    Ok(())
}
