//! The destructive vocabulary: every call that changes something, with its target named exactly.

use std::collections::BTreeMap;

use davylamp_model::ids::{
    AccessKeyId, AccountId, Arn, ClusterName, FunctionName, GroupId, HubUser, IamUserName,
    InstanceId, InterfaceId, Namespace, NodeName, PodName, Region, RoleName, ScalingGroupName,
    VolumeId, VpcId,
};
use davylamp_model::resource::Place;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The tag by which a snapshot is known to be evidence of ours: only such a one is a reason not to
/// take another.
pub const EVIDENCE_TAG: &str = "davylamp:incident";

/// The tag by which termination protection is known to be ours. Where an instance carries it, a plan
/// may lift the protection that it finds; without it the protection is somebody else's.
pub const OUR_PROTECTION_TAG: &str = "davylamp:termination-protection";

/// The tag of the security groups that cut machines off, and its value.
pub const PURPOSE_TAG: &str = "davylamp:purpose";
/// The value of [`PURPOSE_TAG`] there.
pub const ISOLATION_PURPOSE: &str = "isolation";

/// The names of the actions that cannot be undone.
pub const IRREVERSIBLE: [&str; 9] = [
    "revoke-hub-tokens",
    "remove-hub-user",
    "delete-pod",
    "evict-pod",
    "terminate-instance",
    "stop-task",
    "deauthorise-portal-user",
    "sign-out-cognito-user",
    "delete-login-profile",
];

/// One thing to do, to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "do",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
#[expect(
    missing_docs,
    reason = "the ids name themselves; only what they leave open is said"
)]
pub enum Action {
    /// Stop all servers of a Hub user.
    StopHubServers { user: HubUser },
    /// Revoke all API tokens of a Hub user.
    RevokeHubTokens { user: HubUser },
    /// Put a user into the Hub's group of those who may start nothing.
    BlockHubUser { user: HubUser, group: String },
    /// Remove a user from the Hub, which ends the session: every cookie is of no use.
    RemoveHubUser { user: HubUser },
    /// Deauthorise a user at the portal, by claim name or by user name.
    DeauthorisePortalUser { subject: PortalSubject },
    /// Disable a user of a Cognito pool.
    DisableCognitoUser { pool: String, user: HubUser },
    /// End every session of a user of a Cognito pool.
    SignOutCognitoUser { pool: String, user: HubUser },

    /// Set `DisableApiTermination`, so that nobody removes the evidence.
    ProtectInstance { instance: InstanceId },
    /// Clear `DeleteOnTermination` of these volumes, named by device.
    KeepVolumes {
        instance: InstanceId,
        /// Device name to volume.
        devices: BTreeMap<String, VolumeId>,
    },
    /// Protect the instance from its group's scale-in.
    ProtectFromScaleIn {
        group: ScalingGroupName,
        instance: InstanceId,
    },
    /// Take the instance out of its group, which starts another in its place.
    DetachFromGroup {
        group: ScalingGroupName,
        instance: InstanceId,
    },
    /// Cordon a node.
    CordonNode {
        cluster: ClusterName,
        node: NodeName,
    },
    /// Keep Karpenter and the cluster autoscaler from removing a node.
    KeepNode {
        cluster: ClusterName,
        node: NodeName,
    },
    /// Label a node with the incident, for selectors and for people.
    LabelNode {
        cluster: ClusterName,
        node: NodeName,
    },

    /// Snapshot these volumes of an instance together, crash-consistent.
    SnapshotInstance {
        instance: InstanceId,
        /// The volumes to snapshot.
        volumes: Vec<VolumeId>,
        /// Attached volumes to leave out, because they have a snapshot already.
        exclude: Vec<VolumeId>,
    },
    /// Snapshot a volume that is attached to no instance of the plan.
    SnapshotVolume { volume: VolumeId },
    /// Wait until each of these volumes has an evidence snapshot that completed at or after `since`.
    AwaitEvidence {
        volumes: Vec<VolumeId>,
        since: Timestamp,
    },
    /// Copy the evidence of these volumes, encrypted with `kms-key`, and share it with `account`.
    CopyEvidence {
        volumes: Vec<VolumeId>,
        account: AccountId,
        region: Region,
        kms_key: String,
    },
    /// Run the operator's memory capture document on the instance through SSM.
    CaptureMemory {
        instance: InstanceId,
        document: String,
    },

    /// Move an interface into a group that allows nothing, by way of one that allows all so that
    /// tracked connections die as well.
    IsolateInterface {
        interface: InterfaceId,
        vpc: VpcId,
        /// What the plan saw; undo restores what execution saw.
        groups: Vec<GroupId>,
    },
    /// Allow a pod neither incoming nor outgoing traffic.
    IsolatePod {
        cluster: ClusterName,
        namespace: Namespace,
        pod: PodName,
        uid: String,
    },

    /// Delete a pod, which loses its local files.
    DeletePod {
        cluster: ClusterName,
        namespace: Namespace,
        pod: PodName,
        uid: String,
    },
    /// Evict a pod, respecting disruption budgets.
    EvictPod {
        cluster: ClusterName,
        namespace: Namespace,
        pod: PodName,
        uid: String,
        /// Whether it is deleted where a budget does not let it be evicted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        or_delete: bool,
    },
    /// Stop an instance.
    StopInstance { instance: InstanceId },
    /// Terminate an instance.
    TerminateInstance { instance: InstanceId },
    /// Stop an ECS task.
    StopTask { cluster: Arn, task: Arn },
    /// Set a function's reserved concurrency to zero.
    ThrottleFunction { function: FunctionName },

    /// Suspend the processes by which a group starts machines.
    SuspendGroup { group: ScalingGroupName },
    /// Scale a Deployment or StatefulSet to zero.
    ScaleToZero {
        cluster: ClusterName,
        namespace: Namespace,
        kind: String,
        name: String,
    },
    /// Suspend a Job or CronJob.
    SuspendJob {
        cluster: ClusterName,
        namespace: Namespace,
        kind: String,
        name: String,
    },
    /// Set the limits of a Karpenter node pool to zero.
    LimitNodePool { cluster: ClusterName, pool: String },
    /// Set an ECS service's wanted size to zero.
    ScaleServiceToZero { cluster: Arn, service: String },
    /// Clear `DisableApiTermination`: an attacker's, or ours when its purpose is done.
    UnprotectInstance { instance: InstanceId },

    /// Deactivate an access key.
    DeactivateKey { user: IamUserName, key: AccessKeyId },
    /// Deny everything to a user with an inline policy.
    DenyUser { user: IamUserName },
    /// Remove a user's console password.
    DeleteLoginProfile { user: IamUserName },
    /// Deny everything to sessions of a role that were issued before `before`; where `instance` is
    /// given, only to those of that instance, so that the rest of the fleet goes on.
    DenyRoleSessions {
        role: RoleName,
        before: Timestamp,
        instance: Option<Arn>,
    },

    /// Take a public elastic address away from an interface.
    DisassociateAddress {
        allocation: String,
        association: String,
        interface: InterfaceId,
    },
    /// Remove a rule that is open to the world.
    RevokeRule {
        group: GroupId,
        rule: String,
        ingress: bool,
    },
    /// Turn on VPC Block Public Access in the region.
    BlockVpcPublicAccess { mode: String },
    /// Block public S3 access for the account.
    BlockBucketPublicAccess { account: AccountId },
    /// Make an EKS cluster's endpoint private.
    CloseEksEndpoint { cluster: ClusterName },

    /// Archive a GuardDuty finding.
    ArchiveFinding { detector: String, finding: String },
}

/// How far what an action changes reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One region of one account.
    Region,
    /// One account, in all its regions.
    Account,
    /// Whatever is responded to: the users are the same in every account.
    Everywhere,
}

impl Reach {
    /// Whether what is done in one place is what is done in the other.
    pub fn joins(self, one: &Place, other: &Place) -> bool {
        match self {
            Self::Region => one == other,
            Self::Account => one.account == other.account,
            Self::Everywhere => true,
        }
    }
}

/// Whom the portal is told about. Its endpoint takes one of two names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortalSubject {
    /// A claim's name, whole, such as `claim-alice`.
    Claim(String),
    /// A user's name.
    User(HubUser),
}

impl Action {
    /// The name of the action, as in its stored form.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::StopHubServers { .. } => "stop-hub-servers",
            Self::RevokeHubTokens { .. } => "revoke-hub-tokens",
            Self::BlockHubUser { .. } => "block-hub-user",
            Self::RemoveHubUser { .. } => "remove-hub-user",
            Self::DeauthorisePortalUser { .. } => "deauthorise-portal-user",
            Self::DisableCognitoUser { .. } => "disable-cognito-user",
            Self::SignOutCognitoUser { .. } => "sign-out-cognito-user",
            Self::ProtectInstance { .. } => "protect-instance",
            Self::KeepVolumes { .. } => "keep-volumes",
            Self::ProtectFromScaleIn { .. } => "protect-from-scale-in",
            Self::DetachFromGroup { .. } => "detach-from-group",
            Self::CordonNode { .. } => "cordon-node",
            Self::KeepNode { .. } => "keep-node",
            Self::LabelNode { .. } => "label-node",
            Self::SnapshotInstance { .. } => "snapshot-instance",
            Self::SnapshotVolume { .. } => "snapshot-volume",
            Self::AwaitEvidence { .. } => "await-evidence",
            Self::CopyEvidence { .. } => "copy-evidence",
            Self::CaptureMemory { .. } => "capture-memory",
            Self::IsolateInterface { .. } => "isolate-interface",
            Self::IsolatePod { .. } => "isolate-pod",
            Self::DeletePod { .. } => "delete-pod",
            Self::EvictPod { .. } => "evict-pod",
            Self::StopInstance { .. } => "stop-instance",
            Self::TerminateInstance { .. } => "terminate-instance",
            Self::StopTask { .. } => "stop-task",
            Self::ThrottleFunction { .. } => "throttle-function",
            Self::SuspendGroup { .. } => "suspend-group",
            Self::ScaleToZero { .. } => "scale-to-zero",
            Self::SuspendJob { .. } => "suspend-job",
            Self::LimitNodePool { .. } => "limit-node-pool",
            Self::ScaleServiceToZero { .. } => "scale-service-to-zero",
            Self::UnprotectInstance { .. } => "unprotect-instance",
            Self::DeactivateKey { .. } => "deactivate-key",
            Self::DenyUser { .. } => "deny-user",
            Self::DeleteLoginProfile { .. } => "delete-login-profile",
            Self::DenyRoleSessions { .. } => "deny-role-sessions",
            Self::DisassociateAddress { .. } => "disassociate-address",
            Self::RevokeRule { .. } => "revoke-rule",
            Self::BlockVpcPublicAccess { .. } => "block-vpc-public-access",
            Self::BlockBucketPublicAccess { .. } => "block-bucket-public-access",
            Self::CloseEksEndpoint { .. } => "close-eks-endpoint",
            Self::ArchiveFinding { .. } => "archive-finding",
        }
    }

    /// The target, as in a resource key: `instance/i-…`, `hub-user/alice`.
    pub fn target(&self) -> String {
        match self {
            Self::StopHubServers { user }
            | Self::RevokeHubTokens { user }
            | Self::BlockHubUser { user, .. }
            | Self::RemoveHubUser { user } => format!("hub-user/{user}"),
            Self::DeauthorisePortalUser { subject } => match subject {
                PortalSubject::Claim(claim) => format!("portal-claim/{claim}"),
                PortalSubject::User(user) => format!("portal-user/{user}"),
            },
            Self::DisableCognitoUser { pool, user } | Self::SignOutCognitoUser { pool, user } => {
                format!("cognito/{pool}/{user}")
            }
            Self::ProtectInstance { instance }
            | Self::KeepVolumes { instance, .. }
            | Self::ProtectFromScaleIn { instance, .. }
            | Self::DetachFromGroup { instance, .. }
            | Self::SnapshotInstance { instance, .. }
            | Self::CaptureMemory { instance, .. }
            | Self::StopInstance { instance }
            | Self::TerminateInstance { instance }
            | Self::UnprotectInstance { instance } => format!("instance/{instance}"),
            Self::CordonNode { cluster, node }
            | Self::KeepNode { cluster, node }
            | Self::LabelNode { cluster, node } => format!("node/{cluster}/{node}"),
            Self::SnapshotVolume { volume } => format!("volume/{volume}"),
            Self::AwaitEvidence { volumes, .. } | Self::CopyEvidence { volumes, .. } => {
                let names: Vec<&str> = volumes.iter().map(VolumeId::as_str).collect();
                format!("volumes/{}", names.join(","))
            }
            Self::IsolateInterface { interface, .. } => format!("interface/{interface}"),
            // An interface may have several addresses.
            Self::DisassociateAddress { association, .. } => format!("address/{association}"),
            Self::IsolatePod {
                cluster,
                namespace,
                pod,
                ..
            }
            | Self::DeletePod {
                cluster,
                namespace,
                pod,
                ..
            }
            | Self::EvictPod {
                cluster,
                namespace,
                pod,
                ..
            } => format!("pod/{cluster}/{namespace}/{pod}"),
            Self::StopTask { task, .. } => format!("task/{task}"),
            Self::ThrottleFunction { function } => format!("function/{function}"),
            Self::SuspendGroup { group } => format!("group/{group}"),
            Self::ScaleToZero {
                cluster,
                namespace,
                kind,
                name,
            }
            | Self::SuspendJob {
                cluster,
                namespace,
                kind,
                name,
            } => format!("{kind}/{cluster}/{namespace}/{name}"),
            Self::LimitNodePool { cluster, pool } => format!("node-pool/{cluster}/{pool}"),
            Self::ScaleServiceToZero { cluster, service } => format!("service/{cluster}/{service}"),
            Self::DeactivateKey { key, .. } => format!("key/{key}"),
            Self::DenyUser { user } | Self::DeleteLoginProfile { user } => format!("user/{user}"),
            // Several instances of one role are several steps.
            Self::DenyRoleSessions { role, instance, .. } => match instance {
                Some(instance) => format!("role/{role}/{instance}"),
                None => format!("role/{role}"),
            },
            Self::RevokeRule { rule, .. } => format!("rule/{rule}"),
            Self::BlockVpcPublicAccess { .. } => "vpc-public-access".to_owned(),
            Self::BlockBucketPublicAccess { account } => format!("bucket-public-access/{account}"),
            Self::CloseEksEndpoint { cluster } => format!("eks/{cluster}"),
            Self::ArchiveFinding { finding, .. } => format!("finding/{finding}"),
        }
    }

    /// Whether the action can be undone. What cannot needs a person, or a playbook that says so.
    ///
    /// A snapshot, a copy and a capture add and take nothing away: their undo is to do nothing, and
    /// evidence is never deleted by this program.
    pub fn is_reversible(&self) -> bool {
        !IRREVERSIBLE.contains(&self.verb())
    }

    /// Why what the action left stays when it is undone, where that is meant: its undo does
    /// nothing, and nothing was taken back by it.
    pub fn stays_because(&self) -> Option<&'static str> {
        match self {
            Self::SnapshotInstance { .. }
            | Self::SnapshotVolume { .. }
            | Self::CopyEvidence { .. }
            | Self::CaptureMemory { .. } => Some("evidence is never deleted"),
            Self::AwaitEvidence { .. } => {
                Some("it only waited for the evidence, which is never deleted")
            }
            Self::StopHubServers { .. } => {
                Some("nobody's server is started for them: its user may start it again")
            }
            _ => None,
        }
    }

    /// How far what the action changes reaches: two incidents within it that took the same step
    /// share its effect.
    pub fn reach(&self) -> Reach {
        match self {
            Self::StopHubServers { .. }
            | Self::RevokeHubTokens { .. }
            | Self::BlockHubUser { .. }
            | Self::RemoveHubUser { .. }
            | Self::DeauthorisePortalUser { .. }
            | Self::DisableCognitoUser { .. }
            | Self::SignOutCognitoUser { .. } => Reach::Everywhere,
            Self::DeactivateKey { .. }
            | Self::DenyUser { .. }
            | Self::DeleteLoginProfile { .. }
            | Self::DenyRoleSessions { .. }
            | Self::BlockBucketPublicAccess { .. } => Reach::Account,
            _ => Reach::Region,
        }
    }

    /// Whether the action destroys what evidence is taken of.
    pub fn destroys_evidence(&self) -> bool {
        matches!(self, Self::TerminateInstance { .. })
    }
}
