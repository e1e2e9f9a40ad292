//! Questions to Amazon Athena: asked, waited for, and their rows read.
//!
//! What must stay true: a question is asked once however often the call is repeated; what it scanned,
//! and so cost, is counted also where it failed; one that nobody waits for any more can be stopped.
//!
//! Sources: <https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html>,
//! <https://docs.aws.amazon.com/athena/latest/ug/workgroups-setting-control-limits-cloudwatch.html>.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_athena::Client;
use aws_sdk_athena::types::{
    QueryExecution, QueryExecutionContext, QueryExecutionState, ResultConfiguration, ResultSet,
};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::read::{self, ReadConfig};
use super::session::describe;

/// How long is waited before it is asked again whether a question has its answer.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Athena ends a question by itself after thirty minutes (Service Quotas, "DML query timeout").
const PATIENCE: Duration = Duration::from_secs(35 * 60);

/// How a question is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AthenaOptions {
    /// The database that names without one are of.
    pub database: String,
    /// The workgroup.
    pub workgroup: String,
    /// Where results are written, as `s3://BUCKET/PREFIX`; the workgroup's place if nothing is said.
    pub results: Option<String>,
}

/// Asks questions. One is enough for a program.
#[derive(Debug)]
pub struct Athena {
    client: Client,
    options: AthenaOptions,
    pauses: &'static [Duration],
    running: Mutex<BTreeSet<String>>,
    asked: AtomicU64,
    scanned: AtomicU64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AthenaRows {
    /// The columns: a name, and the type as Athena calls it.
    pub columns: Vec<(String, String)>,
    /// The rows: a text for each column, nothing for NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// What questions have cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AthenaSpent {
    /// Questions.
    pub asked: u64,
    /// Bytes they scanned, as they are paid for.
    pub scanned_bytes: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AthenaError {
    /// A call failed.
    #[error("athena:{call}: {why}")]
    Call {
        /// The call.
        call: &'static str,
        /// What AWS said.
        why: String,
    },
    /// The question failed.
    #[error("the question {id} failed: {why}")]
    Failed {
        /// Its id.
        id: String,
        /// What Athena said.
        why: String,
    },
    /// Somebody, or the workgroup's limit, ended it.
    #[error("the question {id} was ended: {why}")]
    Ended {
        /// Its id.
        id: String,
        /// What Athena said.
        why: String,
    },
    /// It has no answer yet.
    #[error("the question {id} has no answer after {minutes} minutes")]
    Late {
        /// Its id.
        id: String,
        /// How long was waited.
        minutes: u64,
    },
}

impl Athena {
    /// Asks with these clients.
    pub fn new(reading: &ReadConfig, options: AthenaOptions) -> Self {
        Self {
            client: reading.athena(),
            options,
            pauses: &PAUSES,
            running: Mutex::default(),
            asked: AtomicU64::new(0),
            scanned: AtomicU64::new(0),
        }
    }

    /// What has been spent so far.
    pub fn spent(&self) -> AthenaSpent {
        AthenaSpent {
            asked: self.asked.load(Ordering::Relaxed),
            scanned_bytes: self.scanned.load(Ordering::Relaxed),
        }
    }

    /// The bytes after which the workgroup ends a question, where it has such a limit.
    ///
    /// # Errors
    /// When there is no such workgroup, or it cannot be read.
    pub async fn limit(&self) -> Result<Option<u64>, AthenaError> {
        let group = self
            .client
            .get_work_group()
            .work_group(&self.options.workgroup)
            .send()
            .await
            .map_err(|error| failed("GetWorkGroup", &error))?;
        let Some(group) = group.work_group() else {
            return Err(AthenaError::Call {
                call: "GetWorkGroup",
                why: format!("there is no workgroup {}", self.options.workgroup),
            });
        };
        let configuration = group.configuration();
        let bytes = configuration.and_then(|it| it.bytes_scanned_cutoff_per_query());
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()))
    }

    /// Asks a question, and waits for its rows.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn ask(&self, sql: &str) -> Result<AthenaRows, AthenaError> {
        let id = self.start(sql).await?;
        self.running().insert(id.clone());
        let came = self.wait(&id).await;
        if !matches!(came, Err(AthenaError::Late { .. })) {
            self.running().remove(&id);
        }
        came?;
        self.rows(&id).await
    }

    /// Ends every question that has no answer yet: nobody waits for it.
    pub async fn stop(&self) {
        let ids: Vec<String> = self.running().iter().cloned().collect();
        for id in ids {
            let stopped = self.client.stop_query_execution().query_execution_id(&id);
            if let Err(error) = stopped.send().await {
                tracing::warn!(query = %id, "not stopped: {}", describe(&error));
            }
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The SDK gives each call a token of its own, and keeps it when it repeats the call.
    async fn start(&self, sql: &str) -> Result<String, AthenaError> {
        let context = QueryExecutionContext::builder()
            .database(&self.options.database)
            .build();
        let results = self.options.results.as_ref().map(|place| {
            ResultConfiguration::builder()
                .output_location(place)
                .build()
        });
        let started = self
            .client
            .start_query_execution()
            .query_string(sql)
            .query_execution_context(context)
            .work_group(&self.options.workgroup)
            .set_result_configuration(results)
            .send()
            .await
            .map_err(|error| failed("StartQueryExecution", &error))?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        started.query_execution_id.ok_or_else(|| AthenaError::Call {
            call: "StartQueryExecution",
            why: "it gave no id".to_owned(),
        })
    }

    async fn wait(&self, id: &str) -> Result<(), AthenaError> {
        let mut waited = Duration::ZERO;
        for at in 0_usize.. {
            let execution = self
                .client
                .get_query_execution()
                .query_execution_id(id)
                .send()
                .await
                .map_err(|error| failed("GetQueryExecution", &error))?
                .query_execution;
            let execution = execution.ok_or_else(|| AthenaError::Call {
                call: "GetQueryExecution",
                why: "it says nothing of the question".to_owned(),
            })?;
            if let Some(came) = self.end(id, &execution) {
                return came;
            }
            if waited >= PATIENCE {
                break;
            }
            let pause = self.pauses[at.min(self.pauses.len() - 1)];
            tokio::time::sleep(pause).await;
            waited += pause;
        }
        Err(AthenaError::Late {
            id: id.to_owned(),
            minutes: PATIENCE.as_secs() / 60,
        })
    }

    /// How a question ended, and what it cost; nothing while it goes on.
    fn end(&self, id: &str, execution: &QueryExecution) -> Option<Result<(), AthenaError>> {
        let status = execution.status();
        let state = status.and_then(|status| status.state());
        let why = || {
            let why = status.and_then(|status| status.state_change_reason());
            why.unwrap_or("Athena does not say why").to_owned()
        };
        let id = id.to_owned();
        let came = match state {
            Some(QueryExecutionState::Succeeded) => Ok(()),
            Some(QueryExecutionState::Failed) => Err(AthenaError::Failed { id, why: why() }),
            Some(QueryExecutionState::Cancelled) => Err(AthenaError::Ended { id, why: why() }),
            _ => return None,
        };
        let scanned = execution
            .statistics()
            .and_then(|it| it.data_scanned_in_bytes());
        let scanned = scanned.and_then(|bytes| u64::try_from(bytes).ok());
        self.scanned
            .fetch_add(scanned.unwrap_or(0), Ordering::Relaxed);
        Some(came)
    }

    async fn rows(&self, id: &str) -> Result<AthenaRows, AthenaError> {
        let mut answer = AthenaRows::default();
        let mut pages = self
            .client
            .get_query_results()
            .query_execution_id(id)
            .into_paginator()
            .send();
        let mut is_first = true;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("GetQueryResults", &error))?;
            if let Some(set) = page.result_set() {
                answer.take(set, is_first);
                is_first = false;
            }
        }
        Ok(answer)
    }
}

impl AthenaRows {
    /// The first row of a SELECT's first page is the names of its columns
    /// (<https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html>).
    fn take(&mut self, set: &ResultSet, is_first: bool) {
        if is_first {
            let columns = set.result_set_metadata().map(|it| it.column_info());
            self.columns = columns
                .unwrap_or_default()
                .iter()
                .map(|column| (column.name().to_owned(), column.r#type().to_owned()))
                .collect();
        }
        let mut rows = set.rows().iter().map(|row| -> Vec<Option<String>> {
            let values = row.data().iter();
            values
                .map(|value| value.var_char_value().map(str::to_owned))
                .collect()
        });
        let is_head = |row: &Vec<Option<String>>| {
            let names = self.columns.iter().map(|(name, _)| Some(name.as_str()));
            row.iter().map(Option::as_deref).eq(names)
        };
        if is_first
            && let Some(row) = rows.next()
            && !is_head(&row)
        {
            self.rows.push(row);
        }
        self.rows.extend(rows);
    }
}

fn failed<E, R>(call: &'static str, error: &SdkError<E, R>) -> AthenaError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    AthenaError::Call {
        call,
        why: read::said(error),
    }
}
