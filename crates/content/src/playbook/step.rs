//! The steps: what each kind is, where in a response it belongs, and what can be undone.

use serde::{Deserialize, Serialize};

/// The stages of a response, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Stop the person.
    Person,
    /// Keep others from removing the evidence.
    Protect,
    /// Take the evidence and hold until it is complete.
    Evidence,
    /// Cut the network.
    Network,
    /// End the pod, task or node.
    End,
    /// Keep another from being started.
    Refill,
    /// Tell the source that the finding is dealt with.
    Report,
}

impl Stage {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Protect => "protect",
            Self::Evidence => "evidence",
            Self::Network => "network",
            Self::End => "end",
            Self::Refill => "refill",
            Self::Report => "report",
        }
    }
}

/// What a step of a playbook does. `plan` turns each into actions on exact targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// The user's Hub servers are stopped.
    StopHubServers,
    /// The user's Hub tokens are revoked.
    RevokeHubTokens,
    /// The user is put into the Hub's group of those who may start nothing.
    BlockHubUser,
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
    /// The node carries the incident as a label.
    LabelNode,
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
    /// The pod ends: `how` is `delete`, `evict` (which respects disruption budgets) or
    /// `evict-or-delete` (which deletes what a budget keeps).
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
        (Self::BlockHubUser, "block-hub-user"),
        (Self::RemoveHubUser, "remove-hub-user"),
        (Self::DeauthorisePortalUser, "deauthorise-portal-user"),
        (Self::DisableCognitoUser, "disable-cognito-user"),
        (Self::ProtectInstance, "protect-instance"),
        (Self::KeepVolumes, "keep-volumes"),
        (Self::HoldScaling, "hold-scaling"),
        (Self::CordonNode, "cordon-node"),
        (Self::KeepNode, "keep-node"),
        (Self::LabelNode, "label-node"),
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
        (
            Self::ReleaseTerminationProtection,
            "release-termination-protection",
        ),
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

    /// Its name in a playbook.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| *name)
    }

    /// The stage it belongs to.
    pub fn stage(self) -> Stage {
        match self {
            Self::StopHubServers
            | Self::RevokeHubTokens
            | Self::BlockHubUser
            | Self::RemoveHubUser
            | Self::DeauthorisePortalUser
            | Self::DisableCognitoUser
            | Self::DeactivateKeys
            | Self::DenyUser
            | Self::DeleteLoginProfile
            | Self::DenyRoleSessions => Stage::Person,
            Self::ProtectInstance
            | Self::KeepVolumes
            | Self::HoldScaling
            | Self::CordonNode
            | Self::KeepNode
            | Self::LabelNode => Stage::Protect,
            Self::SnapshotEvidence | Self::CopyEvidence | Self::CaptureMemory => Stage::Evidence,
            Self::IsolateInterfaces
            | Self::IsolatePod
            | Self::ClosePublicInterfaces
            | Self::DisassociateAddresses
            | Self::RevokeOpenRules
            | Self::BlockVpcPublicAccess
            | Self::BlockBucketPublicAccess
            | Self::CloseEksEndpoints => Stage::Network,
            Self::EndPod
            | Self::TerminateInstance
            | Self::StopInstance
            | Self::StopTask
            | Self::ThrottleFunction => Stage::End,
            Self::StopRefill | Self::ReleaseTerminationProtection => Stage::Refill,
            Self::ArchiveFindings => Stage::Report,
        }
    }

    /// Whether everything the step does can be undone.
    pub fn is_reversible(self) -> bool {
        !matches!(
            self,
            Self::RevokeHubTokens
                | Self::RemoveHubUser
                | Self::DeauthorisePortalUser
                | Self::DisableCognitoUser
                | Self::EndPod
                | Self::TerminateInstance
                | Self::StopTask
                | Self::DeleteLoginProfile
        )
    }

    /// The values `how` may have, the one that is meant when it is left out first. Empty where
    /// there is one way only.
    pub fn ways(self) -> &'static [&'static str] {
        match self {
            Self::HoldScaling => &["protect", "detach"],
            Self::EndPod => &["delete", "evict", "evict-or-delete"],
            Self::RevokeOpenRules => &["both", "ingress", "egress"],
            Self::BlockVpcPublicAccess => &["block-bidirectional", "block-ingress"],
            _ => &[],
        }
    }
}
