//! From a playbook's steps to exact actions.
//!
//! One file for each stage. A step that yields no action yields an omission that says why; what is
//! protected is taken out later, in one place ([`crate::brakes`]).

use davylamp_content::playbook::{Playbook, StepKind, StepSpec};
use davylamp_model::inventory::Instance;

use crate::action::Action;
use crate::brakes::Shields;
use crate::plan::{Case, Omission, Stage, StepId};
use crate::policy::Policy;
use crate::scope::Scope;
use crate::who::Who;

mod doors;
mod end;
mod evidence;
mod identity;
mod network;
mod person;
mod protect;
mod refill;

pub(crate) use evidence::Evidence;

/// All that the steps are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub case: &'a Case,
    pub scope: &'a Scope<'a>,
    pub policy: &'a Policy,
    pub playbook: &'a Playbook,
    pub who: &'a Who,
    pub shields: &'a Shields<'a>,
    pub evidence: &'a Evidence,
}

impl Ground<'_> {
    /// Whether the playbook has a step of this kind.
    pub(crate) fn has(&self, kind: StepKind) -> bool {
        self.playbook.steps.iter().any(|spec| spec.kind == kind)
    }
}

/// An action that is proposed, before the brakes.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub stage: Stage,
    pub action: Action,
    pub why: String,
    pub only_after: Vec<StepId>,
    /// Why a person has to be asked whatever the playbook says.
    pub ask: Option<String>,
    /// The irreversible action it is, or is the first half of: it needs whatever that needs.
    pub irreversible: Option<&'static str>,
}

/// What a step of a playbook comes to.
#[derive(Debug, Default)]
pub(crate) struct Expansion {
    pub drafts: Vec<Draft>,
    pub omissions: Vec<Omission>,
    what: &'static str,
    stage: Option<Stage>,
}

impl Expansion {
    fn act(&mut self, action: Action, why: impl Into<String>) -> &mut Draft {
        let irreversible = (!action.is_reversible()).then(|| action.verb());
        self.drafts.push(Draft {
            stage: self.stage.unwrap_or(Stage::Report),
            action,
            why: why.into(),
            only_after: Vec::new(),
            ask: None,
            irreversible,
        });
        let last = self.drafts.len() - 1;
        &mut self.drafts[last]
    }

    fn omit(&mut self, target: impl Into<String>, because: impl Into<String>) {
        self.omissions.push(Omission {
            what: self.what.to_owned(),
            target: target.into(),
            because: because.into(),
        });
    }
}

/// Expands one step of a playbook.
pub(crate) fn expand(ground: &Ground<'_>, spec: &StepSpec) -> Expansion {
    let mut out = Expansion {
        what: name(spec.kind),
        stage: Some(stage(spec.kind)),
        ..Expansion::default()
    };
    let how = spec.how.as_deref();
    match spec.kind {
        StepKind::StopHubServers
        | StepKind::RevokeHubTokens
        | StepKind::BlockHubUser
        | StepKind::RemoveHubUser
        | StepKind::DeauthorisePortalUser
        | StepKind::DisableCognitoUser => person::expand(ground, spec.kind, &mut out),
        StepKind::ProtectInstance => protect::instance(ground, &mut out),
        StepKind::KeepVolumes => protect::volumes(ground, &mut out),
        StepKind::HoldScaling => protect::scaling(ground, how, &mut out),
        StepKind::CordonNode | StepKind::KeepNode | StepKind::LabelNode => {
            protect::node(ground, spec.kind, &mut out);
        }
        StepKind::SnapshotEvidence => evidence::snapshot(ground, &mut out),
        StepKind::CopyEvidence => evidence::copy(ground, &mut out),
        StepKind::CaptureMemory => evidence::memory(ground, &mut out),
        StepKind::IsolateInterfaces => network::interfaces(ground, &mut out),
        StepKind::IsolatePod => network::pods(ground, &mut out),
        StepKind::EndPod => end::pods(ground, how, &mut out),
        StepKind::TerminateInstance => end::terminate(ground, &mut out),
        StepKind::StopInstance => end::stop(ground, &mut out),
        StepKind::StopTask => end::tasks(ground, &mut out),
        StepKind::ThrottleFunction => end::functions(ground, &mut out),
        StepKind::StopRefill => refill::stop(ground, &mut out),
        StepKind::ReleaseTerminationProtection => refill::release(ground, &mut out),
        StepKind::DeactivateKeys
        | StepKind::DenyUser
        | StepKind::DeleteLoginProfile
        | StepKind::DenyRoleSessions => identity::expand(ground, spec.kind, &mut out),
        StepKind::ClosePublicInterfaces => doors::interfaces(ground, &mut out),
        StepKind::DisassociateAddresses => doors::addresses(ground, &mut out),
        StepKind::RevokeOpenRules => doors::rules(ground, how, &mut out),
        StepKind::BlockVpcPublicAccess => doors::vpc(ground, how, &mut out),
        StepKind::BlockBucketPublicAccess => doors::buckets(ground, &mut out),
        StepKind::CloseEksEndpoints => doors::clusters(ground, &mut out),
        StepKind::ArchiveFindings => archive(ground, &mut out),
    }
    if out.drafts.is_empty() && out.omissions.is_empty() {
        let target = ground.case.resource.key();
        out.omit(target, "nothing is known that this could be done to");
    }
    out
}

/// The name of a step's kind, as playbooks spell it.
pub(crate) fn name(kind: StepKind) -> &'static str {
    StepKind::ALL
        .iter()
        .find(|(held, _)| *held == kind)
        .map_or("step", |(_, name)| *name)
}

/// The stage a step belongs to, wherever a playbook lists it.
pub(crate) fn stage(kind: StepKind) -> Stage {
    match kind {
        StepKind::StopHubServers
        | StepKind::RevokeHubTokens
        | StepKind::BlockHubUser
        | StepKind::RemoveHubUser
        | StepKind::DeauthorisePortalUser
        | StepKind::DisableCognitoUser
        | StepKind::DeactivateKeys
        | StepKind::DenyUser
        | StepKind::DeleteLoginProfile
        | StepKind::DenyRoleSessions => Stage::Person,
        StepKind::ProtectInstance
        | StepKind::KeepVolumes
        | StepKind::HoldScaling
        | StepKind::CordonNode
        | StepKind::KeepNode
        | StepKind::LabelNode => Stage::Protect,
        StepKind::SnapshotEvidence | StepKind::CopyEvidence | StepKind::CaptureMemory => {
            Stage::Evidence
        }
        StepKind::IsolateInterfaces
        | StepKind::IsolatePod
        | StepKind::ClosePublicInterfaces
        | StepKind::DisassociateAddresses
        | StepKind::RevokeOpenRules
        | StepKind::BlockVpcPublicAccess
        | StepKind::BlockBucketPublicAccess
        | StepKind::CloseEksEndpoints => Stage::Network,
        StepKind::EndPod
        | StepKind::TerminateInstance
        | StepKind::StopInstance
        | StepKind::StopTask
        | StepKind::ThrottleFunction => Stage::End,
        StepKind::StopRefill | StepKind::ReleaseTerminationProtection => Stage::Refill,
        StepKind::ArchiveFindings => Stage::Report,
    }
}

/// Why nothing more can be done to an instance, where nothing can.
fn gone(instance: &Instance) -> Option<String> {
    matches!(instance.state.as_str(), "terminated" | "shutting-down")
        .then(|| format!("it is {}", instance.state))
}

/// Says of every instance that is gone that this is not done to it, and gives the others.
fn living<'g>(ground: &Ground<'g>, out: &mut Expansion) -> Vec<&'g Instance> {
    let mut living = Vec::new();
    for instance in ground.scope.instances.values() {
        match gone(instance) {
            Some(why) => out.omit(format!("instance/{}", instance.id), why),
            None => living.push(*instance),
        }
    }
    if ground.scope.instances.is_empty() && ground.scope.fargate == Some(true) {
        let target = ground.case.resource.key();
        out.omit(target, "it runs on Fargate, on no instance of the account");
    }
    living
}

fn archive(ground: &Ground<'_>, out: &mut Expansion) {
    for finding in &ground.scope.findings {
        let target = format!("finding/{}", finding.id);
        match &finding.detector {
            _ if !ground.policy.archive => out.omit(target, "archiving is not configured"),
            Some(detector) => {
                let action = Action::ArchiveFinding {
                    detector: detector.clone(),
                    finding: finding.id.to_string(),
                };
                out.act(action, "the finding is dealt with");
            }
            None => out.omit(target, "it does not say which GuardDuty detector holds it"),
        }
    }
}
