//! IAM, ECS, Lambda, SSM, Cognito and GuardDuty.
//!
//! What must stay true beside what holds for all of AWS: a user or role that AWS owns, or that
//! carries the tag of what is protected, is left alone, looked at anew before each change; and
//! undo takes back only what is still as we left it.

use std::sync::Arc;

use aws_config::SdkConfig;
use davylamp_cloud::aws::session::Sessions;
use davylamp_model::ids::{AccountId, Region};
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_plan::gate::{ActToken, UndoToken};
use serde_json::Value;

use super::{already, done, failed, failure, impossible, needed, not_ours, pending, recorded};
use crate::actuator::{ActError, Acting, Actuator, Checked, Reverted, Verified};

mod cognito;
mod ecs;
mod guardduty;
mod iam;
mod lambda;
mod roles;
mod ssm;

/// Carries out what is done in IAM, ECS, Lambda, SSM, Cognito and GuardDuty.
#[derive(Debug, Clone)]
pub struct ServicesActuator {
    sessions: Arc<Sessions>,
    pool_account: Option<AccountId>,
}

/// The module that carries an action out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Iam,
    Roles,
    Ecs,
    Lambda,
    Ssm,
    Cognito,
    GuardDuty,
}

fn part(action: &Action) -> Option<Part> {
    Some(match action {
        Action::DeactivateKey { .. }
        | Action::DenyUser { .. }
        | Action::DeleteLoginProfile { .. } => Part::Iam,
        Action::DenyRoleSessions { .. } => Part::Roles,
        Action::StopTask { .. } | Action::ScaleServiceToZero { .. } => Part::Ecs,
        Action::ThrottleFunction { .. } => Part::Lambda,
        Action::CaptureMemory { .. } => Part::Ssm,
        Action::DisableCognitoUser { .. } | Action::SignOutCognitoUser { .. } => Part::Cognito,
        Action::ArchiveFinding { .. } => Part::GuardDuty,
        _ => return None,
    })
}

impl ServicesActuator {
    /// An actuator. Cognito's pool is in `pool_account`, or in the incident's where that is not
    /// given.
    pub fn new(sessions: Arc<Sessions>, pool_account: Option<AccountId>) -> Self {
        Self {
            sessions,
            pool_account,
        }
    }

    async fn config(&self, place: &Place, action: &Action) -> Result<SdkConfig, ActError> {
        let place = self.place_of(place, action);
        self.sessions
            .writing(&place)
            .await
            .map_err(|error| failure::of_session(&error))
    }

    /// A pool's id begins with its region.
    fn place_of(&self, place: &Place, action: &Action) -> Place {
        let (Action::DisableCognitoUser { pool, .. } | Action::SignOutCognitoUser { pool, .. }) =
            action
        else {
            return place.clone();
        };
        Place {
            account: self
                .pool_account
                .clone()
                .unwrap_or_else(|| place.account.clone()),
            region: pool
                .split_once('_')
                .map_or_else(|| place.region.clone(), |(region, _)| Region::from(region)),
        }
    }
}

impl Actuator for ServicesActuator {
    fn takes(&self, action: &Action) -> bool {
        part(action).is_some()
    }

    fn check<'a>(&'a self, place: &'a Place, action: &'a Action) -> Acting<'a, Checked> {
        Box::pin(async move {
            let part = part(action).ok_or_else(|| not_ours(action))?;
            let config = self.config(place, action).await?;
            match part {
                Part::Iam => iam::check(&config, action).await,
                Part::Roles => roles::check(&config, action).await,
                Part::Ecs => ecs::check(&config, action).await,
                Part::Lambda => lambda::check(&config, action).await,
                Part::Ssm => ssm::check(&config, action).await,
                Part::Cognito => cognito::check(&config, action).await,
                Part::GuardDuty => guardduty::check(&config, action).await,
            }
        })
    }

    fn act<'a>(&'a self, token: ActToken<'a>, before: &'a Value) -> Acting<'a, ()> {
        Box::pin(async move {
            let action = &token.step().action;
            let incident = &token.plan().incident;
            let part = part(action).ok_or_else(|| not_ours(action))?;
            let config = self.config(&token.plan().place, action).await?;
            match part {
                Part::Iam => iam::act(&config, action).await,
                Part::Roles => roles::act(&config, action).await,
                Part::Ecs => ecs::act(&config, action, incident).await,
                Part::Lambda => lambda::act(&config, action).await,
                Part::Ssm => ssm::act(&config, action, incident, before).await,
                Part::Cognito => cognito::act(&config, action).await,
                Part::GuardDuty => guardduty::act(&config, action).await,
            }
        })
    }

    /// Cognito does not show sessions, so a sign-out without an answer is repeated.
    fn shows(&self, action: &Action) -> bool {
        !matches!(action, Action::SignOutCognitoUser { .. })
    }

    fn verify<'a>(
        &'a self,
        place: &'a Place,
        action: &'a Action,
        before: &'a Value,
    ) -> Acting<'a, Verified> {
        Box::pin(async move {
            let part = part(action).ok_or_else(|| not_ours(action))?;
            let config = self.config(place, action).await?;
            match part {
                Part::Iam => iam::verify(&config, action).await,
                Part::Roles => roles::verify(&config, action).await,
                Part::Ecs => ecs::verify(&config, action).await,
                Part::Lambda => lambda::verify(&config, action).await,
                Part::Ssm => ssm::verify(&config, action, before).await,
                Part::Cognito => cognito::verify(&config, action).await,
                Part::GuardDuty => guardduty::verify(&config, action).await,
            }
        })
    }

    fn undo<'a>(&'a self, token: UndoToken<'a>, before: &'a Value) -> Acting<'a, Reverted> {
        Box::pin(async move {
            let action = &token.step().action;
            let part = part(action).ok_or_else(|| not_ours(action))?;
            let config = self.config(&token.plan().place, action).await?;
            let taken = match part {
                Part::Iam => iam::undo(&config, action, before).await,
                Part::Roles => roles::undo(&config, action).await,
                Part::Ecs => ecs::undo(&config, action, before).await,
                Part::Lambda => lambda::undo(&config, action, before).await,
                // A capture took nothing away.
                Part::Ssm => Ok(()),
                Part::Cognito => cognito::undo(&config, action).await,
                Part::GuardDuty => guardduty::undo(&config, action).await,
            };
            taken.map(|()| Reverted::Back)
        })
    }
}

/// There is no way back.
fn irreversible(action: &Action) -> ActError {
    failure::refused(action.verb(), "it cannot be taken back")
}

/// The tag that protects whatever carries it, whatever the policy adds to it.
const PROTECTED_TAG: &str = "davylamp:protected";
