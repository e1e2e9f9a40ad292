//! Playbooks: what is done about a finding, as data.
//!
//! A playbook names the findings it is for, what must hold, the steps in the order they are
//! proposed, which of them need a person, and its caps. What a step does to which targets is
//! `plan`'s; doing it is `respond`'s.

use serde::{Deserialize, Serialize};

/// One playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Playbook {
    /// Its name, for the effect it has: `node-miner`.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// Why it does what it does, and in that order.
    pub reason: String,
    /// The ATT&CK techniques it answers, such as `T1496.001`.
    #[serde(default)]
    pub techniques: Vec<String>,
    /// Playbooks are tried from the lowest to the highest; the first whose trigger and conditions
    /// hold is used.
    pub order: u32,
    /// The findings it is for.
    pub trigger: Trigger,
    /// What must hold beside the trigger.
    #[serde(default)]
    pub conditions: Conditions,
    /// The steps, in order.
    pub steps: Vec<StepSpec>,
    /// The most it may do by itself.
    #[serde(default)]
    pub caps: Caps,
    /// When what was contained only for the investigation is released.
    #[serde(default)]
    pub release: Option<Release>,
}

/// The findings a playbook is for: all that is given must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Trigger {
    /// Behaviours as in `model::finding::Behaviour`; empty means any.
    pub behaviours: Vec<String>,
    /// Finding types, `*` standing for any text; empty means any.
    pub types: Vec<String>,
    /// Kinds of resources as in `model::resource::Resource`; empty means any.
    pub resources: Vec<String>,
    /// `low`, `medium`, `high` or `critical`; less severe findings do not match.
    pub at_least: Option<String>,
}

/// What must hold beside the trigger.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Conditions {
    /// How many users' volumes or pods are on the instance.
    pub users: Option<UsersOnNode>,
    /// Whether the instance must be (or must not be) a node of a cluster.
    pub in_cluster: Option<bool>,
    /// Whether the task must run (or must not run) on Fargate.
    pub fargate: Option<bool>,
    /// Tags the resource must have, as `key` or `key=value`, `*` standing for any text.
    pub tags: Vec<String>,
    /// Only used when it is named by the operator, never chosen by itself.
    pub only_when_named: bool,
}

/// How many users are on an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsersOnNode {
    /// Nobody's volume or pod.
    None,
    /// Exactly one user's.
    One,
    /// More than one user's.
    Several,
}

/// One step of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StepSpec {
    /// What to do.
    #[serde(rename = "do")]
    pub kind: StepKind,
    /// Whether a person has to say yes.
    #[serde(default)]
    pub approval: Approval,
    /// Of more than one way the step can be done, which: each step kind names its own.
    #[serde(default)]
    pub how: Option<String>,
}

/// What a step of a playbook does. `plan` turns each into actions on exact targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// The user's Hub servers are stopped.
    StopHubServers,
    /// The user's Hub tokens are revoked.
    RevokeHubTokens,
    /// The user is removed from the Hub.
    RemoveHubUser,
    /// The user is deauthorised at the portal.
    DeauthorisePortalUser,
    /// The user is disabled in the Cognito pool, and signed out.
    DisableCognitoUser,
    /// Nobody else terminates the instance.
    ProtectInstance,
    /// Volumes outlive their instance.
    KeepVolumes,
    /// The group keeps the instance: `how` is `protect` (from scale-in) or `detach`.
    HoldScaling,
    /// Nothing new is scheduled on the node.
    CordonNode,
    /// Karpenter and the cluster autoscaler leave the node.
    KeepNode,
    /// Every volume is snapshotted, and completion waited for.
    SnapshotEvidence,
    /// The evidence is copied to the forensic account.
    CopyEvidence,
    /// The instance's memory is captured.
    CaptureMemory,
    /// Every interface of the instance or task is cut off.
    IsolateInterfaces,
    /// The pod is cut off.
    IsolatePod,
    /// The pod ends: `how` is `delete` or `evict`.
    EndPod,
    /// The instance is terminated.
    TerminateInstance,
    /// The instance is stopped.
    StopInstance,
    /// The ECS task is stopped.
    StopTask,
    /// The function's reserved concurrency becomes zero.
    ThrottleFunction,
    /// Whatever would start another is kept from it: scaling group, controller, node pool, service.
    StopRefill,
    /// Termination protection that is not ours is removed.
    ReleaseTerminationProtection,
    /// The access keys are deactivated.
    DeactivateKeys,
    /// The IAM user is denied everything.
    DenyUser,
    /// The IAM user's console password is removed.
    DeleteLoginProfile,
    /// The role's sessions so far are denied everything.
    DenyRoleSessions,
    /// Interfaces with a public address are cut off.
    ClosePublicInterfaces,
    /// Elastic addresses are taken away.
    DisassociateAddresses,
    /// Security group rules open to the world are removed.
    RevokeOpenRules,
    /// VPC Block Public Access is turned on.
    BlockVpcPublicAccess,
    /// Public S3 access is blocked for the account.
    BlockBucketPublicAccess,
    /// Public endpoints of EKS clusters are closed.
    CloseEksEndpoints,
    /// The findings are archived at their source.
    ArchiveFindings,
}

impl StepKind {
    /// Every kind with its name in a playbook.
    pub const ALL: &[(Self, &str)] = &[
        (Self::StopHubServers, "stop-hub-servers"),
        (Self::RevokeHubTokens, "revoke-hub-tokens"),
        (Self::RemoveHubUser, "remove-hub-user"),
        (Self::DeauthorisePortalUser, "deauthorise-portal-user"),
        (Self::DisableCognitoUser, "disable-cognito-user"),
        (Self::ProtectInstance, "protect-instance"),
        (Self::KeepVolumes, "keep-volumes"),
        (Self::HoldScaling, "hold-scaling"),
        (Self::CordonNode, "cordon-node"),
        (Self::KeepNode, "keep-node"),
        (Self::SnapshotEvidence, "snapshot-evidence"),
        (Self::CopyEvidence, "copy-evidence"),
        (Self::CaptureMemory, "capture-memory"),
        (Self::IsolateInterfaces, "isolate-interfaces"),
        (Self::IsolatePod, "isolate-pod"),
        (Self::EndPod, "end-pod"),
        (Self::TerminateInstance, "terminate-instance"),
        (Self::StopInstance, "stop-instance"),
        (Self::StopTask, "stop-task"),
        (Self::ThrottleFunction, "throttle-function"),
        (Self::StopRefill, "stop-refill"),
        (Self::ReleaseTerminationProtection, "release-termination-protection"),
        (Self::DeactivateKeys, "deactivate-keys"),
        (Self::DenyUser, "deny-user"),
        (Self::DeleteLoginProfile, "delete-login-profile"),
        (Self::DenyRoleSessions, "deny-role-sessions"),
        (Self::ClosePublicInterfaces, "close-public-interfaces"),
        (Self::DisassociateAddresses, "disassociate-addresses"),
        (Self::RevokeOpenRules, "revoke-open-rules"),
        (Self::BlockVpcPublicAccess, "block-vpc-public-access"),
        (Self::BlockBucketPublicAccess, "block-bucket-public-access"),
        (Self::CloseEksEndpoints, "close-eks-endpoints"),
        (Self::ArchiveFindings, "archive-findings"),
    ];
}

/// Whether a person has to say yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Not for what can be undone; an irreversible step needs one unless the policy says otherwise.
    #[default]
    WhenIrreversible,
    /// Never: the playbook itself is the explicit policy.
    Never,
    /// Only where more than one user is on the node.
    WhenShared,
    /// Always.
    Always,
}

/// The most a playbook may do by itself. Beyond it a person is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Caps {
    /// Plans in an hour.
    pub plans_per_hour: u32,
    /// Irreversible steps in an hour.
    pub irreversible_per_hour: u32,
    /// Targets in one plan.
    pub targets_per_plan: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            plans_per_hour: 20,
            irreversible_per_hour: 10,
            targets_per_plan: 200,
        }
    }
}

/// When what was contained only for the investigation is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Release {
    /// Hours after the plan has finished.
    pub after_hours: u32,
    /// The steps that are then undone.
    pub steps: Vec<String>,
}
