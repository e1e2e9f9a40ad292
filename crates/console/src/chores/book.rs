//! Which chore was done when, by whom it is being done, and what came of it: a table beside the ledger's,
//! which all consoles on it share.

use std::sync::Arc;

use davylamp_ledger::{Fault, Head, Ledger};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AnyPool, Row as _};

use super::Chore;
use crate::store::{StoreError, make, secret};

/// Times are microseconds since 1970.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS console_chore (
    name TEXT PRIMARY KEY, since BIGINT NOT NULL, done BIGINT, outcome TEXT,
    by_whom TEXT NOT NULL, until BIGINT NOT NULL)";

/// Who does a chore says so at least this often; after that another may take it over.
const LEASE: SignedDuration = SignedDuration::from_mins(10);

/// What is kept of a chore.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    /// Since when it is to be done.
    pub since: Timestamp,
    /// When it was last done.
    pub done: Option<Timestamp>,
    /// What came of it.
    pub outcome: Option<Value>,
    /// Whether it is being done.
    pub is_running: bool,
}

/// What the last check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verified {
    pub entries: i64,
    pub head: Head,
    pub fault: Option<Faulty>,
    #[serde(default)]
    pub seconds: u64,
}

/// What is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Faulty {
    pub seq: Option<i64>,
    pub what: String,
}

impl From<Fault> for Faulty {
    fn from(Fault { seq, what }: Fault) -> Self {
        Self { seq, what }
    }
}

impl Kept {
    /// When it is due: at the first such hour after it was last done.
    pub(crate) fn due(&self, hour: u8) -> Timestamp {
        let last = self.done.unwrap_or(self.since).to_zoned(TimeZone::UTC);
        let time = Time::new(i8::try_from(hour).unwrap_or(0), 0, 0, 0).unwrap_or(Time::midnight());
        let today = last.date().to_datetime(time);
        let day = match today > last.datetime() {
            true => Ok(today),
            false => today.checked_add(SignedDuration::from_hours(24)),
        };
        day.and_then(|day| day.to_zoned(TimeZone::UTC))
            .map_or(Timestamp::MAX, |day| day.timestamp())
    }

    /// What the check found, where this is one.
    pub(crate) fn verified(&self) -> Option<Verified> {
        serde_json::from_value(self.outcome.clone()?).ok()
    }
}

/// The book of chores.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pool: AnyPool,
    /// This console.
    me: Arc<str>,
}

impl Book {
    /// The table beside a ledger's, made if it is not there.
    pub(crate) async fn beside(ledger: &Ledger, now: Timestamp) -> Result<Self, StoreError> {
        let pool = ledger.database().clone();
        make(&pool, &[TABLE]).await?;
        for chore in Chore::ALL {
            sqlx::query(
                "INSERT INTO console_chore (name, since, by_whom, until) VALUES ($1, $2, '', 0)
                 ON CONFLICT (name) DO NOTHING",
            )
            .bind(chore.as_str())
            .bind(now.as_microsecond())
            .execute(&pool)
            .await?;
        }
        Ok(Self {
            pool,
            me: secret()?.into(),
        })
    }

    /// What is kept of a chore.
    pub(crate) async fn read(&self, chore: Chore, now: Timestamp) -> Result<Kept, StoreError> {
        let row =
            sqlx::query("SELECT since, done, outcome, until FROM console_chore WHERE name = $1")
                .bind(chore.as_str())
                .fetch_one(&self.pool)
                .await?;
        let wrong = StoreError::Unreadable { what: "chore" };
        let time = |us| Timestamp::from_microsecond(us).ok();
        let outcome: Option<String> = row.try_get(2)?;
        Ok(Kept {
            since: time(row.try_get(0)?).ok_or(wrong)?,
            done: row.try_get::<Option<i64>, _>(1)?.and_then(time),
            outcome: outcome.and_then(|text| serde_json::from_str(&text).ok()),
            is_running: row.try_get::<i64, _>(3)? > now.as_microsecond(),
        })
    }

    /// Takes a chore that is due and that nobody does. One statement: of two consoles one gets it.
    pub(super) async fn claim(
        &self,
        chore: Chore,
        hour: u8,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let kept = self.read(chore, now).await?;
        if kept.is_running || kept.due(hour) > now {
            return Ok(false);
        }
        let claimed = sqlx::query(
            "UPDATE console_chore SET by_whom = $1, until = $2
             WHERE name = $3 AND until <= $4 AND coalesce(done, since) = $5",
        )
        .bind(&*self.me)
        .bind(until(now))
        .bind(chore.as_str())
        .bind(now.as_microsecond())
        .bind(kept.done.unwrap_or(kept.since).as_microsecond())
        .execute(&self.pool)
        .await?;
        Ok(claimed.rows_affected() == 1)
    }

    /// Goes on with a chore. False where another console has it by now.
    pub(super) async fn renew(&self, chore: Chore, now: Timestamp) -> Result<bool, StoreError> {
        let renewed =
            sqlx::query("UPDATE console_chore SET until = $1 WHERE name = $2 AND by_whom = $3")
                .bind(until(now))
                .bind(chore.as_str())
                .bind(&*self.me)
                .execute(&self.pool)
                .await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Leaves a chore that is not done.
    pub(super) async fn give_back(&self, chore: Chore) -> Result<(), StoreError> {
        sqlx::query("UPDATE console_chore SET until = 0 WHERE name = $1 AND by_whom = $2")
            .bind(chore.as_str())
            .bind(&*self.me)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Says that a chore is done, and what came of it.
    pub(super) async fn end(
        &self,
        chore: Chore,
        outcome: &Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE console_chore SET until = 0, done = $1, outcome = $2
             WHERE name = $3 AND by_whom = $4",
        )
        .bind(now.as_microsecond())
        .bind(outcome.to_string())
        .bind(chore.as_str())
        .bind(&*self.me)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn until(now: Timestamp) -> i64 {
    let until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
    until.as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_the_first_such_hour_after_it_was_done() {
        for (last, hour, due) in [
            ("2026-11-30T02:59:59Z", 3, "2026-11-30T03:00:00Z"),
            ("2026-11-30T03:00:00Z", 3, "2026-12-01T03:00:00Z"),
            ("2026-11-30T03:00:01Z", 3, "2026-12-01T03:00:00Z"),
            ("2026-12-31T23:30:00Z", 0, "2027-01-01T00:00:00Z"),
        ] {
            let kept = Kept {
                since: Timestamp::UNIX_EPOCH,
                done: Some(last.parse().expect("a time")),
                outcome: None,
                is_running: false,
            };
            assert_eq!(kept.due(hour).to_string(), due, "{last} at {hour}");
        }
    }
}
