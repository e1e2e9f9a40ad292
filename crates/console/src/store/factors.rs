//! Second factors: the one that is being set up, the one that holds, and the codes that stand in for it.

use sha2::{Digest as _, Sha256};

use super::people::absent;
use super::{Store, StoreError};

/// A recovery code has 80 random bits, which need no slow digest; the name is in it so that nobody can
/// tell two people's codes apart by looking for the same.
fn digest(name: &str, code: &str) -> String {
    hex::encode(Sha256::digest(format!("{name}\0{code}")))
}

impl Store {
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

    /// Keeps a secret that somebody is setting up in a session, until a code proves that they have it.
    pub(crate) async fn offer_factor(&self, session: &str, secret: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE console_session SET pending_factor = $2 WHERE id = $1")
            .bind(session)
            .bind(secret)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The secret that is being set up in a session.
    pub(crate) async fn offered_factor(&self, session: &str) -> Result<Option<String>, StoreError> {
        let secret: Option<Option<String>> =
            sqlx::query_scalar("SELECT pending_factor FROM console_session WHERE id = $1")
                .bind(session)
                .fetch_optional(&self.pool)
                .await?;
        Ok(secret.flatten())
    }

    /// Makes the secret that a session was offered somebody's second factor, with codes that stand in
    /// for it. False where they have one already.
    pub(crate) async fn set_factor(
        &self,
        name: &str,
        session: &str,
        secret: &str,
        step: i64,
        codes: &[String],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let set = sqlx::query(
            "UPDATE console_person SET second_factor = $2, factor_step = $3
             WHERE name = $1 AND second_factor IS NULL",
        )
        .bind(name)
        .bind(secret)
        .bind(step)
        .execute(&mut *transaction)
        .await?;
        if set.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE console_session SET pending_factor = NULL WHERE id = $1")
            .bind(session)
            .execute(&mut *transaction)
            .await?;
        renew_codes(&mut transaction, name, codes).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Takes somebody's second factor away, and the codes with it. Sessions stay as they are.
    pub(crate) async fn remove_factor(&self, name: &str) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let removed = sqlx::query("UPDATE console_person SET second_factor = NULL WHERE name = $1")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        if removed.rows_affected() == 0 {
            return Err(absent(name));
        }
        renew_codes(&mut transaction, name, &[]).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives somebody other recovery codes; those they had hold no more.
    pub(crate) async fn set_codes(&self, name: &str, codes: &[String]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        renew_codes(&mut transaction, name, codes).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Uses a recovery code up. False where it is none of theirs, or was used.
    pub(crate) async fn use_code(&self, name: &str, code: &str) -> Result<bool, StoreError> {
        let used = sqlx::query("DELETE FROM console_recovery WHERE person = $1 AND digest = $2")
            .bind(name)
            .bind(digest(name, code))
            .execute(&self.pool)
            .await?;
        Ok(used.rows_affected() == 1)
    }

    /// How many recovery codes somebody has left.
    pub(crate) async fn codes_left(&self, name: &str) -> Result<i64, StoreError> {
        let left = sqlx::query_scalar("SELECT count(*) FROM console_recovery WHERE person = $1")
            .bind(name)
            .fetch_one(&self.pool)
            .await?;
        Ok(left)
    }
}

async fn renew_codes(
    transaction: &mut sqlx::Transaction<'_, sqlx::Any>,
    name: &str,
    codes: &[String],
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM console_recovery WHERE person = $1")
        .bind(name)
        .execute(&mut **transaction)
        .await?;
    for code in codes {
        sqlx::query("INSERT INTO console_recovery (person, digest) VALUES ($1, $2)")
            .bind(name)
            .bind(digest(name, code))
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
