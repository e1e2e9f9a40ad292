//! AWS: one actuator for each group of services, all of the same shape.
//!
//! What must stay true: a look (`check`, `verify`) only describes; an act looks again first, so
//! that it can be repeated after a crash or a lost reply; and `before` holds all that undo needs,
//! so that undo asks nobody what it was.

pub mod failure;

mod addresses;
mod copies;
mod custody;
mod evidence;
mod instance;
mod isolation;
mod lockdown;
mod network;
mod presigned;
mod rules;
mod scaling;
mod services;
mod snapshots;
mod together;
mod volumes;

pub use services::ServicesActuator;

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_ec2::types::{Instance, NetworkInterface, SecurityGroupRule, Volume};
use davylamp_cloud::aws::session::Sessions;
use davylamp_model::ids::{GroupId, InstanceId, InterfaceId, VolumeId, VpcId};
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_plan::gate::{ActToken, UndoToken};
use davylamp_plan::plan::Plan;
use serde::de::DeserializeOwned;
use serde_json::Value;

use evidence::Evidence;
use isolation::Ours;
use together::Together;

use crate::actuator::{ActError, Acting, Actuator, Checked, Reverted, Verified};

/// Carries out what is done with EC2, EBS and Auto Scaling, and what closes an account's public
/// doors (VPC and S3 public access, EKS endpoints).
#[derive(Debug, Clone)]
pub struct Ec2Actuator {
    sessions: Arc<Sessions>,
    debounce_minutes: u32,
    readied: isolation::Readied,
    reads: Reads,
}

/// The reads that many steps make at the same time, each of them together.
#[derive(Debug, Clone, Default)]
struct Reads {
    instances: Together<InstanceId, Instance>,
    interfaces: Together<InterfaceId, NetworkInterface>,
    volumes: Together<VolumeId, Volume>,
    evidence: Together<VolumeId, Vec<Evidence>>,
    isolation: Together<VpcId, Ours>,
    rules: Together<GroupId, Vec<SecurityGroupRule>>,
}

impl Ec2Actuator {
    /// An actuator. A volume whose evidence is pending, or completed within `debounce_minutes`, is
    /// not snapshotted again.
    pub fn new(sessions: Arc<Sessions>, debounce_minutes: u32) -> Self {
        Self {
            sessions,
            debounce_minutes,
            readied: isolation::Readied::default(),
            reads: Reads::default(),
        }
    }

    async fn at<'a>(&'a self, place: &'a Place) -> Result<At<'a>, ActError> {
        let config = self
            .sessions
            .writing(place)
            .await
            .map_err(|error| failure::of_session(&error))?;
        Ok(At {
            sessions: &self.sessions,
            place,
            debounce_minutes: self.debounce_minutes,
            readied: &self.readied,
            reads: &self.reads,
            config,
        })
    }
}

/// Where a call goes and as whom.
struct At<'a> {
    sessions: &'a Sessions,
    place: &'a Place,
    debounce_minutes: u32,
    readied: &'a isolation::Readied,
    reads: &'a Reads,
    config: SdkConfig,
}

impl At<'_> {
    fn ec2(&self) -> aws_sdk_ec2::Client {
        aws_sdk_ec2::Client::new(&self.config)
    }

    fn scaling(&self) -> aws_sdk_autoscaling::Client {
        aws_sdk_autoscaling::Client::new(&self.config)
    }
}

/// The module that carries an action out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Instance,
    Volumes,
    Scaling,
    Snapshots,
    Evidence,
    Copies,
    Network,
    Addresses,
    Rules,
    Lockdown,
}

fn part(action: &Action) -> Option<Part> {
    Some(match action {
        Action::ProtectInstance { .. }
        | Action::UnprotectInstance { .. }
        | Action::StopInstance { .. }
        | Action::TerminateInstance { .. } => Part::Instance,
        Action::KeepVolumes { .. } => Part::Volumes,
        Action::ProtectFromScaleIn { .. }
        | Action::DetachFromGroup { .. }
        | Action::SuspendGroup { .. } => Part::Scaling,
        Action::SnapshotInstance { .. } | Action::SnapshotVolume { .. } => Part::Snapshots,
        Action::AwaitEvidence { .. } => Part::Evidence,
        Action::CopyEvidence { .. } => Part::Copies,
        Action::IsolateInterface { .. } => Part::Network,
        Action::DisassociateAddress { .. } => Part::Addresses,
        Action::RevokeRule { .. } => Part::Rules,
        Action::BlockVpcPublicAccess { .. }
        | Action::BlockBucketPublicAccess { .. }
        | Action::CloseEksEndpoint { .. } => Part::Lockdown,
        _ => return None,
    })
}

impl Actuator for Ec2Actuator {
    fn takes(&self, action: &Action) -> bool {
        part(action).is_some()
    }

    fn check<'a>(&'a self, place: &'a Place, action: &'a Action) -> Acting<'a, Checked> {
        Box::pin(async move {
            let at = &self.at(place).await?;
            match part(action).ok_or_else(|| not_ours(action))? {
                Part::Instance => instance::check(at, action).await,
                Part::Volumes => volumes::check(at, action).await,
                Part::Scaling => scaling::check(at, action).await,
                Part::Snapshots => snapshots::check(at, action).await,
                Part::Evidence => evidence::check(at, action).await,
                Part::Copies => copies::check(at, action).await,
                Part::Network => network::check(at, action).await,
                Part::Addresses => addresses::check(at, action).await,
                Part::Rules => rules::check(at, action).await,
                Part::Lockdown => lockdown::check(at, action).await,
            }
        })
    }

    fn act<'a>(&'a self, token: ActToken<'a>, before: &'a Value) -> Acting<'a, ()> {
        Box::pin(async move {
            let (plan, action): (&Plan, &Action) = (token.plan(), &token.step().action);
            let at = &self.at(&plan.place).await?;
            match part(action).ok_or_else(|| not_ours(action))? {
                Part::Instance => instance::act(at, plan, action).await,
                Part::Volumes => volumes::act(at, action, before).await,
                Part::Scaling => scaling::act(at, action).await,
                Part::Snapshots => snapshots::act(at, plan, action, before).await,
                // Waiting changes nothing.
                Part::Evidence => Ok(()),
                Part::Copies => copies::act(at, plan, action).await,
                Part::Network => network::act(at, action, before).await,
                Part::Addresses => addresses::act(at, action).await,
                Part::Rules => rules::act(at, action).await,
                Part::Lockdown => lockdown::act(at, action).await,
            }
        })
    }

    fn verify<'a>(
        &'a self,
        place: &'a Place,
        action: &'a Action,
        before: &'a Value,
    ) -> Acting<'a, Verified> {
        Box::pin(async move {
            let at = &self.at(place).await?;
            match part(action).ok_or_else(|| not_ours(action))? {
                Part::Instance => instance::verify(at, action).await,
                Part::Volumes => volumes::verify(at, action).await,
                Part::Scaling => scaling::verify(at, action).await,
                Part::Snapshots => snapshots::verify(at, action, before).await,
                Part::Evidence => evidence::verify(at, action).await,
                Part::Copies => copies::verify(at, action).await,
                Part::Network => network::verify(at, action).await,
                Part::Addresses => addresses::verify(at, action).await,
                Part::Rules => rules::verify(at, action).await,
                Part::Lockdown => lockdown::verify(at, action).await,
            }
        })
    }

    fn undo<'a>(&'a self, token: UndoToken<'a>, before: &'a Value) -> Acting<'a, Reverted> {
        Box::pin(async move {
            let action = &token.step().action;
            let at = &self.at(&token.plan().place).await?;
            match part(action).ok_or_else(|| not_ours(action))? {
                Part::Instance => instance::undo(at, action, before).await,
                Part::Volumes => volumes::undo(at, action, before).await,
                Part::Scaling => scaling::undo(at, action, before).await,
                // Evidence is never deleted by this program.
                Part::Snapshots | Part::Evidence | Part::Copies => Ok(Reverted::Back),
                Part::Network => network::undo(at, action, before).await,
                Part::Addresses => addresses::undo(at, action, before).await.map(back),
                Part::Rules => rules::undo(at, action, before).await.map(back),
                Part::Lockdown => lockdown::undo(at, action, before).await.map(back),
            }
        })
    }
}

fn not_ours(action: &Action) -> ActError {
    ActError::NotConfigured {
        what: format!("{} {}", action.verb(), action.target()),
    }
}

/// Reads what `check` wrote down.
fn recorded<T: DeserializeOwned>(action: &Action, before: &Value) -> Result<T, ActError> {
    serde_json::from_value(before.clone()).map_err(|error| {
        failure::refused(
            action.verb(),
            format!("the record of what was there cannot be read: {error}"),
        )
    })
}

fn needed(before: Value) -> Result<Checked, ActError> {
    Ok(Checked::Needed { before })
}

fn already(note: impl Into<String>) -> Result<Checked, ActError> {
    Ok(Checked::Already { note: note.into() })
}

fn impossible(why: impl Into<String>) -> Result<Checked, ActError> {
    Ok(Checked::Impossible { why: why.into() })
}

fn done(note: impl Into<String>) -> Result<Verified, ActError> {
    Ok(Verified::Done { note: note.into() })
}

fn back(_: ()) -> Reverted {
    Reverted::Back
}

fn gone(why: impl Into<String>) -> Result<Reverted, ActError> {
    Ok(Reverted::Gone { why: why.into() })
}

fn pending(what: impl Into<String>) -> Result<Verified, ActError> {
    Ok(Verified::Pending { what: what.into() })
}

fn failed(why: impl Into<String>) -> Result<Verified, ActError> {
    Ok(Verified::Failed { why: why.into() })
}
