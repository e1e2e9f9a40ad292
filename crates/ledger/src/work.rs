//! The part of the derived tables that a batch is about, held in memory while it is worked on.
//!
//! What a batch needs is read with one statement for each table, changed here, and written with one
//! statement for each table. Appending and rebuilding go through the same code, so that what a
//! rebuild makes of the entries is what appending made of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;
use sqlx::AnyConnection;

use crate::apply::named;
use crate::error::LedgerError;
use crate::rows::{
    ActionRow, CounterRow, EvidenceRow, FindingRow, IncidentRow, JobRow, KeyRow, ListRow, NodeRow,
    PartRow, PlanRow, RiskRow, Row, RunRow, SpanRow, TallyRow, TimelineRow, UpdateRow,
};
use crate::spans::{Spans, Zone};
use crate::table::{Dialect, json, run, select, store};

/// What has to be read before a batch can be worked on.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub references: BTreeSet<String>,
    pub findings: BTreeSet<i64>,
    pub keys: BTreeSet<String>,
    pub incidents: BTreeSet<i64>,
    pub actions: BTreeSet<String>,
    pub evidence: BTreeSet<String>,
    pub evidence_ids: BTreeSet<i64>,
    pub nodes: BTreeSet<(String, String)>,
    pub plans: BTreeSet<String>,
    pub jobs: BTreeSet<String>,
    pub lists: BTreeSet<String>,
}

/// The words of a finding, on their way to where they are searched.
#[derive(Debug, Serialize)]
pub(crate) struct Words {
    pub id: i64,
    pub words: String,
}

/// Rows in memory, and those of them that are to be written.
#[derive(Debug)]
pub(crate) struct Shelf<K, R> {
    rows: HashMap<K, R>,
    dirty: HashSet<K>,
}

impl<K, R> Default for Shelf<K, R> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            dirty: HashSet::new(),
        }
    }
}

impl<K: Clone + Eq + std::hash::Hash, R> Shelf<K, R> {
    pub fn get(&self, key: &K) -> Option<&R> {
        self.rows.get(key)
    }

    /// A row to be changed.
    pub fn edit(&mut self, key: &K) -> Option<&mut R> {
        let row = self.rows.get_mut(key)?;
        self.dirty.insert(key.clone());
        Some(row)
    }

    pub fn put(&mut self, key: K, row: R) {
        self.dirty.insert(key.clone());
        self.rows.insert(key, row);
    }

    pub fn remove(&mut self, key: &K) -> Option<R> {
        self.dirty.remove(key);
        self.rows.remove(key)
    }

    pub fn values(&self) -> impl Iterator<Item = &R> {
        self.rows.values()
    }

    fn values_mut(&mut self) -> impl Iterator<Item = &mut R> {
        self.rows.values_mut()
    }

    /// Keeps what is here already: it may have been changed.
    fn load(&mut self, key: K, row: R) {
        self.rows.entry(key).or_insert(row);
    }

    fn changed(&self) -> impl Iterator<Item = &R> {
        self.dirty.iter().filter_map(|key| self.rows.get(key))
    }
}

/// What retention took away.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    pub findings: Vec<i64>,
    pub evidence: Vec<i64>,
    pub entries: Vec<i64>,
    pub incidents: Vec<i64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Work {
    dialect: Dialect,
    pub findings: Shelf<String, FindingRow>,
    pub references: HashMap<i64, String>,
    pub spans: Spans,
    pub incidents: Shelf<i64, IncidentRow>,
    pub actions: Shelf<String, ActionRow>,
    pub evidence: Shelf<String, EvidenceRow>,
    pub nodes: Shelf<(String, String), NodeRow>,
    pub plans: Shelf<String, PlanRow>,
    pub jobs: Shelf<String, JobRow>,
    pub lists: Shelf<String, ListRow>,
    pub risks: Shelf<String, RiskRow>,
    pub runs: Vec<RunRow>,
    pub tally: BTreeMap<(i64, String, String), i64>,
    pub counter: BTreeMap<(String, i64), i64>,
    /// By kind, name and incident.
    pub parts: BTreeMap<(&'static str, String, i64), i64>,
    pub timeline: Vec<TimelineRow>,
    pub new_keys: BTreeMap<(String, i64), KeyRow>,
    pub old_keys: Vec<KeyRow>,
    pub updates: Vec<UpdateRow>,
    pub words: BTreeMap<i64, Words>,
    pub redirects: Vec<(i64, i64)>,
    pub zones: Vec<Zone>,
    pub gone: Gone,
}

impl Work {
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            findings: Shelf::default(),
            references: HashMap::new(),
            spans: Spans::default(),
            incidents: Shelf::default(),
            actions: Shelf::default(),
            evidence: Shelf::default(),
            nodes: Shelf::default(),
            plans: Shelf::default(),
            jobs: Shelf::default(),
            lists: Shelf::default(),
            risks: Shelf::default(),
            runs: Vec::new(),
            tally: BTreeMap::new(),
            counter: BTreeMap::new(),
            parts: BTreeMap::new(),
            timeline: Vec::new(),
            new_keys: BTreeMap::new(),
            old_keys: Vec::new(),
            updates: Vec::new(),
            words: BTreeMap::new(),
            redirects: Vec::new(),
            zones: Vec::new(),
            gone: Gone::default(),
        }
    }

    /// Reads what is needed.
    pub async fn load(
        &mut self,
        connection: &mut AnyConnection,
        mut needs: Needs,
    ) -> Result<(), LedgerError> {
        let texts = self.dialect.texts(1);
        let ints = self.dialect.ints(1);
        if !needs.references.is_empty() {
            let condition = format!("reference IN {texts}");
            let rows = select(connection, &condition, &json(&needs.references)).await?;
            self.shelve(rows);
        }
        if !needs.findings.is_empty() {
            let condition = format!("id IN {ints}");
            let rows = select(connection, &condition, &json(&needs.findings)).await?;
            self.shelve(rows);
        }
        for row in self.findings.values() {
            needs.incidents.extend(row.incident);
            needs.keys.extend(keys_of(row));
        }

        let keys: Vec<String> = needs
            .keys
            .into_iter()
            .filter(|key| !self.spans.knows(key))
            .collect();
        if !keys.is_empty() {
            let condition = format!("key IN {texts}");
            let rows: Vec<SpanRow> = select(connection, &condition, &json(&keys)).await?;
            needs.incidents.extend(rows.iter().map(|row| row.incident));
            self.spans.load(&keys, rows);
        }

        // Pointers lead to an incident that is none, so that there is one step at most.
        for _ in 0..2 {
            needs
                .incidents
                .retain(|incident| self.incidents.get(incident).is_none());
            if needs.incidents.is_empty() {
                break;
            }
            let condition = format!("id IN {ints}");
            let rows: Vec<IncidentRow> =
                select(connection, &condition, &json(&needs.incidents)).await?;
            needs.incidents = rows.iter().filter_map(|row| row.merged_into).collect();
            for row in rows {
                self.incidents.load(row.id, row);
            }
        }

        if !needs.actions.is_empty() {
            let condition = format!("reference IN {texts}");
            for row in select::<ActionRow>(connection, &condition, &json(&needs.actions)).await? {
                self.actions.load(row.reference.clone(), row);
            }
        }
        if !needs.evidence.is_empty() {
            let condition = format!("reference IN {texts}");
            for row in select::<EvidenceRow>(connection, &condition, &json(&needs.evidence)).await?
            {
                self.evidence.load(row.reference.clone(), row);
            }
        }
        if !needs.evidence_ids.is_empty() {
            let condition = format!("id IN {ints}");
            let ids = json(&needs.evidence_ids);
            for row in select::<EvidenceRow>(connection, &condition, &ids).await? {
                self.evidence.load(row.reference.clone(), row);
            }
        }
        if !needs.jobs.is_empty() {
            let condition = format!("reference IN {texts}");
            for row in select::<JobRow>(connection, &condition, &json(&needs.jobs)).await? {
                needs.plans.insert(named(&[&row.subject]));
                self.jobs.load(row.reference.clone(), row);
            }
        }
        if !needs.plans.is_empty() {
            let condition = format!("reference IN {texts}");
            for row in select::<PlanRow>(connection, &condition, &json(&needs.plans)).await? {
                self.plans.load(row.reference.clone(), row);
            }
        }
        if !needs.lists.is_empty() {
            let condition = format!("reference IN {texts}");
            for row in select::<ListRow>(connection, &condition, &json(&needs.lists)).await? {
                self.lists.load(row.reference.clone(), row);
            }
        }
        if !needs.nodes.is_empty() {
            let names: BTreeSet<&String> = needs.nodes.iter().map(|(_, node)| node).collect();
            let condition = format!("node IN {texts}");
            for row in select::<NodeRow>(connection, &condition, &json(&names)).await? {
                self.nodes
                    .load((row.cluster.clone(), row.node.clone()), row);
            }
        }
        Ok(())
    }

    fn shelve(&mut self, rows: Vec<FindingRow>) {
        for row in rows {
            self.references.insert(row.id, row.reference.clone());
            self.findings.load(row.reference.clone(), row);
        }
    }

    /// The incident that a number leads to.
    pub fn root(&self, incident: i64) -> i64 {
        self.incidents
            .get(&incident)
            .and_then(|row| row.merged_into)
            .unwrap_or(incident)
    }

    /// Lets everything of one incident be another's, here and where it is stored.
    pub fn redirect(&mut self, from: i64, into: i64) {
        let point = |incident: &mut Option<i64>| {
            if *incident == Some(from) {
                *incident = Some(into);
            }
        };
        self.findings
            .values_mut()
            .for_each(|row| point(&mut row.incident));
        self.actions
            .values_mut()
            .for_each(|row| point(&mut row.incident));
        self.evidence
            .values_mut()
            .for_each(|row| point(&mut row.incident));
        self.plans
            .values_mut()
            .for_each(|row| point(&mut row.incident));
        self.jobs
            .values_mut()
            .for_each(|row| point(&mut row.incident));
        self.incidents
            .values_mut()
            .for_each(|row| point(&mut row.merged_into));
        for row in &mut self.timeline {
            if row.incident == from {
                row.incident = into;
            }
        }
        let moved: Vec<_> = self
            .parts
            .extract_if(.., |(_, _, incident), _| *incident == from)
            .collect();
        for ((kind, name, _), n) in moved {
            *self.parts.entry((kind, name, into)).or_default() += n;
        }
        self.spans.redirect(from, into);
        self.redirects.push((from, into));
    }

    /// Writes what has changed.
    pub async fn flush(self, connection: &mut AnyConnection) -> Result<(), LedgerError> {
        let dialect = self.dialect;
        for (from, into) in &self.redirects {
            for statement in [
                "UPDATE finding SET incident = $1 WHERE incident = $2",
                "UPDATE span SET incident = $1 WHERE incident = $2",
                "UPDATE timeline SET incident = $1 WHERE incident = $2",
                "UPDATE action SET incident = $1 WHERE incident = $2",
                "UPDATE evidence SET incident = $1 WHERE incident = $2",
                "UPDATE plan SET incident = $1 WHERE incident = $2",
                "UPDATE job SET incident = $1 WHERE incident = $2",
                "UPDATE incident SET merged_into = $1 WHERE merged_into = $2",
                "INSERT INTO part (kind, name, incident, n)
                 SELECT kind, name, $1, n FROM part WHERE incident = $2
                 ON CONFLICT (kind, name, incident) DO UPDATE SET n = part.n + excluded.n",
                "DELETE FROM part WHERE incident = $2 AND incident <> $1",
            ] {
                sqlx::query(statement)
                    .bind(*into)
                    .bind(*from)
                    .execute(&mut *connection)
                    .await?;
            }
        }
        self.take_away(connection).await?;
        remove(connection, dialect, &self.old_keys).await?;
        let (gone, new) = self.spans.differences();
        remove(connection, dialect, gone).await?;
        store(connection, dialect, new).await?;
        store(connection, dialect, self.findings.changed()).await?;
        store(connection, dialect, self.new_keys.values()).await?;
        store(connection, dialect, &self.updates).await?;
        store(connection, dialect, self.incidents.changed()).await?;
        store(connection, dialect, &self.timeline).await?;
        store(connection, dialect, self.actions.changed()).await?;
        store(connection, dialect, self.evidence.changed()).await?;
        store(connection, dialect, self.nodes.changed()).await?;
        store(connection, dialect, self.plans.changed()).await?;
        store(connection, dialect, self.jobs.changed()).await?;
        store(connection, dialect, self.lists.changed()).await?;
        store(connection, dialect, self.risks.changed()).await?;
        store(connection, dialect, &self.runs).await?;
        if !self.words.is_empty() {
            let kept = |each: &Words| Words {
                id: each.id,
                words: each
                    .words
                    .split(' ')
                    .map(|word| dialect.word(each.id, word))
                    .collect::<Vec<_>>()
                    .join(" "),
            };
            let words: Vec<Words> = self.words.values().map(kept).collect();
            run(connection, dialect.store_words(), &json(&words)).await?;
        }
        let tally: Vec<TallyRow> = self
            .tally
            .into_iter()
            .filter(|(_, n)| *n != 0)
            .map(|((hour, cluster, action), n)| TallyRow {
                hour,
                cluster,
                action,
                n,
            })
            .collect();
        add(connection, dialect, &tally).await?;
        let parts: Vec<PartRow> = self
            .parts
            .into_iter()
            .filter(|(_, n)| *n != 0)
            .map(|((kind, name, incident), n)| PartRow {
                kind: kind.to_owned(),
                name,
                incident,
                n,
            })
            .collect();
        add(connection, dialect, &parts).await?;
        let counter: Vec<CounterRow> = self
            .counter
            .into_iter()
            .filter(|(_, n)| *n != 0)
            .map(|((state, severity), n)| CounterRow { state, severity, n })
            .collect();
        add(connection, dialect, &counter).await
    }

    async fn take_away(&self, connection: &mut AnyConnection) -> Result<(), LedgerError> {
        let gone = &self.gone;
        let ints = self.dialect.ints(1);
        let words_id = self.dialect.words_id();
        for (ids, table, column) in [
            (&gone.findings, "finding", "id"),
            (&gone.findings, "finding_words", words_id),
            (&gone.findings, "finding_update", "finding"),
            (&gone.evidence, "evidence", "id"),
            (&gone.entries, "timeline", "seq"),
            (&gone.incidents, "span", "incident"),
        ] {
            if !ids.is_empty() {
                let statement = format!("DELETE FROM {table} WHERE {column} IN {ints}");
                run(connection, statement, &json(ids)).await?;
            }
        }
        Ok(())
    }
}

/// The keys of a finding as a list.
pub(crate) fn keys_of(row: &FindingRow) -> Vec<String> {
    serde_json::from_str(&row.keys).unwrap_or_default()
}

/// Adds to the numbers of rows, or starts them.
async fn add<R: Row>(
    connection: &mut AnyConnection,
    dialect: Dialect,
    rows: &[R],
) -> Result<(), LedgerError> {
    if rows.is_empty() {
        return Ok(());
    }
    let table = R::TABLE;
    let statement = format!(
        "INSERT INTO {name} ({columns}) SELECT {columns} FROM {records} WHERE true
         ON CONFLICT ({keys}) DO UPDATE SET n = {name}.n + excluded.n",
        name = table.name,
        columns = table.column_list(),
        records = dialect.records(1, table.columns),
        keys = table.keys.join(", "),
    );
    run(connection, statement, &json(&rows)).await
}

/// Removes rows by their keys.
async fn remove<'a, R: Row + 'a>(
    connection: &mut AnyConnection,
    dialect: Dialect,
    rows: impl IntoIterator<Item = &'a R>,
) -> Result<(), LedgerError> {
    let rows: Vec<&R> = rows.into_iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let table = R::TABLE;
    let keys = table.keys.join(", ");
    let statement = format!(
        "DELETE FROM {} WHERE ({keys}) IN (SELECT {keys} FROM {})",
        table.name,
        dialect.records(1, table.columns)
    );
    run(connection, statement, &json(&rows)).await
}
