//! What an action means in an attack by which somebody mines on another's bill.
//!
//! Weights follow how many of the public incidents that TrailDiscover has collected (2026) name the
//! action, as far as it does; the phases are those of MITRE ATT&CK for the cloud.

use serde::{Deserialize, Serialize};

/// The phase of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Getting in, and from one credential to another.
    Access,
    /// Looking around: who am I, what may I, how many machines may I have.
    Recon,
    /// Ways to come back.
    Persistence,
    /// More rights.
    Privilege,
    /// Against logs and sensors, and against being ended.
    Evasion,
    /// Machines and whatever else computes.
    Launch,
    /// What is ended or removed.
    Impact,
    /// What AWS or the owner did about it.
    Response,
    /// Anything else.
    Other,
}

impl Phase {
    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Recon => "recon",
            Self::Persistence => "persistence",
            Self::Privilege => "privilege",
            Self::Evasion => "evasion",
            Self::Launch => "launch",
            Self::Impact => "impact",
            Self::Response => "response",
            Self::Other => "other",
        }
    }
}

/// Actions by phase. A name that ends in `*` is the start of a name: Lambda puts a date behind some.
const ACTIONS: &[(Phase, &[&str])] = &[
    (
        Phase::Access,
        &[
            "ConsoleLogin",
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
            "AssumeRoot",
            "GetSessionToken",
            "SwitchRole",
            "GetSigninToken",
            "PasswordRecoveryRequested",
            "PasswordRecoveryCompleted",
            "CredentialChallenge",
            "CredentialVerification",
        ],
    ),
    (
        Phase::Recon,
        &[
            "ListUsers",
            "ListAccessKeys",
            "ListRoles",
            "ListAttachedUserPolicies",
            "ListUserPolicies",
            "GetAccountAuthorizationDetails",
            "SimulatePrincipalPolicy",
            "GetServiceQuota",
            "ListServiceQuotas",
            "GetAWSDefaultServiceQuota",
            "DescribeAccountAttributes",
            "GetSendQuota",
            "GetAccount",
            "DescribeSpotPriceHistory",
            "DescribeInstanceTypeOfferings",
            "GetAccountSummary",
            "DescribeTrails",
            "GetTrailStatus",
            "ListDetectors",
            "GetFoundationModelAvailability",
        ],
    ),
    (
        Phase::Persistence,
        &[
            "CreateUser",
            "CreateAccessKey",
            "CreateLoginProfile",
            "UpdateUser",
            "UpdateLoginProfile",
            "ChangePassword",
            "UpdateAccessKey",
            "CreateRole",
            "UpdateAssumeRolePolicy",
            "CreateServiceLinkedRole",
            "GetFederationToken",
            "CreateServiceSpecificCredential",
            "ResetServiceSpecificCredential",
            "UploadSSHPublicKey",
            "UploadSigningCertificate",
            "CreateSAMLProvider",
            "UpdateSAMLProvider",
            "CreateOpenIDConnectProvider",
            "AddClientIDToOpenIDConnectProvider",
            "CreateInstanceProfile",
            "AddRoleToInstanceProfile",
            "CreateVirtualMFADevice",
            "EnableMFADevice",
            "ImportKeyPair",
            "CreateKeyPair",
            "CreateSecurityGroup",
            "AuthorizeSecurityGroupIngress",
            "AddPermission*",
            "PutRule",
            "PutTargets",
            "CreateSchedule",
            "UpdateFunctionCode*",
            "CreateFunctionUrlConfig*",
            "ModifyImageAttribute",
            "ModifySnapshotAttribute",
            "PutBucketPolicy",
            "InviteAccountToOrganization",
            "CreateAccount",
            "CreateTrustAnchor",
            "CreateProfile",
        ],
    ),
    (
        Phase::Privilege,
        &[
            "AttachUserPolicy",
            "PutUserPolicy",
            "AttachRolePolicy",
            "PutRolePolicy",
            "AttachGroupPolicy",
            "PutGroupPolicy",
            "AddUserToGroup",
            "CreatePolicyVersion",
            "SetDefaultPolicyVersion",
            "CreatePolicy",
            "DeleteUserPermissionsBoundary",
            "DeleteRolePermissionsBoundary",
            "DetachUserPolicy",
            "DetachRolePolicy",
            "AssociateIamInstanceProfile",
            "ReplaceIamInstanceProfileAssociation",
        ],
    ),
    (
        Phase::Evasion,
        &[
            "StopLogging",
            "DeleteTrail",
            "UpdateTrail",
            "PutEventSelectors",
            "PutInsightSelectors",
            "DeleteEventDataStore",
            "DeleteDetector",
            "UpdateDetector",
            "CreateFilter",
            "CreateIPSet",
            "UpdateIPSet",
            "CreateTrustedEntitySet",
            "DisassociateFromMasterAccount",
            "DisassociateFromAdministratorAccount",
            "DisassociateMembers",
            "DeleteMembers",
            "StopMonitoringMembers",
            "DeletePublishingDestination",
            "DeleteFlowLogs",
            "DeleteResolverQueryLogConfig",
            "DisassociateResolverQueryLogConfig",
            "StopConfigurationRecorder",
            "DeleteConfigurationRecorder",
            "DeleteDeliveryChannel",
            "DeleteAlarms",
            "DisableAlarmActions",
            "DeleteLogGroup",
            "DeleteLogStream",
            "PutRetentionPolicy",
            "DisableSecurityHub",
            "DeleteRule",
            "DisableRule",
            "RemoveTargets",
            "LeaveOrganization",
            "PutBucketLifecycle",
            "PutBucketLifecycleConfiguration",
            "DeleteMFADevice",
            "DeactivateMFADevice",
            "DeleteVirtualMFADevice",
            "DeleteAnomalyMonitor",
            "DeleteBudget",
            "DeleteAccountPasswordPolicy",
            "ModifyInstanceAttribute",
        ],
    ),
    (
        Phase::Launch,
        &[
            "RunInstances",
            "RequestSpotInstances",
            "RequestSpotFleet",
            "CreateFleet",
            "StartInstances",
            "CreateLaunchTemplate",
            "CreateLaunchTemplateVersion",
            "CreateLaunchConfiguration",
            "CreateAutoScalingGroup",
            "UpdateAutoScalingGroup",
            "SetDesiredCapacity",
            "ModifySpotFleetRequest",
            "ModifyFleet",
            "CreateCluster",
            "RegisterTaskDefinition",
            "RunTask",
            "StartTask",
            "CreateService",
            "UpdateService",
            "CreateNodegroup",
            "UpdateNodegroupConfig",
            "CreateFargateProfile",
            "CreateFunction*",
            "CreateNotebookInstance",
            "StartNotebookInstance",
            "CreateTrainingJob",
            "CreateProcessingJob",
            "CreateEndpoint",
            "CreateApp",
            "CreateComputeEnvironment",
            "RegisterJobDefinition",
            "CreateJobQueue",
            "SubmitJob",
            "RunJobFlow",
            "AddInstanceGroups",
            "CreateEnvironmentEC2",
            "CreateDevEndpoint",
            "CreateProject",
            "StartBuild",
            "StartBuildBatch",
            "CreateInstances",
            "CreateWorkspaces",
            "RequestServiceQuotaIncrease",
            "RequestSpotDatafeedSubscription",
            "AllocateHosts",
            "CreateEnvironment",
            "EnableRegion",
            "CreateFlywheel",
            "CreateModel",
        ],
    ),
    (
        Phase::Impact,
        &[
            "TerminateInstances",
            "StopInstances",
            "DeleteUser",
            "DeleteAccessKey",
            "DeleteLoginProfile",
            "DeleteRole",
            "DeleteUserPolicy",
            "DeleteRolePolicy",
            "DeleteSnapshot",
            "DeleteVolume",
            "DeleteBucket",
            "CancelSpotInstanceRequests",
            "CancelSpotFleetRequests",
            "DeleteAutoScalingGroup",
            "DeleteCluster",
            "DeleteService",
            "DeregisterTaskDefinition",
            "DeleteNodegroup",
            "DeleteFunction*",
            "DeleteNotebookInstance",
            "StopNotebookInstance",
            "StopTask",
            "DeleteFleets",
            "DeleteLaunchTemplate",
            "DeleteKeyPair",
            "DeleteSecurityGroup",
            "DeleteComputeEnvironment",
            "StopTrainingJob",
            "BidEvictedEvent",
        ],
    ),
    (
        Phase::Response,
        &[
            "StartLogging",
            "CreateTrail",
            "CreateDetector",
            "StartConfigurationRecorder",
            "CreateFlowLogs",
        ],
    ),
];

/// What machines and agents write all day and what says nothing of an attack.
const CHATTER: &[&str] = &[
    "CreateLogStream",
    "CreateLogGroup",
    "PutLogEvents",
    "UpdateInstanceInformation",
    "PutMetricData",
    "PutObject",
    "DeleteObject",
    "UpdateItem",
    "PutItem",
    "DeleteItem",
    "SendMessage",
    "DeleteMessage",
    "ReceiveMessage",
    "Publish",
    "Invoke",
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "CreateGrant",
    "RetireGrant",
    "SubmitTaskStateChange",
    "SubmitContainerStateChange",
    "RegisterContainerInstance",
    "PutComplianceItems",
    "PutInventory",
    "UpdateInstanceAssociationStatus",
    "CreateTags",
    "PutRecord",
    "PutRecords",
    "PutEvents",
    "CreateSnapshot",
    "PutEvaluations",
];

/// The action that AWS's own reaction to a leaked key is (IAM user guide, AWSCompromisedKeyQuarantine).
pub const QUARANTINE: &str = "AWSCompromisedKeyQuarantine";

/// The phase of an action; nothing for one that stands in no list.
pub fn phase(name: &str) -> Option<Phase> {
    use super::names::HashMap;
    use std::sync::LazyLock;
    static WHOLE: LazyLock<HashMap<&str, Phase>> = LazyLock::new(|| {
        let all = ACTIONS
            .iter()
            .flat_map(|(phase, names)| names.iter().map(move |name| (*name, *phase)));
        all.filter(|(name, _)| !name.ends_with('*')).collect()
    });
    static STARTS: LazyLock<Vec<(&str, Phase)>> = LazyLock::new(|| {
        let all = ACTIONS
            .iter()
            .flat_map(|(phase, names)| names.iter().map(move |name| (*name, *phase)));
        all.filter_map(|(name, phase)| Some((name.strip_suffix('*')?, phase)))
            .collect()
    });
    let start = || {
        STARTS
            .iter()
            .find(|(start, _)| name.starts_with(start))
            .map(|(_, phase)| *phase)
    };
    WHOLE.get(name).copied().or_else(start)
}

/// Whether actions of a phase do something of an attack, and do not only look or sign in.
pub fn is_deed(phase: Option<Phase>) -> bool {
    !matches!(phase, None | Some(Phase::Access | Phase::Recon))
}

/// Whether an action is written all day by machines, and says nothing.
pub fn is_chatter(name: &str) -> bool {
    CHATTER.contains(&name)
}

/// Reads that come before an attack, whose mere number counts.
pub fn is_probe(name: &str, phase: Option<Phase>) -> bool {
    phase == Some(Phase::Recon) || matches!(name, "GetCallerIdentity" | "DescribeRegions")
}

/// Whether a read asks how many machines may be started.
pub fn asks_for_quota(name: &str) -> bool {
    matches!(
        name,
        "GetServiceQuota"
            | "ListServiceQuotas"
            | "DescribeAccountAttributes"
            | "GetAWSDefaultServiceQuota"
    )
}
