//! Every call, by purpose, with what it is made on and under which condition.

use super::{Condition, Permission, Purpose};

const ANY: &[&str] = &["*"];
const INSTANCE: &str = "arn:{partition}:ec2:*:{account}:instance/*";
const INTERFACE: &str = "arn:{partition}:ec2:*:{account}:network-interface/*";
const VOLUME: &str = "arn:{partition}:ec2:*:{account}:volume/*";
const GROUP: &str = "arn:{partition}:ec2:*:{account}:security-group/*";
const RULE: &str = "arn:{partition}:ec2:*:{account}:security-group-rule/*";
const VPC: &str = "arn:{partition}:ec2:*:{account}:vpc/*";
const ADDRESS: &str = "arn:{partition}:ec2:*:{account}:elastic-ip/*";
/// A snapshot's ARN has no account.
const SNAPSHOT: &str = "arn:{partition}:ec2:*::snapshot/*";
const FUNCTION: &str = "arn:{partition}:lambda:*:{account}:function:*";
const CLUSTER: &str = "arn:{partition}:eks:*:{account}:cluster/*";
const USER: &str = "arn:{partition}:iam::{account}:user/*";
const ROLE: &str = "arn:{partition}:iam::{account}:role/*";

const fn allow(
    sid: &'static str,
    purpose: Purpose,
    actions: &'static [&'static str],
    resources: &'static [&'static str],
    condition: Condition,
) -> Permission {
    Permission {
        sid,
        purpose,
        actions,
        resources,
        condition,
    }
}

/// Every call, by purpose.
pub const PERMISSIONS: &[Permission] = &[
    allow(
        "Look",
        Purpose::Read,
        &[
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceAttribute",
            "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSnapshots",
            "ec2:DescribeVolumes",
            "iam:GetAccessKeyLastUsed",
            "iam:GetInstanceProfile",
            "iam:GetLoginProfile",
            "iam:GetRole",
            "iam:GetUser",
            "iam:ListAccessKeys",
            "iam:ListUserTags",
        ],
        ANY,
        Condition::None,
    ),
    allow(
        "ProtectAndEnd",
        Purpose::Instances,
        &[
            "ec2:ModifyInstanceAttribute",
            "ec2:StartInstances",
            "ec2:StopInstances",
            "ec2:TerminateInstances",
        ],
        &[INSTANCE],
        Condition::Unprotected,
    ),
    allow(
        "KeepVolumes",
        Purpose::Instances,
        &["ec2:ModifyInstanceAttribute"],
        &[VOLUME],
        Condition::None,
    ),
    allow(
        "TakeEvidence",
        Purpose::Instances,
        &["ec2:CreateSnapshot", "ec2:CreateSnapshots"],
        &[INSTANCE, VOLUME],
        Condition::None,
    ),
    allow(
        "TakeEvidenceWithOurTags",
        Purpose::Instances,
        &["ec2:CreateSnapshot", "ec2:CreateSnapshots"],
        &[SNAPSHOT],
        Condition::TaggedByUs,
    ),
    allow(
        "TagWhatIsCreated",
        Purpose::Instances,
        &["ec2:CreateTags"],
        &[GROUP, RULE, SNAPSHOT],
        Condition::CreatedBy(&[
            "AuthorizeSecurityGroupEgress",
            "AuthorizeSecurityGroupIngress",
            "CopySnapshot",
            "CreateSecurityGroup",
            "CreateSnapshot",
            "CreateSnapshots",
        ]),
    ),
    allow(
        "TagEvidence",
        Purpose::Instances,
        &["ec2:CreateTags"],
        &[SNAPSHOT],
        Condition::OurTagKeysOnOurs,
    ),
    allow(
        "MarkWithOurTags",
        Purpose::Instances,
        &["ec2:CreateTags", "ec2:DeleteTags"],
        &[INSTANCE, INTERFACE],
        Condition::OurTagKeys,
    ),
    allow(
        "CutTheNetwork",
        Purpose::Instances,
        &["ec2:ModifyNetworkInterfaceAttribute"],
        &[INSTANCE, INTERFACE],
        Condition::Unprotected,
    ),
    // An interface that returns to a protected group leaves that group as it is.
    allow(
        "ChooseGroups",
        Purpose::Instances,
        &["ec2:ModifyNetworkInterfaceAttribute"],
        &[GROUP],
        Condition::None,
    ),
    allow(
        "MakeIsolationGroups",
        Purpose::Instances,
        &["ec2:CreateSecurityGroup"],
        &[GROUP],
        Condition::TaggedForIsolation,
    ),
    allow(
        "MakeIsolationGroupsInNetworks",
        Purpose::Instances,
        &["ec2:CreateSecurityGroup"],
        &[VPC],
        Condition::None,
    ),
    allow(
        "ShapeGroups",
        Purpose::Instances,
        &[
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
        &[GROUP],
        Condition::Unprotected,
    ),
    allow(
        "RestoreRules",
        Purpose::Instances,
        &[
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
        ],
        &[RULE],
        Condition::None,
    ),
    allow(
        "HoldTheGroup",
        Purpose::Instances,
        &[
            "autoscaling:AttachInstances",
            "autoscaling:DetachInstances",
            "autoscaling:ResumeProcesses",
            "autoscaling:SetInstanceProtection",
            "autoscaling:SuspendProcesses",
        ],
        &["arn:{partition}:autoscaling:*:{account}:autoScalingGroup:*"],
        Condition::Unprotected,
    ),
    // A look is never under a condition: what is protected must be seen to be.
    allow(
        "LookAtUsersPolicies",
        Purpose::Identities,
        &["iam:GetUserPolicy"],
        &[USER],
        Condition::None,
    ),
    allow(
        "ShutIdentities",
        Purpose::Identities,
        &[
            "iam:DeleteLoginProfile",
            "iam:DeleteUserPolicy",
            "iam:PutUserPolicy",
            "iam:UpdateAccessKey",
        ],
        &[USER],
        Condition::Unprotected,
    ),
    allow(
        "LookAtRolesPolicies",
        Purpose::Identities,
        &["iam:GetRolePolicy"],
        &[ROLE],
        Condition::None,
    ),
    allow(
        "ShutRoleSessions",
        Purpose::Identities,
        &["iam:DeleteRolePolicy", "iam:PutRolePolicy"],
        &[ROLE],
        Condition::Unprotected,
    ),
    allow(
        "LookAtTasks",
        Purpose::Ecs,
        &[
            "ecs:DescribeContainerInstances",
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
        ],
        ANY,
        Condition::None,
    ),
    allow(
        "StopTasks",
        Purpose::Ecs,
        &["ecs:StopTask"],
        &["arn:{partition}:ecs:*:{account}:task/*"],
        Condition::Unprotected,
    ),
    allow(
        "ScaleServices",
        Purpose::Ecs,
        &["ecs:UpdateService"],
        &["arn:{partition}:ecs:*:{account}:service/*"],
        Condition::Unprotected,
    ),
    allow(
        "LookAtFunctions",
        Purpose::Functions,
        &[
            "lambda:GetFunctionConcurrency",
            "lambda:GetFunctionConfiguration",
            "lambda:ListTags",
        ],
        &[FUNCTION],
        Condition::None,
    ),
    allow(
        "ThrottleFunctions",
        Purpose::Functions,
        &[
            "lambda:DeleteFunctionConcurrency",
            "lambda:PutFunctionConcurrency",
        ],
        &[FUNCTION],
        Condition::Unprotected,
    ),
    allow(
        "ReachClusters",
        Purpose::Clusters,
        &["eks:DescribeCluster"],
        &[CLUSTER],
        Condition::None,
    ),
    allow(
        "CaptureMemory",
        Purpose::Memory,
        &["ssm:SendCommand"],
        &[
            INSTANCE,
            "arn:{partition}:ssm:*:{account}:document/{memory_document}",
        ],
        Condition::None,
    ),
    allow(
        "WatchMemoryCapture",
        Purpose::Memory,
        &["ssm:ListCommands"],
        ANY,
        Condition::None,
    ),
    allow(
        "ShareEvidence",
        Purpose::Forensic,
        &[
            "ec2:DescribeSnapshotAttribute",
            "ec2:ModifySnapshotAttribute",
        ],
        &[SNAPSHOT],
        Condition::Ours,
    ),
    // The original, which is another account's, and the copy are asked for under one name: a
    // condition that fits one shuts the other out.
    allow(
        "CopyEvidence",
        Purpose::Forensic,
        &["ec2:CopySnapshot"],
        &[SNAPSHOT],
        Condition::None,
    ),
    allow(
        "EncryptCopies",
        Purpose::Forensic,
        &[
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ],
        &["arn:{partition}:kms:*:*:key/*"],
        Condition::ThroughEc2,
    ),
    allow(
        "LetEc2UseTheKey",
        Purpose::Forensic,
        &["kms:CreateGrant"],
        &["arn:{partition}:kms:*:*:key/*"],
        Condition::GrantThroughEc2,
    ),
    allow(
        "LookAtDoors",
        Purpose::Lockdown,
        &[
            "ec2:DescribeAddresses",
            "ec2:DescribeVpcBlockPublicAccessOptions",
            "eks:DescribeCluster",
            "eks:ListClusters",
            "s3:GetAccountPublicAccessBlock",
        ],
        ANY,
        Condition::None,
    ),
    allow(
        "CloseDoorsOfTheAccount",
        Purpose::Lockdown,
        &[
            "ec2:ModifyVpcBlockPublicAccessOptions",
            "s3:PutAccountPublicAccessBlock",
        ],
        ANY,
        Condition::None,
    ),
    allow(
        "CloseDoorsOfClusters",
        Purpose::Lockdown,
        &["eks:UpdateClusterConfig"],
        &[CLUSTER],
        Condition::Unprotected,
    ),
    allow(
        "TakeAddressesAway",
        Purpose::Lockdown,
        &["ec2:AssociateAddress", "ec2:DisassociateAddress"],
        &[ADDRESS, INTERFACE],
        Condition::Unprotected,
    ),
    // GuardDuty and the list of regions know no resources: anything but `*` allows nothing.
    allow(
        "ArchiveFindings",
        Purpose::Findings,
        &[
            "ec2:DescribeRegions",
            "guardduty:ArchiveFindings",
            "guardduty:GetFindings",
            "guardduty:ListDetectors",
            "guardduty:ListFindings",
            "guardduty:UnarchiveFindings",
        ],
        ANY,
        Condition::None,
    ),
    allow(
        "DisableUsers",
        Purpose::Cognito,
        &[
            "cognito-idp:AdminDisableUser",
            "cognito-idp:AdminEnableUser",
            "cognito-idp:AdminGetUser",
            "cognito-idp:AdminUserGlobalSignOut",
        ],
        &["arn:{partition}:cognito-idp:*:{account}:userpool/{cognito_pool}"],
        Condition::None,
    ),
    allow(
        "KeepTheJournal",
        Purpose::Journal,
        &[
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ],
        &["arn:{partition}:dynamodb:*:{account}:table/{journal_table}"],
        Condition::None,
    ),
    allow(
        "SendMail",
        Purpose::Mail,
        &["ses:SendEmail"],
        &["arn:{partition}:ses:*:{account}:identity/*"],
        Condition::Sender,
    ),
    allow(
        "Publish",
        Purpose::Notices,
        &["sns:Publish"],
        &["arn:{partition}:sns:*:{account}:{sns_topic}"],
        Condition::None,
    ),
    allow(
        "ReadSecrets",
        Purpose::Notices,
        &["secretsmanager:GetSecretValue"],
        &["arn:{partition}:secretsmanager:*:{account}:secret:{secrets}"],
        Condition::None,
    ),
    allow(
        "ReadTheQueue",
        Purpose::Queue,
        &[
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        ],
        &["arn:{partition}:sqs:*:{account}:{queue}"],
        Condition::None,
    ),
    allow(
        "EnterOtherAccounts",
        Purpose::Accounts,
        &["sts:AssumeRole"],
        &["arn:{partition}:iam::*:role/{role}"],
        Condition::None,
    ),
];
