//! Polling GuardDuty, where no event can reach us.
//!
//! The findings are taken as the text that the service sent, not as the client's types: so they go
//! through the same reader as every other form, and members that the client does not know yet are
//! not lost.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_guardduty::types::{Condition, DetectorStatus, FindingCriteria};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use davylamp_cloud::aws::read::ReadError;
use davylamp_cloud::aws::session::{SessionError, Sessions};
use davylamp_model::resource::Place;
use jiff::Timestamp;

/// The most findings that GuardDuty gives in one call.
const MOST_FINDINGS: usize = 50;

/// What one region's GuardDuty has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Polled {
    /// Answers to GetFindings, each at most 50 findings, for `intake::read`.
    pub answers: Vec<Vec<u8>>,
    /// How many findings they hold.
    pub findings: usize,
    /// How many detectors are at work: where there is none, GuardDuty is off, which is not the same
    /// as nothing found.
    pub detectors: usize,
    /// How many are suspended: they keep their findings and make no new ones.
    pub suspended: usize,
}

/// Why a region could not be polled.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// There is no session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// GuardDuty did not answer.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Asks for every finding that was updated since `since` and is not archived.
pub async fn poll(
    sessions: &Sessions,
    place: &Place,
    since: Timestamp,
) -> Result<Polled, PollError> {
    let client = sessions.reading(place).await?.guardduty();
    let mut polled = Polled::default();
    let mut detectors = client.list_detectors().into_paginator().items().send();
    while let Some(detector) = detectors.next().await {
        let detector =
            detector.map_err(|error| ReadError::of("guardduty:ListDetectors", &error))?;
        let state = client.get_detector().detector_id(&detector).send().await;
        let state = state.map_err(|error| ReadError::of("guardduty:GetDetector", &error))?;
        match state.status() {
            Some(DetectorStatus::Disabled) => polled.suspended += 1,
            _ => polled.detectors += 1,
        }
        let criteria = FindingCriteria::builder()
            .criterion(
                "updatedAt",
                Condition::builder()
                    .greater_than_or_equal(since.as_millisecond())
                    .build(),
            )
            .criterion(
                "service.archived",
                Condition::builder().equals("false").build(),
            )
            .build();
        let mut pages = client
            .list_findings()
            .detector_id(&detector)
            .finding_criteria(criteria)
            .into_paginator()
            .items()
            .send();
        let mut ids = Vec::new();
        while let Some(id) = pages.next().await {
            ids.push(id.map_err(|error| ReadError::of("guardduty:ListFindings", &error))?);
        }
        polled.findings += ids.len();
        for chunk in ids.chunks(MOST_FINDINGS) {
            let answer = Answer::default();
            client
                .get_findings()
                .detector_id(&detector)
                .set_finding_ids(Some(chunk.to_vec()))
                .customize()
                .interceptor(answer.clone())
                .send()
                .await
                .map_err(|error| ReadError::of("guardduty:GetFindings", &error))?;
            polled.answers.push(answer.take());
        }
    }
    Ok(polled)
}

/// Keeps the text of the last answer.
#[derive(Debug, Clone, Default)]
struct Answer(Arc<Mutex<Vec<u8>>>);

impl Answer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for Answer {
    fn name(&self) -> &'static str {
        "keep the answer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body.to_vec();
        Ok(())
    }
}
