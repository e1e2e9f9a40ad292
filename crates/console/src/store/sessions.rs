//! Sessions, and the keys that browsers hold to them.
//!
//! A session has a number of its own and, one after another, several keys: a browser is given another one
//! every hour. What must stay true: a key that has a successor holds until that one was used, so that an
//! answer that never arrived signs nobody out, and a short while longer, so that requests under way beside
//! it do not break; then it never holds again.

use jiff::{SignedDuration, Timestamp};
use sqlx::{AnyConnection, Row as _};

use super::people::person;
use super::{Person, Store, StoreError, digest, earlier, later, secret, time};

/// A session ends after this long without a request, and after [`LASTS`] in any case.
const IDLE: SignedDuration = SignedDuration::from_hours(12);
/// How long a session lasts at most.
const LASTS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A key of this age gets a successor.
const KEY_LASTS: SignedDuration = SignedDuration::from_hours(1);
/// A key holds this much longer once its successor was used.
const OVERLAP: SignedDuration = SignedDuration::from_mins(1);
/// That a session is alive is written this often: a write for each request would make every reader a
/// writer. A successor that nobody used within this time is given again.
const NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// So much of what a browser says of itself is kept.
const AGENT_CHARS: usize = 200;

/// By what somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Password,
    Link,
    Provider,
}

impl Way {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Link => "link",
            Self::Provider => "provider",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Password, Self::Link, Self::Provider]
            .into_iter()
            .find(|way| way.as_str() == name)
    }
}

/// A session that is about to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened<'a> {
    pub name: &'a str,
    pub way: Way,
    pub from: &'a str,
    pub agent: &'a str,
}

/// A session that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub id: String,
    pub person: Person,
    /// What every form of this session carries.
    pub csrf: String,
    pub way: Way,
    /// The key that the browser is to keep from now on, where it is another one.
    pub key: Option<String>,
}

/// A session, as its person is shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sitting {
    pub id: String,
    pub way: Way,
    pub from: String,
    pub agent: String,
    pub begun: Timestamp,
    pub seen: Timestamp,
}

impl Store {
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

    /// Begins a session, and gives the key that the browser is to keep.
    pub(crate) async fn begin(
        &self,
        opened: Opened<'_>,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        let (id, csrf) = (secret()?, secret()?);
        let agent: String = opened.agent.chars().take(AGENT_CHARS).collect();
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM console_session WHERE until < $1 OR seen < $2")
            .bind(now.as_microsecond())
            .bind(earlier(now, IDLE))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM console_session_key WHERE until < $1
                 OR session NOT IN (SELECT id FROM console_session)",
        )
        .bind(now.as_microsecond())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO console_session
                 (id, person, csrf, way, came_from, agent, created, seen, renewed, until)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7, $8)",
        )
        .bind(id.as_str())
        .bind(opened.name)
        .bind(csrf)
        .bind(opened.way.as_str())
        .bind(opened.from)
        .bind(agent)
        .bind(now.as_microsecond())
        .bind(later(now, LASTS))
        .execute(&mut *transaction)
        .await?;
        let key = new_key(&mut transaction, &id, now).await?;
        transaction.commit().await?;
        Ok(key)
    }

    /// The session of a key that a browser sent, if it holds.
    pub(crate) async fn session(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let digest = digest(key);
        let row = sqlx::query(
            "SELECT p.name, p.role, p.clusters, p.password, p.second_factor, p.factor_step,
                 p.disabled, s.id, s.csrf, s.way, s.seen, k.made, k.used
             FROM console_session_key k JOIN console_session s ON s.id = k.session
                 JOIN console_person p ON p.name = s.person
             WHERE k.digest = $1 AND k.until >= $2 AND s.until >= $2 AND s.seen >= $3
                 AND p.disabled IS NULL",
        )
        .bind(digest.as_str())
        .bind(now.as_microsecond())
        .bind(earlier(now, IDLE))
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (id, way): (String, String) = (row.try_get(7)?, row.try_get(9)?);
        let (seen, made, used): (i64, i64, Option<i64>) =
            (row.try_get(10)?, row.try_get(11)?, row.try_get(12)?);
        if used.is_none() {
            self.first_use(&id, &digest, now).await?;
        }
        if seen < earlier(now, NOTED_EVERY) {
            sqlx::query("UPDATE console_session SET seen = $2 WHERE id = $1")
                .bind(id.as_str())
                .bind(now.as_microsecond())
                .execute(&self.pool)
                .await?;
        }
        let key = match made < earlier(now, KEY_LASTS) {
            true => self.successor(&id, &digest, now).await?,
            false => None,
        };
        Ok(Some(Session {
            person: person(&row)?,
            csrf: row.try_get(8)?,
            way: Way::named(&way).ok_or(StoreError::Unreadable { what: "session" })?,
            id,
            key,
        }))
    }

    /// A browser has its key: those before it hold a short while longer.
    async fn first_use(&self, id: &str, digest: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE console_session_key SET used = $2, until = $3 WHERE digest = $1 AND used IS NULL",
        )
        .bind(digest)
        .bind(now.as_microsecond())
        .bind(later(now, LASTS))
        .execute(&self.pool)
        .await?;
        sqlx::query(
            "UPDATE console_session_key SET until = $3
             WHERE session = $1 AND digest <> $2 AND until > $3",
        )
        .bind(id)
        .bind(digest)
        .bind(later(now, OVERLAP))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Another key, for one of several requests that ask at once; none where this key is itself one that
    /// has been followed.
    async fn successor(
        &self,
        id: &str,
        digest: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let is_first = sqlx::query(
            "UPDATE console_session SET renewed = $2 WHERE id = $1 AND renewed < $3
                 AND EXISTS (SELECT 1 FROM console_session_key WHERE digest = $4 AND until > $5)",
        )
        .bind(id)
        .bind(now.as_microsecond())
        .bind(earlier(now, NOTED_EVERY))
        .bind(digest)
        .bind(later(now, OVERLAP))
        .execute(&mut *transaction)
        .await?;
        if is_first.rows_affected() == 0 {
            return Ok(None);
        }
        let key = new_key(&mut transaction, id, now).await?;
        transaction.commit().await?;
        Ok(Some(key))
    }

    /// Gives a session another key and another secret for its forms, and no time to those it had: after a
    /// step that gave somebody more, or took something from whoever else holds the old ones.
    pub(crate) async fn renew(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<(String, String), StoreError> {
        let csrf = secret()?;
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM console_session_key WHERE session = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE console_session SET csrf = $2, renewed = $3 WHERE id = $1")
            .bind(id)
            .bind(csrf.as_str())
            .bind(now.as_microsecond())
            .execute(&mut *transaction)
            .await?;
        let key = new_key(&mut transaction, id, now).await?;
        transaction.commit().await?;
        Ok((key, csrf))
    }

    /// Whether a session still holds: for whoever watches for long.
    pub(crate) async fn holds(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT s.id FROM console_session s JOIN console_person p ON p.name = s.person
             WHERE s.id = $1 AND s.until >= $2 AND p.disabled IS NULL",
        )
        .bind(id)
        .bind(now.as_microsecond())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_some())
    }

    /// Somebody's sessions, the latest first.
    pub(crate) async fn sittings(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Vec<Sitting>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, way, came_from, agent, created, seen FROM console_session
             WHERE person = $1 AND until >= $2 AND seen >= $3 ORDER BY created DESC, id",
        )
        .bind(name)
        .bind(now.as_microsecond())
        .bind(earlier(now, IDLE))
        .fetch_all(&self.pool)
        .await?;
        let what = "session";
        rows.iter()
            .map(|row| {
                let way: String = row.try_get(1)?;
                Ok(Sitting {
                    id: row.try_get(0)?,
                    way: Way::named(&way).ok_or(StoreError::Unreadable { what })?,
                    from: row.try_get(2)?,
                    agent: row.try_get(3)?,
                    begun: time(row.try_get(4)?, what)?,
                    seen: time(row.try_get(5)?, what)?,
                })
            })
            .collect()
    }

    /// Ends a session of somebody. False where there is none.
    pub(crate) async fn end(&self, name: &str, id: &str) -> Result<bool, StoreError> {
        self.end_those("person = $1 AND id = $2", name, id).await
    }

    /// Ends every session of somebody but one; all, where that is none of theirs.
    pub(crate) async fn end_others(&self, name: &str, but: &str) -> Result<bool, StoreError> {
        self.end_those("person = $1 AND id <> $2", name, but).await
    }

    async fn end_those(&self, condition: &str, name: &str, id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let keys = format!(
            "DELETE FROM console_session_key WHERE session IN
                 (SELECT id FROM console_session WHERE {condition})"
        );
        let sessions = format!("DELETE FROM console_session WHERE {condition}");
        let mut ended = 0;
        for sql in [keys, sessions] {
            let done = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(name)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
            ended = done.rows_affected();
        }
        transaction.commit().await?;
        Ok(ended > 0)
    }
}

async fn new_key(
    connection: &mut AnyConnection,
    id: &str,
    now: Timestamp,
) -> Result<String, StoreError> {
    let key = secret()?;
    sqlx::query(
        "INSERT INTO console_session_key (digest, session, made, until) VALUES ($1, $2, $3, $4)",
    )
    .bind(digest(&key))
    .bind(id)
    .bind(now.as_microsecond())
    .bind(later(now, LASTS))
    .execute(connection)
    .await?;
    Ok(key)
}
