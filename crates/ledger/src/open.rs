//! Opening: the address, the secret, the file's rights, the layout.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _, Row as _};
use url::Url;

use crate::decide::Clocks;
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::table::Dialect;

/// The layout in `migrations`: the number of the last file there.
const LAYOUT: i64 = 2;
/// How long a writer waits for another. A batch takes milliseconds; a rebuild takes longer.
const BUSY_MS: u32 = 30_000;
/// The pause before connecting is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// SQLite's result code for a file that another connection has locked (sqlite.org/rescode.html).
const SQLITE_BUSY: i32 = 5;
/// Pages in memory for each connection, in KiB: the console's memory is small, the system caches the
/// file as well.
const CACHE_KIB: u32 = 8 << 10;

const SQLITE: [&str; LAYOUT as usize] = [
    include_str!("../migrations/sqlite/0001_ledger.sql"),
    include_str!("../migrations/sqlite/0002_work.sql"),
];
const POSTGRES: [&str; LAYOUT as usize] = [
    include_str!("../migrations/postgres/0001_ledger.sql"),
    include_str!("../migrations/postgres/0002_work.sql"),
];

/// How a ledger is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// How near in time findings about one thing have to be to be one incident, in seconds.
    pub within_secs: i64,
    /// How long incidents may wait for an owner, and until they are contained.
    pub clocks: Clocks,
    /// Connections at once.
    pub connections: u32,
    /// The file with PostgreSQL's password.
    pub password_file: Option<PathBuf>,
    /// The environment variable with it, where there is no file.
    pub password_variable: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            within_secs: 24 * 3600,
            clocks: Clocks::default(),
            connections: 4,
            password_file: None,
            password_variable: None,
        }
    }
}

impl Ledger {
    /// Opens the ledger at `sqlite:///path` or `postgres://…`, and makes it if there is none. A file is
    /// its owner's alone: findings name people. A server on another machine has to prove who it is
    /// (`sslmode=verify-full`, with `sslrootcert` where its issuer is not the system's) unless the address
    /// names another `sslmode`.
    pub async fn open(url: &str, options: &Options) -> Result<Self, LedgerError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let (url, dialect, file) = address(url, options)?;
        if let Some(file) = &file {
            make_private(file)?;
        }
        // Statements carry command lines: they are in no log.
        let connect = AnyConnectOptions::from_url(&url)?.disable_statement_logging();
        first(&connect, dialect).await?;
        let pool = AnyPoolOptions::new()
            .max_connections(options.connections.max(1))
            .min_connections(0)
            .acquire_timeout(Duration::from_millis(u64::from(BUSY_MS)))
            .after_connect(move |connection, _| {
                Box::pin(async move { prepare(connection, dialect).await })
            })
            .connect_with(connect)
            .await?;
        let ledger = Self {
            pool,
            dialect,
            within_secs: options.within_secs.max(0),
            clocks: options.clocks,
        };
        ledger.migrate().await?;
        // Only now is it known to be a ledger: a mistyped path must not lock somebody else's file.
        if let Some(file) = &file {
            keep_private(file)?;
        }
        Ok(ledger)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn migrate(&self) -> Result<(), LedgerError> {
        let mut transaction = self.pool.begin_with(self.dialect.begin()).await?;
        let (exists, migrations) = match self.dialect {
            Dialect::Sqlite => (
                "SELECT count(*) FROM sqlite_schema WHERE name = 'layout'",
                SQLITE,
            ),
            Dialect::Postgres => {
                // One console makes the tables, the other waits. The number is that of SQLite's
                // mark in our other files: `davy` in ASCII.
                sqlx::query("SELECT pg_advisory_xact_lock(1684109945)")
                    .execute(&mut *transaction)
                    .await?;
                (
                    "SELECT count(*) FROM pg_tables
                     WHERE schemaname = current_schema() AND tablename = 'layout'",
                    POSTGRES,
                )
            }
        };
        let exists: i64 = sqlx::query_scalar(exists)
            .fetch_one(&mut *transaction)
            .await?;
        let found = if exists == 0 {
            0
        } else {
            sqlx::query("SELECT version FROM layout")
                .fetch_one(&mut *transaction)
                .await?
                .try_get::<i64, _>(0)?
        };
        if found > LAYOUT {
            return Err(LedgerError::Layout {
                found,
                known: LAYOUT,
            });
        }
        if found == 0 && self.dialect == Dialect::Sqlite {
            let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
                .fetch_one(&mut *transaction)
                .await?;
            if tables != 0 {
                return Err(LedgerError::Address {
                    why: "the file is a database of another program".to_owned(),
                });
            }
        }
        let known = usize::try_from(found).unwrap_or(0);
        for migration in &migrations[known.min(migrations.len())..] {
            sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Connects once, before the pool does. The pool would ask a server that is not there again and again until
/// its patience ends; and SQLite does not wait where write-ahead mode is switched on or a log is
/// recovered by two at once (sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY In WAL Mode"), so
/// the waiting is done here.
async fn first(connect: &AnyConnectOptions, dialect: Dialect) -> Result<(), LedgerError> {
    let end = Instant::now() + Duration::from_millis(u64::from(BUSY_MS));
    loop {
        let mut connection = AnyConnection::connect_with(connect).await?;
        let prepared = prepare(&mut connection, dialect).await;
        connection.close().await?;
        match prepared {
            Err(error) if dialect == Dialect::Sqlite && is_busy(&error) && Instant::now() < end => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            prepared => return Ok(prepared?),
        }
    }
}

/// Whether another connection has the file locked. The low byte of an extended code is the primary one
/// (sqlite.org/rescode.html).
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

/// What every connection is told.
async fn prepare(connection: &mut AnyConnection, dialect: Dialect) -> Result<(), sqlx::Error> {
    let settings = match dialect {
        // What was answered must survive a power cut.
        Dialect::Sqlite => format!(
            "PRAGMA busy_timeout = {BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON; PRAGMA cache_size = -{CACHE_KIB};
             PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864"
        ),
        // Queries are short, and plans made for one page serve the next.
        Dialect::Postgres => {
            format!("SET lock_timeout = {BUSY_MS}; SET jit = off; SET synchronous_commit = on")
        }
    };
    sqlx::raw_sql(sqlx::AssertSqlSafe(settings))
        .execute(connection)
        .await?;
    Ok(())
}

/// The address with its secret in it, which goes nowhere but to the driver.
fn address(text: &str, options: &Options) -> Result<(Url, Dialect, Option<PathBuf>), LedgerError> {
    let refused = |why: &str| LedgerError::Address {
        why: why.to_owned(),
    };
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') {
            return Err(refused("it names no file"));
        }
        let path = std::path::absolute(path).map_err(|source| LedgerError::Io {
            what: "find the ledger's folder".to_owned(),
            source,
        })?;
        let quoted = percent_encoding::utf8_percent_encode(
            path.to_str()
                .ok_or_else(|| refused("its path is not UTF-8"))?,
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string()
        .replace("%2F", "/");
        let url = Url::parse(&format!("sqlite://{quoted}"))
            .map_err(|_| refused("its path cannot be written as an address"))?;
        return Ok((url, Dialect::Sqlite, Some(path)));
    }
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(refused("it begins with neither sqlite:// nor postgres://"));
    }
    let mut url = Url::parse(text).map_err(|_| refused("it is not well formed"))?;
    protect(&mut url);
    let secret = if let Some(file) = &options.password_file {
        let secret = std::fs::read_to_string(file).map_err(|source| LedgerError::Io {
            what: format!("read the password file {}", file.display()),
            source,
        })?;
        Some(secret)
    } else if let Some(name) = &options.password_variable {
        let secret = std::env::var(name).map_err(|_| LedgerError::Address {
            why: format!("the variable {name} with its password is not set"),
        })?;
        Some(secret)
    } else {
        None
    };
    if let Some(secret) = secret {
        let quoted = percent_encoding::utf8_percent_encode(
            secret.trim_end_matches(['\r', '\n']),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        // An address without a host (a socket in its query) takes the password there.
        if url.set_password(Some(&quoted)).is_err() {
            url.query_pairs_mut()
                .append_pair("password", secret.trim_end_matches(['\r', '\n']));
        }
    }
    Ok((url, Dialect::Postgres, None))
}

/// Asks for a server that proves who it is, where it is on another machine and the address does not say
/// otherwise: the driver alone would send a password in the clear to whoever answers.
fn protect(url: &mut Url) {
    let is_near = |host: &str| {
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host.is_empty()
            || host == "localhost"
            || host.starts_with('/')
            || ip.is_ok_and(|ip| ip.is_loopback())
    };
    let near = url.host_str().is_none_or(is_near);
    // The query's host goes before the other; one that is a path is a socket.
    let mut elsewhere = None;
    let mut said = false;
    for (name, value) in url.query_pairs() {
        match &*name {
            "host" | "hostaddr" => elsewhere = Some(!is_near(&value)),
            "sslmode" | "ssl-mode" => said = true,
            _ => {}
        }
    }
    if !said && elsewhere.unwrap_or(!near) {
        url.query_pairs_mut().append_pair("sslmode", "verify-full");
    }
}

fn failed(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> LedgerError {
    let what = format!("{what} {}", path.display());
    move |source| LedgerError::Io { what, source }
}

/// Makes the file for its owner alone before SQLite would make it for everyone.
fn make_private(path: &Path) -> Result<(), LedgerError> {
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed("make the folder", folder))?;
    }
    // A file that is there is not opened: closing it again would drop SQLite's locks on it
    // (sqlite.org/howtocorrupt.html, section 2.2).
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop).map_err(failed("make the file", path)),
    }
}

/// Takes the rights of others away from a file that has them.
fn keep_private(path: &Path) -> Result<(), LedgerError> {
    let mut rights = std::fs::metadata(path)
        .map_err(failed("look at the file", path))?
        .permissions();
    if rights.mode() & 0o077 != 0 {
        rights.set_mode(0o600);
        std::fs::set_permissions(path, rights).map_err(failed("protect the file", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_proves_who_it_is() {
        for (text, asked) in [
            ("postgres://u@db.example/x", true),
            ("postgres://u@10.0.0.1/x", true),
            ("postgres://u@127.0.0.1/x?host=db.example", true),
            ("postgres://u@db.example/x?sslmode=require", false),
            ("postgres://u@localhost/x", false),
            ("postgres://u@127.0.0.1:5432/x", false),
            ("postgres://u@[::1]/x", false),
            ("postgres:///x?host=/run/postgresql", false),
        ] {
            let (url, ..) = address(text, &Options::default()).expect("an address");
            let found = url
                .query_pairs()
                .any(|(name, value)| (&*name, &*value) == ("sslmode", "verify-full"));
            assert_eq!(found, asked, "{text}");
        }
    }
}
