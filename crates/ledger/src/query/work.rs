//! Plans, jobs, runs, accepted risks, lists, and what it all costs.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::AssertSqlSafe;

use super::{At, Page, Question, paged};
use crate::apply::named;
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::record::{Audit, IncidentNo, Job, JobStage, JobStep, Plan, Record};
use crate::rows::{JobRow, ListRow, PlanRow, RiskRow, Row, RunRow};
use crate::table::{json, parse};

/// So many waiting jobs are looked at for one that a worker may take.
const LOOKED_AT: u32 = 100;

/// A plan, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanView {
    /// How far it is.
    pub row: PlanRow,
    /// What it says; `None` where its body was removed.
    pub plan: Option<Plan>,
}

/// A job, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// How far it is.
    pub row: JobRow,
    /// What was asked; `None` where its body was removed.
    pub job: Option<Job>,
}

/// An audit with everything it looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditView {
    /// Its numbers.
    pub row: RunRow,
    /// It; `None` where its body was removed.
    pub audit: Option<Audit>,
}

/// Which jobs are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of an incident.
    pub incident: Option<IncidentNo>,
    /// At a stage: `waiting`, `taken`, `done`, `failed`, `withdrawn`.
    pub stage: Option<String>,
    /// What is to be done: `plan`, `run`, `undo`, `hunt`.
    pub errand: Option<String>,
}

/// Which runs are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// `hunt` or `audit`.
    pub verb: Option<String>,
    /// Which one.
    pub name: Option<String>,
    /// Over what.
    pub target: Option<String>,
}

impl Ledger {
    /// The plans of an incident, the latest first.
    pub async fn plans(&self, incident: IncidentNo, at: &At) -> Result<Page<PlanRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        let root = self.root_of(incident).await?;
        question.int("p.incident = {}", root);
        if let Some(numbers) = at.numbers::<1>("p")? {
            question.after("p.id", "<", &numbers);
        }
        let select = format!("{} FROM plan p", PlanRow::TABLE.columns_of("p"));
        let rows = question.ask(self, &select, "p.id DESC", limit).await?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, "p", |row: &PlanRow| vec![row.id]))
    }

    /// Plans that nobody has asked to carry out, of incidents that are not closed, the latest first.
    pub async fn proposed_plans(&self, at: &At) -> Result<Page<PlanRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        question.text("p.state = {}", "proposed");
        question
            .conditions
            .push("i.state NOT IN ('closed', 'merged')".to_owned());
        if let Some(numbers) = at.numbers::<1>("w")? {
            question.after("p.id", "<", &numbers);
        }
        let select = format!(
            "{} FROM plan p JOIN incident i ON i.id = p.incident",
            PlanRow::TABLE.columns_of("p")
        );
        let rows = question.ask(self, &select, "p.id DESC", limit).await?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, "w", |row: &PlanRow| vec![row.id]))
    }

    /// A plan by its id.
    pub async fn plan(&self, plan: &str) -> Result<Option<PlanView>, LedgerError> {
        let mut question = Question::new();
        question.raw("p.reference = {}", &named(&[plan]));
        let select = format!("{} FROM plan p", PlanRow::TABLE.columns_of("p"));
        let rows = question.ask(self, &select, "p.id", 1).await?;
        let Some(row) = rows.first().map(parse::<PlanRow>).transpose()? else {
            return Ok(None);
        };
        let plan = match self.says(row.latest).await? {
            Some(Record::Plan(plan)) => Some(plan),
            _ => None,
        };
        Ok(Some(PlanView { row, plan }))
    }

    /// Jobs, the latest first.
    pub async fn jobs(&self, filter: &JobFilter, at: &At) -> Result<Page<JobRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        if let Some(incident) = filter.incident {
            let root = self.root_of(incident).await?;
            question.int("j.incident = {}", root);
        }
        if let Some(stage) = &filter.stage {
            question.text("j.stage = {}", stage);
        }
        if let Some(errand) = &filter.errand {
            question.text("j.errand = {}", errand);
        }
        if let Some(numbers) = at.numbers::<1>("j")? {
            question.after("j.id", "<", &numbers);
        }
        let select = format!("{} FROM job j", JobRow::TABLE.columns_of("j"));
        let rows = question.ask(self, &select, "j.id DESC", limit).await?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, "j", |row: &JobRow| vec![row.id]))
    }

    /// A job by its id.
    pub async fn job(&self, job: &str) -> Result<Option<JobView>, LedgerError> {
        let mut question = Question::new();
        question.raw("j.reference = {}", &named(&[job]));
        let select = format!("{} FROM job j", JobRow::TABLE.columns_of("j"));
        let rows = question.ask(self, &select, "j.id", 1).await?;
        let Some(row) = rows.first().map(parse::<JobRow>).transpose()? else {
            return Ok(None);
        };
        let job = match self.says(row.id).await? {
            Some(Record::Job(job)) => Some(job),
            _ => None,
        };
        Ok(Some(JobView { row, job }))
    }

    /// Gives a worker the oldest job that it can do and nobody is at, and notes that it has it until
    /// `now + lease`. A worker is of one cluster; jobs of no cluster are everybody's.
    pub async fn take_job(
        &self,
        worker: &str,
        cluster: &str,
        errands: &[String],
        lease: SignedDuration,
        now: Timestamp,
    ) -> Result<Option<JobView>, LedgerError> {
        let mut question = Question::new();
        let texts = self.dialect.texts(1);
        question.raw(
            &format!("j.errand IN {}", texts.replace("$1", "{}")),
            &json(errands),
        );
        question.text("j.cluster IN ('', {})", cluster);
        question.int(
            "(j.stage = 'waiting' OR j.stage = 'taken' AND j.until <= {})",
            now.as_microsecond(),
        );
        let select = format!("{} FROM job j", JobRow::TABLE.columns_of("j"));
        let rows = question
            .ask(self, &select, "j.id", LOOKED_AT as usize)
            .await?;
        for row in &rows {
            let row: JobRow = parse(row)?;
            let step = JobStep {
                job: row.job.clone(),
                stage: JobStage::Taken { until: now + lease },
                detail: String::new(),
                by: worker.to_owned(),
            };
            match self.record(Record::JobStep(step), now).await {
                Ok(_) => return self.job(&row.job).await,
                // Another was faster.
                Err(LedgerError::Job { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Runs of hunts and audits, the latest first.
    pub async fn runs(&self, filter: &RunFilter, at: &At) -> Result<Page<RunRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        for (condition, value) in [
            ("r.verb = {}", &filter.verb),
            ("r.name = {}", &filter.name),
            ("r.target = {}", &filter.target),
        ] {
            if let Some(value) = value {
                question.text(condition, value);
            }
        }
        if let Some(numbers) = at.numbers::<1>("r")? {
            question.after("r.id", "<", &numbers);
        }
        let select = format!("{} FROM run r", RunRow::TABLE.columns_of("r"));
        let rows = question.ask(self, &select, "r.id DESC", limit).await?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, "r", |row: &RunRow| vec![row.id]))
    }

    /// The last run of each hunt, or of each audit and target, by name: at most [`super::PAGE_ROWS`].
    pub async fn last_runs(&self, verb: &str) -> Result<Vec<RunRow>, LedgerError> {
        let sql = format!(
            "SELECT {} FROM run r WHERE r.id IN (
                SELECT max(id) FROM run WHERE verb = $1 GROUP BY name, target)
             ORDER BY r.name, r.target LIMIT {}",
            RunRow::TABLE.columns_of("r"),
            super::PAGE_ROWS
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(verb.to_owned())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(parse).collect()
    }

    /// An audit by its entry.
    pub async fn audit(&self, id: i64) -> Result<Option<AuditView>, LedgerError> {
        let mut question = Question::new();
        question.int("r.id = {}", id);
        question.text("r.verb = {}", "audit");
        let select = format!("{} FROM run r", RunRow::TABLE.columns_of("r"));
        let rows = question.ask(self, &select, "r.id", 1).await?;
        let Some(row) = rows.first().map(parse::<RunRow>).transpose()? else {
            return Ok(None);
        };
        let audit = match self.says(id).await? {
            Some(Record::Audit(audit)) => Some(*audit),
            _ => None,
        };
        Ok(Some(AuditView { row, audit }))
    }

    /// What is lived with, what ends first first; those whose time is over come last where `ended`.
    pub async fn risks(
        &self,
        now: Timestamp,
        ended: bool,
        at: &At,
    ) -> Result<Page<RiskRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        let (condition, sign, order) = match ended {
            false => ("k.until > {}", ">", "k.until, k.latest"),
            true => ("k.until <= {}", "<", "k.until DESC, k.latest DESC"),
        };
        question.int(condition, now.as_microsecond());
        if let Some(numbers) = at.numbers::<2>("x")? {
            question.after("k.until, k.latest", sign, &numbers);
        }
        let select = format!("{} FROM risk k", RiskRow::TABLE.columns_of("k"));
        let rows = question.ask(self, &select, order, limit).await?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, "x", |row: &RiskRow| {
            vec![row.until, row.latest]
        }))
    }

    /// What of these subjects is lived with, ended or not.
    pub async fn risks_of(&self, subjects: &[String]) -> Result<Vec<RiskRow>, LedgerError> {
        let names: Vec<String> = subjects.iter().map(|subject| named(&[subject])).collect();
        let sql = format!(
            "SELECT {} FROM risk k WHERE k.reference IN {}",
            RiskRow::TABLE.columns_of("k"),
            self.dialect.texts(1)
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(json(&names))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(parse).collect()
    }

    /// The same by the subjects that were asked for, as they were: rows hold them as they are shown.
    pub async fn risks_by_subject(
        &self,
        subjects: Vec<String>,
    ) -> Result<HashMap<String, RiskRow>, LedgerError> {
        if subjects.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = self.risks_of(&subjects).await?;
        let mut names: HashMap<String, String> = subjects
            .into_iter()
            .map(|subject| (named(&[&subject]), subject))
            .collect();
        let of = rows
            .into_iter()
            .filter_map(|row| Some((names.remove(&row.reference)?, row)));
        Ok(of.collect())
    }

    /// Versions of blocklists, the one last told of first.
    pub async fn blocklists(&self, at: &At) -> Result<Page<ListRow>, LedgerError> {
        let limit = at.limit();
        let mut question = Question::new();
        if let Some(numbers) = at.numbers::<1>("b")? {
            question.after("b.latest", "<", &numbers);
        }
        let select = format!("{} FROM blocklist b", ListRow::TABLE.columns_of("b"));
        let rows = question.ask(self, &select, "b.latest DESC", limit).await?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(paged(rows, limit, "b", |row: &ListRow| vec![row.latest]))
    }

    /// The incident to which one of these findings belongs, that `cluster` reported, by the ids that their
    /// sources gave them.
    pub async fn incident_of(
        &self,
        cluster: &str,
        findings: &[String],
    ) -> Result<Option<IncidentNo>, LedgerError> {
        let names: Vec<String> = findings
            .iter()
            .flat_map(|id| crate::keys::references(cluster, id))
            .collect();
        let sql = format!(
            "SELECT min(incident) FROM finding WHERE reference IN {}",
            self.dialect.texts(1)
        );
        let found: Option<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(json(&names))
            .fetch_one(&self.pool)
            .await?;
        Ok(found.map(IncidentNo))
    }

    /// What an entry says; `None` where it is not there or its body was removed.
    async fn says(&self, seq: i64) -> Result<Option<Record>, LedgerError> {
        let Some(body) = self.entry(seq).await?.and_then(|entry| entry.body) else {
            return Ok(None);
        };
        serde_json::from_str(&body)
            .map(Some)
            .map_err(|error| LedgerError::Entry {
                seq,
                why: error.to_string(),
            })
    }
}
