//! Tokens, by which agents send events.

use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Store, StoreError, digest, earlier, secret, time};

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

impl Store {
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

fn sender(row: &AnyRow) -> Result<Sender, StoreError> {
    let time = |micros| time(micros, "token");
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
