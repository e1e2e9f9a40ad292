//! People, sessions, tokens and sign-in links: what the console keeps beside the ledger, in the same
//! database.
//!
//! What must stay true: of a session, a token and a link only a digest is kept, so that nobody who
//! reads the database can use them. Times are microseconds since 1970.

use davylamp_ledger::Ledger;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row as _};

use crate::access::{Role, Scope};

/// The tables. Both databases take this text; it is run at each start.
const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS console_person (
        name TEXT PRIMARY KEY, role TEXT NOT NULL, clusters TEXT NOT NULL, password TEXT,
        second_factor TEXT, factor_step BIGINT NOT NULL, created BIGINT NOT NULL, disabled BIGINT)",
    "CREATE TABLE IF NOT EXISTS console_session (
        digest TEXT PRIMARY KEY, person TEXT NOT NULL, csrf TEXT NOT NULL, created BIGINT NOT NULL,
        seen BIGINT NOT NULL, until BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS console_token (
        name TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, cluster TEXT NOT NULL, scopes TEXT NOT NULL,
        created BIGINT NOT NULL, used BIGINT, revoked BIGINT)",
    "CREATE TABLE IF NOT EXISTS console_link (
        digest TEXT PRIMARY KEY, person TEXT NOT NULL, until BIGINT NOT NULL)",
];

/// A session ends after this long without a request, and after [`LASTS`] in any case.
const IDLE: SignedDuration = SignedDuration::from_hours(12);
/// How long a session lasts at most.
const LASTS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a sign-in link lasts: from the terminal to the browser.
const LINK_LASTS: SignedDuration = SignedDuration::from_mins(15);

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

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What they may see.
    pub scope: Scope,
    /// The digest of the password, as argon2 writes it; none for who comes by a link alone.
    pub password: Option<String>,
    /// The secret of the second factor, in base32.
    pub second_factor: Option<String>,
    /// The last step of the second factor that was used: each code counts once.
    pub factor_step: i64,
    /// Whether they may not sign in any more.
    pub disabled: bool,
}

/// A session that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub person: Person,
    /// What every form of this session carries.
    pub csrf: String,
}

/// Who sends events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The token's name.
    pub name: String,
    /// The cluster its events are of.
    pub cluster: String,
    /// What it may do: some of [`SCOPES`](crate::SCOPES).
    pub scopes: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
    /// Whether it holds no more.
    pub revoked: bool,
}

impl Sender {
    /// Whether it may do that.
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|has| has == scope)
    }
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
        for table in TABLES {
            sqlx::query(table).execute(&pool).await?;
        }
        Ok(Self { pool })
    }

    /// Somebody, by name.
    pub async fn person(&self, name: &str) -> Result<Option<Person>, StoreError> {
        let row = sqlx::query(
            "SELECT name, role, clusters, password, second_factor, factor_step, disabled
             FROM console_person WHERE name = $1",
        )
        .bind(name)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(person).transpose()
    }

    /// Everybody, by name.
    pub async fn people(&self) -> Result<Vec<Person>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, role, clusters, password, second_factor, factor_step, disabled
             FROM console_person ORDER BY name",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(person).collect()
    }

    /// Adds somebody.
    pub async fn add_person(&self, person: &Person, now: Timestamp) -> Result<(), StoreError> {
        let added = sqlx::query(
            "INSERT INTO console_person
                 (name, role, clusters, password, second_factor, factor_step, created)
             VALUES ($1, $2, $3, $4, $5, 0, $6) ON CONFLICT (name) DO NOTHING",
        )
        .bind(person.name.as_str())
        .bind(person.role.as_str())
        .bind(person.scope.to_text())
        .bind(person.password.clone())
        .bind(person.second_factor.clone())
        .bind(now.as_microsecond())
        .execute(&self.pool)
        .await?;
        match added.rows_affected() {
            0 => Err(StoreError::Taken {
                what: "person",
                name: person.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Changes what somebody may do and see, their password and second factor. Whoever is signed in
    /// under that name is signed out.
    pub async fn change_person(&self, person: &Person, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let changed = sqlx::query(
            "UPDATE console_person SET role = $2, clusters = $3, password = $4, second_factor = $5,
                 disabled = $6 WHERE name = $1",
        )
        .bind(person.name.as_str())
        .bind(person.role.as_str())
        .bind(person.scope.to_text())
        .bind(person.password.clone())
        .bind(person.second_factor.clone())
        .bind(person.disabled.then(|| now.as_microsecond()))
        .execute(&mut *transaction)
        .await?;
        if changed.rows_affected() == 0 {
            let (what, name) = ("person", person.name.clone());
            return Err(StoreError::Absent { what, name });
        }
        for table in ["console_session", "console_link"] {
            let sql = format!("DELETE FROM {table} WHERE person = $1");
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(person.name.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Notes that a step of the second factor was used. False where it, or a later one, was used before.
    pub(crate) async fn use_factor(&self, name: &str, step: i64) -> Result<bool, StoreError> {
        let used = sqlx::query(
            "UPDATE console_person SET factor_step = $2 WHERE name = $1 AND factor_step < $2",
        )
        .bind(name)
        .bind(step)
        .execute(&self.pool)
        .await?;
        Ok(used.rows_affected() == 1)
    }

    /// Begins a session, and gives what the browser is to keep.
    pub(crate) async fn begin(&self, name: &str, now: Timestamp) -> Result<String, StoreError> {
        let (id, csrf) = (secret()?, secret()?);
        sqlx::query("DELETE FROM console_session WHERE until < $1 OR seen < $2")
            .bind(now.as_microsecond())
            .bind(earlier(now, IDLE))
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "INSERT INTO console_session (digest, person, csrf, created, seen, until)
             VALUES ($1, $2, $3, $4, $4, $5)",
        )
        .bind(digest(&id))
        .bind(name)
        .bind(csrf)
        .bind(now.as_microsecond())
        .bind(later(now, LASTS))
        .execute(&self.pool)
        .await?;
        Ok(id)
    }

    /// The session of what a browser sent, if it holds.
    pub(crate) async fn session(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let digest = digest(id);
        let row = sqlx::query(
            "SELECT p.name, p.role, p.clusters, p.password, p.second_factor, p.factor_step,
                 p.disabled, s.csrf, s.seen
             FROM console_session s JOIN console_person p ON p.name = s.person
             WHERE s.digest = $1 AND s.until >= $2 AND s.seen >= $3 AND p.disabled IS NULL",
        )
        .bind(digest.as_str())
        .bind(now.as_microsecond())
        .bind(earlier(now, IDLE))
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        // A write for each request would make every reader a writer.
        let seen: i64 = row.try_get(8)?;
        if seen < earlier(now, SignedDuration::from_mins(1)) {
            sqlx::query("UPDATE console_session SET seen = $2 WHERE digest = $1")
                .bind(digest)
                .bind(now.as_microsecond())
                .execute(&self.pool)
                .await?;
        }
        Ok(Some(Session {
            person: person(&row)?,
            csrf: row.try_get(7)?,
        }))
    }

    /// Ends a session.
    pub(crate) async fn end(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM console_session WHERE digest = $1")
            .bind(digest(id))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// How many sessions hold.
    pub(crate) async fn session_count(&self, now: Timestamp) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar(
            "SELECT count(*) FROM console_session WHERE until >= $1 AND seen >= $2",
        )
        .bind(now.as_microsecond())
        .bind(earlier(now, IDLE))
        .fetch_one(&self.pool)
        .await?;
        Ok(count)
    }

    /// Makes a link by which somebody may sign in once, and gives its secret.
    pub async fn make_link(&self, name: &str, now: Timestamp) -> Result<String, StoreError> {
        if self.person(name).await?.is_none() {
            let (what, name) = ("person", name.to_owned());
            return Err(StoreError::Absent { what, name });
        }
        let secret = secret()?;
        sqlx::query("INSERT INTO console_link (digest, person, until) VALUES ($1, $2, $3)")
            .bind(digest(&secret))
            .bind(name)
            .bind(later(now, LINK_LASTS))
            .execute(&self.pool)
            .await?;
        Ok(secret)
    }

    /// Uses a link up, and says whose it was.
    pub(crate) async fn use_link(
        &self,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<Person>, StoreError> {
        let row = sqlx::query("DELETE FROM console_link WHERE digest = $1 RETURNING person, until")
            .bind(digest(secret))
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (name, until): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        if until < now.as_microsecond() {
            return Ok(None);
        }
        let person = self.person(&name).await?;
        Ok(person.filter(|person| !person.disabled))
    }

    /// Makes a token for a sender, and gives its secret, which is kept nowhere.
    pub async fn add_token(
        &self,
        name: &str,
        cluster: &str,
        scopes: &[&str],
        now: Timestamp,
    ) -> Result<String, StoreError> {
        let secret = format!("davy_{}", secret()?);
        let added = sqlx::query(
            "INSERT INTO console_token (name, digest, cluster, scopes, created)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(digest(&secret))
        .bind(cluster)
        .bind(scopes.join(" "))
        .bind(now.as_microsecond())
        .execute(&self.pool)
        .await?;
        match added.rows_affected() {
            0 => Err(StoreError::Taken {
                what: "token",
                name: name.to_owned(),
            }),
            _ => Ok(secret),
        }
    }

    /// Ends a token.
    pub async fn revoke_token(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let revoked = sqlx::query("UPDATE console_token SET revoked = $2 WHERE name = $1")
            .bind(name)
            .bind(now.as_microsecond())
            .execute(&self.pool)
            .await?;
        match revoked.rows_affected() {
            0 => Err(StoreError::Absent {
                what: "token",
                name: name.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Every token, by name.
    pub async fn tokens(&self) -> Result<Vec<Sender>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, cluster, scopes, created, used, revoked FROM console_token ORDER BY name",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(sender).collect()
    }

    /// Whose token it is, if it holds.
    pub(crate) async fn sender(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Sender>, StoreError> {
        let row = sqlx::query(
            "SELECT name, cluster, scopes, created, used, revoked FROM console_token
             WHERE digest = $1 AND revoked IS NULL",
        )
        .bind(digest(token))
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let sender = sender(&row)?;
        let is_old =
            |used: Timestamp| used.as_microsecond() < earlier(now, SignedDuration::from_mins(1));
        if sender.used.is_none_or(is_old) {
            sqlx::query("UPDATE console_token SET used = $2 WHERE name = $1")
                .bind(sender.name.as_str())
                .bind(now.as_microsecond())
                .execute(&self.pool)
                .await?;
        }
        Ok(Some(sender))
    }
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

fn person(row: &AnyRow) -> Result<Person, StoreError> {
    let unreadable = || StoreError::Unreadable { what: "person" };
    let (role, clusters): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let disabled: Option<i64> = row.try_get(6)?;
    Ok(Person {
        name: row.try_get(0)?,
        role: Role::named(&role).ok_or_else(unreadable)?,
        scope: Scope::from_text(&clusters).ok_or_else(unreadable)?,
        password: row.try_get(3)?,
        second_factor: row.try_get(4)?,
        factor_step: row.try_get(5)?,
        disabled: disabled.is_some(),
    })
}

fn sender(row: &AnyRow) -> Result<Sender, StoreError> {
    let time = |micros: i64| {
        Timestamp::from_microsecond(micros).map_err(|_| StoreError::Unreadable { what: "token" })
    };
    let scopes: String = row.try_get(2)?;
    let (used, revoked): (Option<i64>, Option<i64>) = (row.try_get(4)?, row.try_get(5)?);
    Ok(Sender {
        name: row.try_get(0)?,
        cluster: row.try_get(1)?,
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        created: time(row.try_get(3)?)?,
        used: used.map(time).transpose()?,
        revoked: revoked.is_some(),
    })
}
