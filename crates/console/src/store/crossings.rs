//! Sign-ins that are under way at a provider: each is begun once and ended once.

use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;

use super::{Store, StoreError, digest, later, secret};

/// How long somebody may take at the provider.
pub(crate) const CROSSING_LASTS: SignedDuration = SignedDuration::from_mins(10);
/// So many may be under way: whoever begins them is nobody yet. Beyond it the oldest are over.
const MOST: i64 = 10_000;

impl Store {
    /// Begins one, and gives the secret that the browser keeps.
    pub(crate) async fn begin_crossing(
        &self,
        back: &str,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        sqlx::query("DELETE FROM console_crossing WHERE until < $1")
            .bind(now.as_microsecond())
            .execute(&self.pool)
            .await?;
        let under_way: i64 = sqlx::query_scalar("SELECT count(*) FROM console_crossing")
            .fetch_one(&self.pool)
            .await?;
        if under_way >= MOST {
            sqlx::query(
                "DELETE FROM console_crossing WHERE digest IN
                     (SELECT digest FROM console_crossing ORDER BY until LIMIT 100)",
            )
            .execute(&self.pool)
            .await?;
        }
        let secret = secret()?;
        sqlx::query("INSERT INTO console_crossing (digest, back, until) VALUES ($1, $2, $3)")
            .bind(digest(&secret))
            .bind(back)
            .bind(later(now, CROSSING_LASTS))
            .execute(&self.pool)
            .await?;
        Ok(secret)
    }

    /// Ends one, and says where its browser wanted to go; none where it is over.
    pub(crate) async fn end_crossing(
        &self,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let row =
            sqlx::query("DELETE FROM console_crossing WHERE digest = $1 RETURNING back, until")
                .bind(digest(secret))
                .fetch_optional(&self.pool)
                .await?;
        let Some(row) = row else { return Ok(None) };
        let (back, until): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok((until >= now.as_microsecond()).then_some(back))
    }
}
