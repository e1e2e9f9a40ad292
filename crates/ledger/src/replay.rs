//! The derived tables made anew from the entries.

use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use crate::chain::Entry;
use crate::error::LedgerError;
use crate::ledger::{Ledger, read_entries};
use crate::record::Record;
use crate::rows::DERIVED;
use crate::table::Dialect;
use crate::work::{Needs, Work};

/// How many entries are worked on at once.
const PAGE_ENTRIES: i64 = 500;
/// And of how many bytes together, unless one alone has more.
pub(crate) const PAGE_BYTES: i64 = 4 << 20;

impl Ledger {
    /// Makes the derived tables anew. Writers wait meanwhile; readers see the old ones until it is done.
    pub async fn rebuild(&self) -> Result<(), LedgerError> {
        let (mut transaction, _) = self.lock().await?;
        self.rebuild_in(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The same in a transaction that keeps other writers out.
    pub(crate) async fn rebuild_in(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<(), LedgerError> {
        for table in DERIVED {
            let sql = format!("DELETE FROM {}", table.name);
            sqlx::query(AssertSqlSafe(sql))
                .execute(&mut *connection)
                .await?;
        }
        sqlx::query("DELETE FROM finding_words")
            .execute(&mut *connection)
            .await?;
        let mut after = 0;
        loop {
            let entries = page(connection, after).await?;
            let Some(last) = entries.last() else {
                return Ok(());
            };
            after = last.seq;
            replay(connection, self.dialect, &entries).await?;
        }
    }
}

/// The next entries, of bounded size.
pub(crate) async fn page(
    connection: &mut AnyConnection,
    after: i64,
) -> Result<Vec<Entry>, LedgerError> {
    let rows = sqlx::query(
        "SELECT CAST(coalesce(octet_length(body), 0) AS bigint) FROM entry
         WHERE seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(after)
    .bind(PAGE_ENTRIES)
    .fetch_all(&mut *connection)
    .await?;
    let (mut count, mut bytes) = (0, 0);
    for row in &rows {
        bytes += row.try_get::<i64, _>(0)?;
        if count > 0 && bytes > PAGE_BYTES {
            break;
        }
        count += 1;
    }
    read_entries(connection, after, count).await
}

/// Does what entries say.
pub(crate) async fn replay(
    connection: &mut AnyConnection,
    dialect: Dialect,
    entries: &[Entry],
) -> Result<(), LedgerError> {
    let mut records = Vec::with_capacity(entries.len());
    let mut needs = Needs::default();
    for entry in entries {
        let Some(body) = &entry.body else {
            continue;
        };
        let record: Record = serde_json::from_str(body).map_err(|error| LedgerError::Entry {
            seq: entry.seq,
            why: error.to_string(),
        })?;
        needs.of(&record);
        records.push((entry, record));
    }
    let mut work = Work::new(dialect);
    work.load(connection, needs).await?;
    for (entry, record) in &records {
        work.apply(entry.seq, entry.at_us, record);
    }
    work.flush(connection).await
}
