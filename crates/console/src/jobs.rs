//! What people ask of workers, handed to them: `POST /api/v1/jobs/take` and `POST /api/v1/jobs/{job}`.
//!
//! The console holds no credentials of clouds and clusters. A worker (`davy work`) that holds them asks for
//! a job, has it for [`LEASE`] and says from time to time that it is still at it; one that dies loses it to
//! the next that asks. What comes of it is sent like everything else, as records.

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use davylamp_ledger::query::{At, FindingFilter, JobView};
use davylamp_ledger::record::{Errand, IncidentNo, JobStage, JobStep};
use davylamp_ledger::{LedgerError, Record};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::sender::{JOBS, Unanswered, refusal, sender};
use crate::site::Site;
use crate::store::Sender;

/// How long a worker has a job without a word.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// Of an incident so many findings at most are handed to who plans: they are about few resources.
const FINDINGS: u32 = 200;
/// A request of a worker is small.
const MAX_BYTES: usize = 64 << 10;

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/v1/jobs/take", post(take))
        .route("/api/v1/jobs/{job}", post(step))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
}

/// What a worker can do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Can {
    /// Errands by name: `plan`, `run`, `undo`, `hunt`.
    can: Vec<String>,
}

async fn take(State(site): State<Site>, request: Request) -> Result<Response, Response> {
    let (sender, can) = asked::<Can>(&site, request).await?;
    let now = site.now();
    let taken = site
        .ledger()
        .take_job(&sender.name, &sender.cluster, &can.can, LEASE, now)
        .await
        .map_err(trouble)?;
    let Some(view) = taken else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    site.live().wake();
    let given = given(&site, &view).await.map_err(trouble)?;
    Ok(Json(given).into_response())
}

/// Everything that a worker has to know for a job.
async fn given(site: &Site, view: &JobView) -> Result<Value, LedgerError> {
    let ledger = site.ledger();
    let errand = view.job.as_ref().map(|job| &job.errand);
    let plan = match errand {
        Some(Errand::Run { plan, .. } | Errand::Undo { plan }) => ledger.plan(plan).await?,
        _ => None,
    };
    let findings = match (errand, view.row.incident) {
        (Some(Errand::Plan | Errand::Run { .. }), Some(incident)) => {
            findings(site, IncidentNo(incident)).await?
        }
        _ => Vec::new(),
    };
    Ok(json!({
        "job": view.job,
        "incident": view.row.incident,
        "until": Timestamp::from_microsecond(view.row.until).ok(),
        "plan": plan.and_then(|view| view.plan).map(|plan| plan.text),
        "findings": findings,
    }))
}

/// An incident's findings as they came, the latest first.
async fn findings(site: &Site, incident: IncidentNo) -> Result<Vec<Value>, LedgerError> {
    let filter = FindingFilter {
        incident: Some(incident),
        ..FindingFilter::default()
    };
    let page = site
        .ledger()
        .findings_in_full(&filter, &At::first(FINDINGS))
        .await?;
    // One that opens nothing was spared or held: there is nothing to be done about it.
    let open = page.items.into_iter().filter(|view| view.row.opens == 1);
    let found = open.filter_map(|view| view.record).map(|record| {
        let line = record.line.as_deref().map(serde_json::from_str::<Value>);
        // What came without its line goes as what we made of it.
        match line {
            Some(Ok(line)) => line,
            _ => davylamp_model::ocsf::to_ocsf(&record.finding),
        }
    });
    Ok(found.collect())
}

/// How far a worker is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    stage: Stage,
    #[serde(default)]
    detail: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    Taken,
    Done,
    Failed,
}

async fn step(
    State(site): State<Site>,
    Path(job): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let (sender, said) = asked::<Said>(&site, request).await?;
    let now = site.now();
    let until = now + LEASE;
    let stage = match said.stage {
        Stage::Taken => JobStage::Taken { until },
        Stage::Done => JobStage::Done,
        Stage::Failed => JobStage::Failed,
    };
    let step = JobStep {
        job,
        stage,
        detail: said.detail,
        by: sender.name,
    };
    match site.ledger().record(Record::JobStep(step), now).await {
        Ok(_) => {
            site.live().wake();
            Ok(Json(json!({"until": until})).into_response())
        }
        Err(error @ LedgerError::Job { .. }) => Err(refusal(
            StatusCode::CONFLICT,
            "this job is not yours",
            json!(error.to_string()),
        )),
        Err(error) => Err(trouble(error)),
    }
}

/// Who asks, and what. Who may not ask is not listened to.
async fn asked<T: DeserializeOwned>(
    site: &Site,
    request: Request,
) -> Result<(Sender, T), Response> {
    let sender = sender(site, request.headers(), JOBS)
        .await
        .map_err(IntoResponse::into_response)?;
    let Json(asked) = Json::from_request(request, site).await.map_err(unread)?;
    Ok((sender, asked))
}

fn unread(rejection: axum::extract::rejection::JsonRejection) -> Response {
    let why = json!(rejection.body_text());
    refusal(rejection.status(), "the request cannot be read", why)
}

fn trouble(error: LedgerError) -> Response {
    Unanswered::trouble(&error).into_response()
}
