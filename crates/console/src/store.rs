//! What the console keeps beside the ledger, in the same database: people and their factors, sessions,
//! tokens, links, and sign-ins that are under way at a provider.
//!
//! What must stay true: of a session, a token, a link and a recovery code only a digest is kept, so that
//! nobody who reads the database can use them. Nothing here is history: what changes about people and
//! tokens is an entry of the ledger. Times are microseconds since 1970.

mod crossings;
mod factors;
mod links;
mod people;
mod sessions;
mod tokens;

use davylamp_ledger::Ledger;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use sqlx::AnyPool;

pub(crate) use crossings::CROSSING_LASTS;
pub use people::Person;
pub(crate) use people::Provided;
pub(crate) use sessions::{Opened, Session, Sitting, Way};
pub use tokens::Sender;

/// The tables. Both databases take this text; it is run at each start.
const TABLES: [&str; 8] = [
    "CREATE TABLE IF NOT EXISTS console_person (
        name TEXT PRIMARY KEY, role TEXT NOT NULL, clusters TEXT NOT NULL, password TEXT,
        second_factor TEXT, factor_step BIGINT NOT NULL, created BIGINT NOT NULL, disabled BIGINT)",
    "CREATE TABLE IF NOT EXISTS console_identity (
        issuer TEXT NOT NULL, subject TEXT NOT NULL, person TEXT NOT NULL UNIQUE,
        PRIMARY KEY (issuer, subject))",
    "CREATE TABLE IF NOT EXISTS console_recovery (
        person TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (person, digest))",
    "CREATE TABLE IF NOT EXISTS console_session (
        id TEXT PRIMARY KEY, person TEXT NOT NULL, csrf TEXT NOT NULL, way TEXT NOT NULL,
        came_from TEXT NOT NULL, agent TEXT NOT NULL, pending_factor TEXT, created BIGINT NOT NULL,
        seen BIGINT NOT NULL, renewed BIGINT NOT NULL, until BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS console_session_key (
        digest TEXT PRIMARY KEY, session TEXT NOT NULL, made BIGINT NOT NULL, used BIGINT,
        until BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS console_token (
        name TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, cluster TEXT NOT NULL, scopes TEXT NOT NULL,
        created BIGINT NOT NULL, used BIGINT, revoked BIGINT)",
    "CREATE TABLE IF NOT EXISTS console_link (
        digest TEXT PRIMARY KEY, person TEXT NOT NULL, until BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS console_crossing (
        digest TEXT PRIMARY KEY, back TEXT NOT NULL, until BIGINT NOT NULL)",
];

/// Sessions of an earlier layout had no number of their own. They end: people sign in again.
const OLD_SESSIONS: (&str, &str) = (
    "SELECT id FROM console_session LIMIT 0",
    "DROP TABLE IF EXISTS console_session",
);

/// Why something cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error("the database cannot be asked")]
    Database(#[from] sqlx::Error),
    /// What stands in it is not ours.
    #[error("the database holds a {what} that cannot be read")]
    Unreadable {
        /// What.
        what: &'static str,
    },
    /// There is one of that name.
    #[error("there is a {what} of the name `{name}` already")]
    Taken {
        /// What.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is none of that name.
    #[error("there is no {what} of the name `{name}`")]
    Absent {
        /// What.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// The tables beside the ledger.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
}

/// A secret of 256 bits that may stand in a header or an address.
pub(crate) fn secret() -> Result<String, StoreError> {
    use base64::Engine as _;
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| StoreError::Random)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// A secret of that many bits needs no salt, and no slow digest.
fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

impl Store {
    /// The tables beside a ledger's, made if they are not there.
    pub async fn beside(ledger: &Ledger) -> Result<Self, StoreError> {
        let pool = ledger.database().clone();
        let (look, drop) = OLD_SESSIONS;
        if sqlx::query(look).execute(&pool).await.is_err() {
            sqlx::query(drop).execute(&pool).await?;
        }
        make(&pool, &TABLES).await?;
        Ok(Self { pool })
    }
}

/// Makes what is not there of tables beside a ledger's, whoever's they are.
pub(crate) async fn make(pool: &AnyPool, tables: &[&'static str]) -> Result<(), sqlx::Error> {
    for table in tables.iter().copied() {
        // Of two consoles that make it at once, PostgreSQL refuses one, for which it is there by then.
        if sqlx::query(table).execute(pool).await.is_err() {
            sqlx::query(table).execute(pool).await?;
        }
    }
    Ok(())
}

fn later(now: Timestamp, by: SignedDuration) -> i64 {
    now.saturating_add(by)
        .unwrap_or(Timestamp::MAX)
        .as_microsecond()
}

fn earlier(now: Timestamp, by: SignedDuration) -> i64 {
    now.saturating_sub(by)
        .unwrap_or(Timestamp::MIN)
        .as_microsecond()
}

fn time(micros: i64, what: &'static str) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Unreadable { what })
}
