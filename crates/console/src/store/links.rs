//! Links by which somebody signs in once.

use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;

use super::{Person, Store, StoreError, digest, later, secret};

/// How long a link lasts: from the terminal to the browser.
const LINK_LASTS: SignedDuration = SignedDuration::from_mins(15);

impl Store {
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
}
