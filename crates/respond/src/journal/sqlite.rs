//! A journal in a local SQLite file. Two processes may use one file: every decision is one
//! transaction that takes the write lock before it reads.

use davylamp_model::ids::IncidentId;
use davylamp_plan::gate::Room;
use davylamp_plan::policy::Usage;
use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

use super::fields::{
    Head, busy, cap_window, counts_for, from_micros, lease_end, micros, window_start,
};
use super::{Claim, ClaimRequest, Entry, Journal, JournalError, Journaling, NoticeMark, Once};

mod opening;

/// A journal in a file.
#[derive(Debug, Clone)]
pub struct SqliteJournal {
    pool: SqlitePool,
    store: String,
}

impl SqliteJournal {
    /// A transaction that holds the write lock from its start: what it reads stays true until it
    /// commits.
    async fn lock(&self) -> Result<Transaction<'static, Sqlite>, JournalError> {
        self.done(self.pool.begin_with("BEGIN IMMEDIATE").await)
    }

    fn done<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, JournalError> {
        result.map_err(|error| trouble(&self.store, &error))
    }

    fn head(&self, row: &SqliteRow) -> Result<Head, JournalError> {
        let until: Option<i64> = self.done(row.try_get("until"))?;
        Ok(Head {
            opened_at: from_micros(&self.store, self.done(row.try_get("opened_at"))?)?,
            run: self.done(row.try_get("run"))?,
            until: until
                .map(|micros| from_micros(&self.store, micros))
                .transpose()?,
        })
    }

    async fn entries(
        &self,
        connection: &mut SqliteConnection,
        incident: &str,
    ) -> Result<Vec<Entry>, JournalError> {
        let bodies: Vec<String> = self.done(
            sqlx::query_scalar("SELECT body FROM entry WHERE incident = ? ORDER BY seq")
                .bind(incident)
                .fetch_all(connection)
                .await,
        )?;
        bodies
            .iter()
            .map(|body| {
                serde_json::from_str(body).map_err(|error| JournalError::Unreadable {
                    store: self.store.clone(),
                    why: format!("an entry of incident {incident}: {error}"),
                })
            })
            .collect()
    }

    async fn take(
        &self,
        lock: &mut SqliteConnection,
        incident: &str,
        run: &str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Result<Claim, JournalError> {
        self.done(
            sqlx::query("UPDATE incident SET run = ?, until = ? WHERE id = ?")
                .bind(run)
                .bind(micros(lease_end(now, lease_secs)))
                .bind(incident)
                .execute(&mut *lock)
                .await,
        )?;
        Ok(Claim::Ours {
            incident: incident.into(),
            entries: self.entries(lock, incident).await?,
        })
    }

    /// Renews the lease of `run`, or says why it cannot.
    async fn keep(
        &self,
        lock: &mut SqliteConnection,
        incident: &IncidentId,
        run: &str,
        until: Timestamp,
    ) -> Result<(), JournalError> {
        let renewed = self.done(
            sqlx::query("UPDATE incident SET until = ? WHERE id = ? AND run = ?")
                .bind(micros(until))
                .bind(incident.as_str())
                .bind(run)
                .execute(&mut *lock)
                .await,
        )?;
        self.lost_unless(lock, incident, renewed.rows_affected() == 1)
            .await
    }

    async fn write(
        &self,
        lock: &mut SqliteConnection,
        incident: &IncidentId,
        entry: &Entry,
        lease_secs: u32,
    ) -> Result<(), JournalError> {
        let body = serde_json::to_string(entry).map_err(|error| JournalError::Unreadable {
            store: self.store.clone(),
            why: error.to_string(),
        })?;
        let until = lease_end(entry.at, lease_secs);
        self.keep(lock, incident, &entry.run, until).await?;
        self.done(
            sqlx::query("INSERT INTO entry (incident, body) VALUES (?, ?)")
                .bind(incident.as_str())
                .bind(body)
                .execute(&mut *lock)
                .await,
        )?;
        if let Some((playbook, irreversible)) = counts_for(&entry.event) {
            self.done(
                sqlx::query(
                    "INSERT INTO counted (playbook, at, incident, irreversible)
                     VALUES (?, ?, ?, ?)",
                )
                .bind(playbook)
                .bind(micros(entry.at))
                .bind(incident.as_str())
                .bind(irreversible)
                .execute(&mut *lock)
                .await,
            )?;
        }
        Ok(())
    }

    /// What incidents other than this one did.
    async fn others(
        &self,
        connection: &mut SqliteConnection,
        playbook: &str,
        since: Timestamp,
        incident: &IncidentId,
    ) -> Result<Usage, JournalError> {
        let (plans, irreversible): (u32, u32) = self.done(
            sqlx::query_as(
                "SELECT count(DISTINCT incident), coalesce(sum(irreversible), 0)
                 FROM counted WHERE playbook = ? AND at >= ? AND incident <> ?",
            )
            .bind(playbook)
            .bind(micros(since))
            .bind(incident.as_str())
            .fetch_one(connection)
            .await,
        )?;
        Ok(Usage {
            plans_last_hour: plans,
            irreversible_last_hour: irreversible,
        })
    }

    async fn lost_unless(
        &self,
        lock: &mut SqliteConnection,
        incident: &IncidentId,
        ours: bool,
    ) -> Result<(), JournalError> {
        if ours {
            return Ok(());
        }
        let known = self.done(
            sqlx::query("SELECT 1 FROM incident WHERE id = ?")
                .bind(incident.as_str())
                .fetch_optional(lock)
                .await,
        )?;
        let incident = incident.clone();
        Err(match known {
            Some(_) => JournalError::Lost { incident },
            None => JournalError::NoSuchIncident { incident },
        })
    }
}

impl Journal for SqliteJournal {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Journaling<'a, Claim> {
        Box::pin(async move {
            let mut lock = self.lock().await?;
            let found = self.done(
                sqlx::query(
                    "SELECT id, opened_at, run, until FROM incident
                     WHERE resource = ?1 AND opened_at >= ?2 OR id = ?3
                     ORDER BY opened_at >= ?2 AND resource = ?1 DESC, opened_at DESC LIMIT 1",
                )
                .bind(&request.resource)
                .bind(micros(window_start(request)))
                .bind(request.proposed.as_str())
                .fetch_optional(&mut *lock)
                .await,
            )?;
            let incident = match found {
                None => {
                    self.done(
                        sqlx::query(
                            "INSERT INTO incident (id, resource, opened_at) VALUES (?, ?, ?)",
                        )
                        .bind(request.proposed.as_str())
                        .bind(&request.resource)
                        .bind(micros(request.now))
                        .execute(&mut *lock)
                        .await,
                    )?;
                    request.proposed.0.clone()
                }
                Some(row) => {
                    let id: String = self.done(row.try_get("id"))?;
                    let head = self.head(&row)?;
                    if let Some(holder) = head.held_by_another(&request.run, request.now) {
                        return Ok(busy(&id, holder));
                    }
                    if !head.is_open(request) {
                        self.done(
                            sqlx::query("UPDATE incident SET opened_at = ? WHERE id = ?")
                                .bind(micros(request.now))
                                .bind(&id)
                                .execute(&mut *lock)
                                .await,
                        )?;
                    }
                    id
                }
            };
            let claim = self
                .take(
                    &mut lock,
                    &incident,
                    &request.run,
                    request.now,
                    request.lease_secs,
                )
                .await?;
            self.done(lock.commit().await)?;
            Ok(claim)
        })
    }

    fn claim_incident<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Journaling<'a, Claim> {
        Box::pin(async move {
            let mut lock = self.lock().await?;
            let row = self.done(
                sqlx::query("SELECT opened_at, run, until FROM incident WHERE id = ?")
                    .bind(incident.as_str())
                    .fetch_optional(&mut *lock)
                    .await,
            )?;
            let row = row.ok_or_else(|| JournalError::NoSuchIncident {
                incident: incident.clone(),
            })?;
            if let Some(holder) = self.head(&row)?.held_by_another(run, now) {
                return Ok(busy(incident.as_str(), holder));
            }
            let claim = self
                .take(&mut lock, incident.as_str(), run, now, lease_secs)
                .await?;
            self.done(lock.commit().await)?;
            Ok(claim)
        })
    }

    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut lock = self.lock().await?;
            self.write(&mut lock, incident, entry, lease_secs).await?;
            self.done(lock.commit().await)
        })
    }

    fn begin<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
        room: &'a Room,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut lock = self.lock().await?;
            if let Some((playbook, _)) = counts_for(&entry.event) {
                let since = cap_window(entry.at);
                let others = self.others(&mut lock, playbook, since, incident).await?;
                room.allows(&others)?;
            }
            self.write(&mut lock, incident, entry, lease_secs).await?;
            self.done(lock.commit().await)
        })
    }

    fn renew<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut lock = self.lock().await?;
            self.keep(&mut lock, incident, run, lease_end(now, lease_secs))
                .await?;
            self.done(lock.commit().await)
        })
    }

    fn release<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        due: Option<Timestamp>,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut lock = self.lock().await?;
            let released = self.done(
                sqlx::query(
                    "UPDATE incident SET run = NULL, until = NULL, due = ? WHERE id = ? AND run = ?",
                )
                .bind(due.map(micros))
                .bind(incident.as_str())
                .bind(run)
                .execute(&mut *lock)
                .await,
            )?;
            self.lost_unless(&mut lock, incident, released.rows_affected() == 1)
                .await?;
            self.done(lock.commit().await)
        })
    }

    fn read<'a>(&'a self, incident: &'a IncidentId) -> Journaling<'a, Option<Vec<Entry>>> {
        Box::pin(async move {
            let mut connection = self.done(self.pool.acquire().await)?;
            let known = self.done(
                sqlx::query("SELECT 1 FROM incident WHERE id = ?")
                    .bind(incident.as_str())
                    .fetch_optional(&mut *connection)
                    .await,
            )?;
            match known {
                None => Ok(None),
                Some(_) => self
                    .entries(&mut connection, incident.as_str())
                    .await
                    .map(Some),
            }
        })
    }

    fn due<'a>(&'a self, now: Timestamp) -> Journaling<'a, Vec<IncidentId>> {
        Box::pin(async move {
            let ids: Vec<String> = self.done(
                sqlx::query_scalar(
                    "SELECT id FROM incident
                     WHERE run IS NULL AND due <= ?1 OR run IS NOT NULL AND until <= ?1
                     ORDER BY coalesce(due, until)",
                )
                .bind(micros(now))
                .fetch_all(&self.pool)
                .await,
            )?;
            Ok(ids.into_iter().map(IncidentId).collect())
        })
    }

    fn list<'a>(&'a self, limit: u32) -> Journaling<'a, Vec<IncidentId>> {
        Box::pin(async move {
            let ids: Vec<String> = self.done(
                sqlx::query_scalar(
                    "SELECT id FROM incident ORDER BY opened_at DESC, id DESC LIMIT ?",
                )
                .bind(limit)
                .fetch_all(&self.pool)
                .await,
            )?;
            Ok(ids.into_iter().map(IncidentId).collect())
        })
    }

    fn usage<'a>(
        &'a self,
        playbook: &'a str,
        since: Timestamp,
        incident: &'a IncidentId,
    ) -> Journaling<'a, Usage> {
        Box::pin(async move {
            let mut connection = self.done(self.pool.acquire().await)?;
            self.others(&mut connection, playbook, since, incident)
                .await
        })
    }

    fn once<'a>(&'a self, notice: &'a NoticeMark) -> Journaling<'a, Once> {
        Box::pin(async move {
            let mut lock = self.lock().await?;
            let taken = self.done(
                sqlx::query(
                    "INSERT INTO notice (incident, notice, run, until, sent)
                     VALUES (?1, ?2, ?3, ?4, 0)
                     ON CONFLICT DO UPDATE SET run = ?3, until = ?4
                     WHERE sent = 0 AND (run = ?3 OR until <= ?5)",
                )
                .bind(notice.incident.as_str())
                .bind(&notice.notice)
                .bind(&notice.run)
                .bind(micros(lease_end(notice.now, notice.lease_secs)))
                .bind(micros(notice.now))
                .execute(&mut *lock)
                .await,
            )?;
            if taken.rows_affected() == 1 {
                self.done(lock.commit().await)?;
                return Ok(Once::Ours);
            }
            let (sent, until): (bool, i64) = self.done(
                sqlx::query_as("SELECT sent, until FROM notice WHERE incident = ? AND notice = ?")
                    .bind(notice.incident.as_str())
                    .bind(&notice.notice)
                    .fetch_one(&mut *lock)
                    .await,
            )?;
            if sent {
                Ok(Once::Sent)
            } else {
                let until = from_micros(&self.store, until)?;
                Ok(Once::Busy { until })
            }
        })
    }

    fn settle<'a>(&'a self, notice: &'a NoticeMark, sent: bool) -> Journaling<'a, ()> {
        Box::pin(async move {
            let statement = if sent {
                "INSERT INTO notice (incident, notice, run, until, sent) VALUES (?, ?, ?, 0, 1)
                 ON CONFLICT DO UPDATE SET sent = 1"
            } else {
                "DELETE FROM notice WHERE incident = ? AND notice = ? AND run = ? AND sent = 0"
            };
            self.done(
                sqlx::query(statement)
                    .bind(notice.incident.as_str())
                    .bind(&notice.notice)
                    .bind(&notice.run)
                    .execute(&self.pool)
                    .await,
            )?;
            Ok(())
        })
    }
}

fn trouble(store: &str, error: &sqlx::Error) -> JournalError {
    let store = store.to_owned();
    let why = error.to_string();
    match error {
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::RowNotFound => JournalError::Unreadable { store, why },
        sqlx::Error::Database(database)
            // SQLITE_CORRUPT and SQLITE_NOTADB (sqlite.org/rescode.html).
            if matches!(database.code().as_deref(), Some("11" | "26")) =>
        {
            JournalError::Unreadable { store, why }
        }
        sqlx::Error::Database(database) if opening::is_read_only(database.as_ref()) => {
            let why = "this user may not write to it, and even looking takes a lock in it: run this \
                       as its owner, such as with sudo -u OWNER"
                .to_owned();
            JournalError::Unreachable { store, why }
        }
        _ => JournalError::Unreachable { store, why },
    }
}
