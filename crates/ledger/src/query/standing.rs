//! The numbers of the first page that depend on what somebody may see: of what is open, and of nodes.
//!
//! They cost what is open and how many nodes there are, never how many findings or closed incidents.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row as _};

use super::Question;
use super::incidents::{IncidentFilter, OPEN};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::rows::{IncidentRow, Row as _};
use crate::table::{json, parse};

/// So many owners are named, those of the most incidents first.
const OWNERS: usize = 20;
/// So many incidents that nobody owns are named.
const WAITING: usize = 5;

/// How it stands with what is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many incidents there are by severity: low first.
    pub severities: [i64; 4],
    /// How many of them nobody owns.
    pub without_owner: i64,
    /// The first of those, by when they were opened.
    pub waiting: Vec<IncidentRow>,
    /// Who owns how many: the busiest first, up to some.
    pub owners: Vec<(String, i64)>,
}

impl Standing {
    /// How many incidents are open.
    pub fn open(&self) -> i64 {
        self.severities.iter().sum()
    }
}

/// What is open costs, as far as somebody said so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// An hour, all together.
    pub per_hour_micro_usd: i64,
    /// So far, at least.
    pub low_micro_usd: i64,
    /// So far, at most.
    pub high_micro_usd: i64,
    /// Of how many incidents somebody said what they cost.
    pub known: i64,
    /// Of how many nobody did.
    pub unknown: i64,
}

/// How nodes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeCounts {
    /// All of them.
    pub all: i64,
    /// Not heard of since some time.
    pub silent: i64,
    /// Heard of, and their canary was not caught, or events were lost.
    pub troubled: i64,
    /// Whose canary was not caught.
    pub escaped: i64,
    /// Of whose canary nothing is known.
    pub untried: i64,
    /// Events that were lost.
    pub lost_events: i64,
}

impl Ledger {
    /// How it stands with what is open, in all clusters or in these.
    pub async fn standing(&self, clusters: Option<&[String]>) -> Result<Standing, LedgerError> {
        let mut standing = Standing::default();
        let filter = IncidentFilter {
            clusters: clusters.map(<[String]>::to_vec),
            ..IncidentFilter::default()
        };
        let mut question = Question::new();
        question.conditions.push(OPEN.to_owned());
        let Some(from) = self.with_parts(&mut question, &filter).await? else {
            return Ok(standing);
        };
        let sql = format!(
            "SELECT i.severity, i.owner, count(*) FROM {from} WHERE {}
             GROUP BY i.severity, i.owner",
            question.conditions.join(" AND ")
        );
        let mut owners = std::collections::BTreeMap::<String, i64>::new();
        for row in question.fetch(self, sql).await? {
            let n: i64 = row.try_get(2)?;
            let rank = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
            standing.severities[rank.min(3)] += n;
            match row.try_get::<Option<String>, _>(1)? {
                Some(owner) => *owners.entry(owner).or_default() += n,
                None => standing.without_owner += n,
            }
        }
        standing.owners = owners.into_iter().collect();
        standing.owners.sort_by_key(|(_, n)| -n);
        standing.owners.truncate(OWNERS);

        let mut question = Question::new();
        question.conditions.push(OPEN.to_owned());
        question.conditions.push("i.owner IS NULL".to_owned());
        if let Some(from) = self.with_parts(&mut question, &filter).await? {
            let select = format!("{} FROM {from}", IncidentRow::TABLE.columns_of("i"));
            let rows = question
                .ask(self, &select, "i.opened, i.id", WAITING - 1)
                .await?;
            standing.waiting = rows.iter().map(parse).collect::<Result<_, _>>()?;
        }
        Ok(standing)
    }

    /// What is open costs, in all clusters or, of what lies wholly in these, in these: what an incident costs
    /// elsewhere is of those who may see it.
    pub async fn cost_in(&self, clusters: Option<&[String]>) -> Result<Cost, LedgerError> {
        let filter = IncidentFilter {
            clusters: clusters.map(<[String]>::to_vec),
            ..IncidentFilter::default()
        };
        let mut question = Question::new();
        question.conditions.push(OPEN.to_owned());
        let Some(from) = self.with_parts(&mut question, &filter).await? else {
            return Ok(Cost::default());
        };
        let mut whole = "true".to_owned();
        if let Some(clusters) = clusters {
            let texts = self.dialect.texts_in("{}");
            let others = format!(
                "NOT EXISTS (SELECT 1 FROM part o WHERE o.incident = i.id
                 AND o.kind = 'cluster' AND o.n <> 0 AND o.name NOT IN {texts})"
            );
            whole = question.bind(&others, &json(clusters));
        }
        let known = format!("i.cost_micro_usd_per_hour IS NOT NULL AND {whole}");
        let sum = |what: &str| {
            format!("CAST(coalesce(sum(CASE WHEN {known} THEN {what} ELSE 0 END), 0) AS bigint)")
        };
        let sql = format!(
            "SELECT {}, {}, {}, {}, count(*) FROM {from} WHERE {}",
            sum("i.cost_micro_usd_per_hour"),
            sum("coalesce(i.cost_low_micro_usd, 0)"),
            sum("coalesce(i.cost_high_micro_usd, 0)"),
            sum("1"),
            question.conditions.join(" AND ")
        );
        let rows = question.fetch(self, sql).await?;
        let row = rows
            .first()
            .ok_or_else(|| LedgerError::Database("a sum gave no row".to_owned()))?;
        let known: i64 = row.try_get(3)?;
        Ok(Cost {
            per_hour_micro_usd: row.try_get(0)?,
            low_micro_usd: row.try_get(1)?,
            high_micro_usd: row.try_get(2)?,
            known,
            unknown: row.try_get::<i64, _>(4)? - known,
        })
    }

    /// How nodes are, in all clusters or in these; silent are those not heard of since `since`.
    pub async fn node_counts(
        &self,
        clusters: Option<&[String]>,
        since: Timestamp,
    ) -> Result<NodeCounts, LedgerError> {
        let of = match clusters {
            None => String::new(),
            Some(_) => format!("WHERE n.cluster IN {}", self.dialect.texts(2)),
        };
        let sum = |what: &str| {
            format!("CAST(coalesce(sum(CASE WHEN {what} THEN 1 ELSE 0 END), 0) AS bigint)")
        };
        let heard = "coalesce(p.seen, 0) >= $1";
        let sql = format!(
            "SELECT count(*), {}, {}, {}, {}, CAST(coalesce(sum(n.lost_events), 0) AS bigint)
             FROM node n LEFT JOIN pulse p ON p.cluster = n.cluster AND p.node = n.node {of}",
            sum(&format!("NOT ({heard})")),
            sum(&format!(
                "{heard} AND (coalesce(n.canary_caught, 1) = 0 OR n.lost_events > 0)"
            )),
            sum("n.canary_caught = 0"),
            sum("n.canary_caught IS NULL"),
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(since.as_microsecond());
        if let Some(clusters) = clusters {
            query = query.bind(json(clusters));
        }
        let row = query.fetch_one(&self.pool).await?;
        Ok(NodeCounts {
            all: row.try_get(0)?,
            silent: row.try_get(1)?,
            troubled: row.try_get(2)?,
            escaped: row.try_get(3)?,
            untried: row.try_get(4)?,
            lost_events: row.try_get(5)?,
        })
    }
}
