//! What pages and the command line ask of the outbox.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Row as _};

use super::{COLUMNS, Outbox, Row, State, inside, row};

/// Which notices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// In this state.
    pub state: Option<State>,
    /// Through this channel.
    pub channel: Option<String>,
    /// About this incident, alone or in a digest.
    pub incident: Option<i64>,
    /// Made before this one: its time and id.
    pub after: Option<(i64, String)>,
    /// So many at most.
    pub rows: u32,
}

/// What waits on a channel to be put into a notice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Items in all.
    pub items: i64,
    /// Those that the channel's bounds keep.
    pub held: i64,
}

/// What an incident's people were told, or are about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The channel.
    pub channel: String,
    /// Whose own address; empty for the channel's.
    pub person: String,
    /// The latest notice; none where it is not made yet.
    pub latest: Option<Row>,
    /// When what waits is put into one.
    pub due: Option<i64>,
}

impl Outbox {
    /// Notices, the latest first; one more than asked for where there are more.
    pub async fn list(&self, asked: &Asked) -> Result<Vec<Row>, sqlx::Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM console_notice n
             WHERE ($1 = '' OR state = $1) AND ($2 = '' OR channel = $2)
               AND ($3 = 0 OR incident = $3 OR EXISTS (SELECT 1 FROM console_notice_item i
                    WHERE i.notice = n.id AND i.incident = $3))
               AND (created, id) < ($4, $5)
             ORDER BY created DESC, id DESC LIMIT $6"
        );
        let (created, id) = asked.after.clone().unwrap_or((i64::MAX, String::new()));
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(asked.state.map_or("", State::as_str))
            .bind(asked.channel.as_deref().unwrap_or_default())
            .bind(asked.incident.unwrap_or(0))
            .bind(created)
            .bind(id)
            .bind(i64::from(asked.rows.clamp(1, 500)) + 1)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(row).collect()
    }

    /// One notice.
    pub async fn one(&self, id: &str) -> Result<Option<Row>, sqlx::Error> {
        let sql = format!("SELECT {COLUMNS} FROM console_notice WHERE id = $1");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(id);
        let found = query.fetch_optional(&self.pool).await?;
        found.as_ref().map(row).transpose()
    }

    /// What waits, by channel.
    pub async fn waiting(&self) -> Result<BTreeMap<String, Waiting>, sqlx::Error> {
        let sql = "SELECT channel, count(*), CAST(sum(held) AS BIGINT) FROM console_notice_item
                   WHERE notice IS NULL GROUP BY channel";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
        let waiting = rows.iter().map(|row| {
            let (items, held) = (row.try_get(1)?, row.try_get(2)?);
            Ok((row.try_get(0)?, Waiting { items, held }))
        });
        waiting.collect()
    }

    /// What an incident's people were told, by channel.
    pub async fn of_incident(
        &self,
        incidents: impl Iterator<Item = i64>,
    ) -> Result<Vec<Told>, sqlx::Error> {
        let all = inside(incidents);
        let named = COLUMNS.split(", ").map(|column| format!("n.{column}"));
        let sql = format!(
            "SELECT DISTINCT {} FROM console_notice n JOIN console_notice_item i ON i.notice = n.id
             WHERE i.incident IN ({all}) ORDER BY n.created, n.id",
            named.collect::<Vec<_>>().join(", ")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&self.pool)
            .await?;
        let mut told: BTreeMap<(String, String), Told> = BTreeMap::new();
        for found in &rows {
            let latest = row(found)?;
            let (channel, person) = (latest.channel.clone(), latest.person.clone());
            of(&mut told, channel, person).latest = Some(latest);
        }
        let sql = format!(
            "SELECT channel, person, min(due) FROM console_notice_item
             WHERE notice IS NULL AND incident IN ({all}) GROUP BY channel, person"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&self.pool)
            .await?;
        for found in &rows {
            let (channel, person) = (found.try_get(0)?, found.try_get(1)?);
            of(&mut told, channel, person).due = Some(found.try_get(2)?);
        }
        Ok(told.into_values().collect())
    }
}

fn of(told: &mut BTreeMap<(String, String), Told>, channel: String, person: String) -> &mut Told {
    let key = (channel.clone(), person.clone());
    told.entry(key).or_insert(Told {
        channel,
        person,
        latest: None,
        due: None,
    })
}
