//! From items to notices, and whose turn it is to send one.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row as _};

use super::{COLUMNS, Item, Outbox, Row, State, row};

/// So many items of one receiver are looked at together; what is beyond comes in the next notice.
const AT_ONCE: i64 = 1000;
/// So many notices are looked at together.
const NOTICES_AT_ONCE: i64 = 64;

/// A notice that is not stored yet.
#[derive(Debug)]
pub(in crate::notices) struct Made {
    pub id: String,
    pub seq: i64,
    pub incident: Option<i64>,
    pub channel: String,
    pub person: String,
    pub title: String,
    pub body: String,
    pub until: i64,
    /// The items in it.
    pub items: Vec<String>,
}

/// What a channel may still take: the moment at which all its turns are there again.
#[derive(Debug, Clone, Copy)]
pub(in crate::notices) struct Turn {
    pub before: i64,
    pub after: i64,
}

impl Outbox {
    /// The receivers for whom something is due.
    pub(in crate::notices) async fn due(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, sqlx::Error> {
        let sql = "SELECT DISTINCT channel, person FROM console_notice_item
                   WHERE notice IS NULL AND due <= $1 ORDER BY channel, person";
        let query = sqlx::query(sql).bind(now.as_microsecond());
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// What waits for a receiver, what is due first at the front. An item that cannot be read is left out.
    pub(in crate::notices) async fn items(
        &self,
        channel: &str,
        person: &str,
    ) -> Result<Vec<Item>, sqlx::Error> {
        let sql = "SELECT id, severity, body, due, held, incident FROM console_notice_item
                   WHERE notice IS NULL AND channel = $1 AND person = $2 ORDER BY due, id LIMIT $3";
        let query = sqlx::query(sql).bind(channel).bind(person).bind(AT_ONCE);
        let rows = query.fetch_all(&self.pool).await?;
        let mut items = Vec::new();
        for row in &rows {
            let (body, held): (String, i64) = (row.try_get(2)?, row.try_get(4)?);
            let Ok(mut happening) = serde_json::from_str::<super::Happening>(&body) else {
                tracing::error!("the outbox holds an item that cannot be read");
                continue;
            };
            // It may have become part of another since.
            happening.incident = row.try_get(5)?;
            items.push(Item {
                id: row.try_get(0)?,
                severity: row.try_get(1)?,
                channel: channel.to_owned(),
                person: person.to_owned(),
                happening,
                due: row.try_get(3)?,
                is_held: held != 0,
            });
        }
        Ok(items)
    }

    /// Notes that items wait for their channel's bounds.
    pub(in crate::notices) async fn hold(
        &self,
        channel: &str,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        // It is asked every second: only what changes something is written.
        let new = "SELECT count(*) FROM console_notice_item
                   WHERE notice IS NULL AND channel = $1 AND due <= $2 AND held = 0";
        let query = sqlx::query_scalar::<_, i64>(new).bind(channel);
        let new = query.bind(now.as_microsecond()).fetch_one(&self.pool);
        if new.await? == 0 {
            return Ok(());
        }
        let sql = "UPDATE console_notice_item SET held = 1
                   WHERE notice IS NULL AND channel = $1 AND due <= $2 AND held = 0";
        let query = sqlx::query(sql).bind(channel).bind(now.as_microsecond());
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// When a channel has all its turns again.
    pub(in crate::notices) async fn full_at(&self, channel: &str) -> Result<i64, sqlx::Error> {
        let sql = "SELECT full_at FROM console_notice_channel WHERE name = $1";
        let found = sqlx::query_scalar(sql).bind(channel);
        Ok(found.fetch_optional(&self.pool).await?.unwrap_or(0))
    }

    /// Stores a notice with its items and its turn, unless somebody else was faster with any of them.
    pub(in crate::notices) async fn make(
        &self,
        made: &Made,
        turn: Option<Turn>,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let sql =
            "INSERT INTO console_notice (id, seq, incident, channel, person, title, body, state,
                attempts, next_at, until, holder, error, created)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', 0, $8, $9, '', '', $8)
            ON CONFLICT (id) DO NOTHING";
        let stored = sqlx::query(sql)
            .bind(made.id.as_str())
            .bind(made.seq)
            .bind(made.incident)
            .bind(made.channel.as_str())
            .bind(made.person.as_str())
            .bind(made.title.as_str())
            .bind(made.body.as_str())
            .bind(now.as_microsecond())
            .bind(made.until)
            .execute(&mut *transaction)
            .await?;
        if stored.rows_affected() != 1 {
            return Ok(false);
        }
        for item in &made.items {
            let sql = "UPDATE console_notice_item SET notice = $1 WHERE id = $2 AND notice IS NULL";
            let query = sqlx::query(sql).bind(made.id.as_str()).bind(item.as_str());
            if query.execute(&mut *transaction).await?.rows_affected() != 1 {
                return Ok(false);
            }
        }
        if let Some(turn) = turn {
            let sql = "INSERT INTO console_notice_channel (name, full_at) VALUES ($1, $2)
                ON CONFLICT (name) DO UPDATE SET full_at = excluded.full_at
                WHERE console_notice_channel.full_at = $3";
            let taken = sqlx::query(sql)
                .bind(made.channel.as_str())
                .bind(turn.after)
                .bind(turn.before)
                .execute(&mut *transaction)
                .await?;
            if taken.rows_affected() != 1 {
                return Ok(false);
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Notices whose time has come, and those whose sender has let them lie.
    pub(in crate::notices) async fn ripe(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, sqlx::Error> {
        let sql = "SELECT id, channel FROM console_notice
                   WHERE state IN ('waiting', 'sending') AND next_at <= $1 ORDER BY next_at, created LIMIT $2";
        let query = sqlx::query(sql).bind(now.as_microsecond());
        let rows = query.bind(NOTICES_AT_ONCE).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// Takes a notice for `holder`, if it is ripe and nobody else has it.
    pub(in crate::notices) async fn take(
        &self,
        id: &str,
        holder: &str,
        lease_until: i64,
        now: Timestamp,
    ) -> Result<Option<Row>, sqlx::Error> {
        let sql = format!(
            "UPDATE console_notice SET state = 'sending', holder = $2, next_at = $3,
                 attempts = attempts + 1
             WHERE id = $1 AND state IN ('waiting', 'sending') AND next_at <= $4 RETURNING {COLUMNS}"
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(id)
            .bind(holder)
            .bind(lease_until)
            .bind(now.as_microsecond());
        let found = query.fetch_optional(&self.pool).await?;
        found.as_ref().map(row).transpose()
    }

    /// What came of it, from whoever had it. What another has taken meanwhile is theirs to say.
    pub(in crate::notices) async fn came(
        &self,
        id: &str,
        holder: &str,
        state: State,
        next_at: i64,
        error: &str,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let sql = "UPDATE console_notice SET state = $3, next_at = $4, error = $5, sent = $6
                   WHERE id = $1 AND holder = $2 AND state = 'sending'";
        let sent = (state == State::Sent).then(|| now.as_microsecond());
        sqlx::query(sql)
            .bind(id)
            .bind(holder)
            .bind(state.as_str())
            .bind(next_at)
            .bind(error)
            .bind(sent)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Has a notice tried again that was given up, or waits. False where there is none.
    pub(in crate::notices) async fn again(
        &self,
        id: &str,
        until: i64,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let sql = "UPDATE console_notice SET state = 'waiting', next_at = $2, until = $3
                   WHERE id = $1 AND state IN ('waiting', 'failed')";
        let query = sqlx::query(sql)
            .bind(id)
            .bind(now.as_microsecond())
            .bind(until);
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }
}
