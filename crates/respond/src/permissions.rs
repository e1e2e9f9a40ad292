//! Which AWS calls the responder makes, on what, under which condition: the one table that the IAM
//! policy, the documentation and the tests are made from.
//!
//! Source of names, resource types and condition keys: the service authorization reference.
//! A test runs a response under exactly this policy, and another compares the table with the calls
//! that the test suite has seen.

use serde_json::{Value, json};

/// What a group of calls is for: groups can be left out of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Looking, for every finding.
    Read,
    /// Instances, volumes, snapshots, interfaces and scaling groups.
    Instances,
    /// Keys, users and role sessions.
    Identities,
    /// ECS.
    Ecs,
    /// Lambda functions.
    Functions,
    /// EKS clusters' Kubernetes API.
    Clusters,
    /// Memory capture through SSM.
    Memory,
    /// Copies of evidence in a forensic account.
    Forensic,
    /// The `account-lockdown` playbook.
    Lockdown,
    /// Archiving and polling findings.
    Findings,
    /// Users of a Cognito pool.
    Cognito,
    /// The journal's table.
    Journal,
    /// Notices and secrets.
    Notices,
    /// The queue a worker reads.
    Queue,
    /// Accounts that are not our own.
    Accounts,
}

impl Purpose {
    /// Every purpose with its name.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Read, "read"),
        (Self::Instances, "instances"),
        (Self::Identities, "identities"),
        (Self::Ecs, "ecs"),
        (Self::Functions, "functions"),
        (Self::Clusters, "clusters"),
        (Self::Memory, "memory"),
        (Self::Forensic, "forensic"),
        (Self::Lockdown, "lockdown"),
        (Self::Findings, "findings"),
        (Self::Cognito, "cognito"),
        (Self::Journal, "journal"),
        (Self::Notices, "notices"),
        (Self::Queue, "queue"),
        (Self::Accounts, "accounts"),
    ];
}

/// Some calls that may be made on the same resources under the same condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// The statement's id.
    pub sid: &'static str,
    /// What for.
    pub purpose: Purpose,
    /// The calls, as `service:Action`.
    pub actions: &'static [&'static str],
    /// On what; `{partition}`, `{account}`, `{region}` and the names of [`Names`] are filled in.
    pub resources: &'static [&'static str],
    /// Under which condition.
    pub condition: Condition,
}

/// Under which condition a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    None,
    /// Unless the resource has the tag that protects it.
    Unprotected,
    /// Only while the call tags with our incident.
    TaggedByUs,
    /// Only tagging of what one of these calls creates, or of what is ours.
    CreatedBy(&'static [&'static str]),
    /// Only on what has our incident's tag.
    Ours,
    /// Only tags whose keys are ours.
    OurTagKeys,
    /// Only mails from the configured sender.
    Sender,
}

/// The tag that protects what has it.
pub const PROTECTED_TAG: &str = "davylamp:protected";
/// The tag that names the incident.
pub const INCIDENT_TAG: &str = "davylamp:incident";

const ANY: &[&str] = &["*"];

/// Every call, by purpose.
pub const PERMISSIONS: &[Permission] = &[
    Permission {
        sid: "Look",
        purpose: Purpose::Read,
        actions: &[
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "ec2:DescribeAddresses",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceAttribute",
            "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRegions",
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
            "iam:ListRoleTags",
            "iam:ListUserTags",
        ],
        resources: ANY,
        condition: Condition::None,
    },
    Permission {
        sid: "ProtectAndEnd",
        purpose: Purpose::Instances,
        actions: &[
            "ec2:ModifyInstanceAttribute",
            "ec2:StartInstances",
            "ec2:StopInstances",
            "ec2:TerminateInstances",
        ],
        resources: &["arn:{partition}:ec2:*:{account}:instance/*"],
        condition: Condition::Unprotected,
    },
    Permission {
        sid: "TakeEvidence",
        purpose: Purpose::Instances,
        actions: &["ec2:CreateSnapshot", "ec2:CreateSnapshots"],
        resources: &[
            "arn:{partition}:ec2:*:{account}:instance/*",
            "arn:{partition}:ec2:*:{account}:volume/*",
        ],
        condition: Condition::None,
    },
    Permission {
        sid: "TakeEvidenceWithOurTags",
        purpose: Purpose::Instances,
        actions: &["ec2:CreateSnapshot", "ec2:CreateSnapshots"],
        resources: &["arn:{partition}:ec2:*::snapshot/*"],
        condition: Condition::TaggedByUs,
    },
    Permission {
        sid: "TagWhatIsCreated",
        purpose: Purpose::Instances,
        actions: &["ec2:CreateTags"],
        resources: &[
            "arn:{partition}:ec2:*::snapshot/*",
            "arn:{partition}:ec2:*:{account}:security-group/*",
        ],
        condition: Condition::CreatedBy(&[
            "CreateSnapshot",
            "CreateSnapshots",
            "CreateSecurityGroup",
        ]),
    },
    Permission {
        sid: "MarkWithOurTags",
        purpose: Purpose::Instances,
        actions: &["ec2:CreateTags", "ec2:DeleteTags"],
        resources: &[
            "arn:{partition}:ec2:*:{account}:instance/*",
            "arn:{partition}:ec2:*:{account}:network-interface/*",
            "arn:{partition}:ec2:*:{account}:volume/*",
        ],
        condition: Condition::OurTagKeys,
    },
    Permission {
        sid: "CutTheNetwork",
        purpose: Purpose::Instances,
        actions: &["ec2:ModifyNetworkInterfaceAttribute"],
        resources: &[
            "arn:{partition}:ec2:*:{account}:instance/*",
            "arn:{partition}:ec2:*:{account}:network-interface/*",
            "arn:{partition}:ec2:*:{account}:security-group/*",
        ],
        condition: Condition::Unprotected,
    },
    Permission {
        sid: "MakeIsolationGroups",
        purpose: Purpose::Instances,
        actions: &["ec2:CreateSecurityGroup"],
        resources: &[
            "arn:{partition}:ec2:*:{account}:security-group/*",
            "arn:{partition}:ec2:*:{account}:vpc/*",
        ],
        condition: Condition::None,
    },
    Permission {
        sid: "ShapeIsolationGroups",
        purpose: Purpose::Instances,
        actions: &[
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
        resources: &["arn:{partition}:ec2:*:{account}:security-group/*"],
        condition: Condition::Unprotected,
    },
    Permission {
        sid: "HoldTheGroup",
        purpose: Purpose::Instances,
        actions: &[
            "autoscaling:DetachInstances",
            "autoscaling:AttachInstances",
            "autoscaling:ResumeProcesses",
            "autoscaling:SetInstanceProtection",
            "autoscaling:SuspendProcesses",
        ],
        resources: &["arn:{partition}:autoscaling:*:{account}:autoScalingGroup:*"],
        condition: Condition::Unprotected,
    },
    Permission {
        sid: "ShutIdentities",
        purpose: Purpose::Identities,
        actions: &[
            "iam:DeleteLoginProfile",
            "iam:DeleteUserPolicy",
            "iam:GetUserPolicy",
            "iam:PutUserPolicy",
            "iam:UpdateAccessKey",
        ],
        resources: &["arn:{partition}:iam::{account}:user/*"],
        condition: Condition::Unprotected,
    },
    Permission {
        sid: "ShutRoleSessions",
        purpose: Purpose::Identities,
        actions: &["iam:DeleteRolePolicy", "iam:GetRolePolicy", "iam:PutRolePolicy"],
        resources: &["arn:{partition}:iam::{account}:role/*"],
        condition: Condition::Unprotected,
    },
    Permission {
        sid: "LookAtTasks",
        purpose: Purpose::Ecs,
        actions: &[
            "ecs:DescribeContainerInstances",
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
        ],
        resources: ANY,
        condition: Condition::None,
    },
    Permission {
        sid: "StopTasks",
        purpose: Purpose::Ecs,
        actions: &["ecs:StopTask", "ecs:UpdateService"],
        resources: &[
            "arn:{partition}:ecs:*:{account}:task/*",
            "arn:{partition}:ecs:*:{account}:service/*",
        ],
        condition: Condition::Unprotected,
    },
    Permission {
        sid: "ThrottleFunctions",
        purpose: Purpose::Functions,
        actions: &[
            "lambda:DeleteFunctionConcurrency",
            "lambda:GetFunctionConfiguration",
            "lambda:GetFunctionConcurrency",
            "lambda:ListTags",
            "lambda:PutFunctionConcurrency",
        ],
        resources: &["arn:{partition}:lambda:*:{account}:function:*"],
        condition: Condition::Unprotected,
    },
    Permission {
        sid: "ReachClusters",
        purpose: Purpose::Clusters,
        actions: &["eks:DescribeCluster"],
        resources: &["arn:{partition}:eks:*:{account}:cluster/*"],
        condition: Condition::None,
    },
    Permission {
        sid: "CaptureMemory",
        purpose: Purpose::Memory,
        actions: &["ssm:SendCommand"],
        resources: &[
            "arn:{partition}:ec2:*:{account}:instance/*",
            "arn:{partition}:ssm:*:{account}:document/{memory_document}",
        ],
        condition: Condition::None,
    },
    Permission {
        sid: "WatchMemoryCapture",
        purpose: Purpose::Memory,
        actions: &["ssm:ListCommandInvocations", "ssm:ListCommands"],
        resources: ANY,
        condition: Condition::None,
    },
    Permission {
        sid: "ShareEvidence",
        purpose: Purpose::Forensic,
        actions: &["ec2:DescribeSnapshotAttribute", "ec2:ModifySnapshotAttribute"],
        resources: &["arn:{partition}:ec2:*::snapshot/*"],
        condition: Condition::Ours,
    },
    Permission {
        sid: "CopyEvidence",
        purpose: Purpose::Forensic,
        actions: &["ec2:CopySnapshot"],
        resources: &["arn:{partition}:ec2:*::snapshot/*"],
        condition: Condition::None,
    },
    Permission {
        sid: "CloseDoors",
        purpose: Purpose::Lockdown,
        actions: &[
            "ec2:AssociateAddress",
            "ec2:DescribeVpcBlockPublicAccessOptions",
            "ec2:DisassociateAddress",
            "ec2:ModifyVpcBlockPublicAccessOptions",
            "eks:ListClusters",
            "eks:DescribeUpdate",
            "eks:UpdateClusterConfig",
            "s3:GetAccountPublicAccessBlock",
            "s3:PutAccountPublicAccessBlock",
        ],
        resources: ANY,
        condition: Condition::None,
    },
    Permission {
        sid: "ArchiveFindings",
        purpose: Purpose::Findings,
        actions: &[
            "guardduty:ArchiveFindings",
            "guardduty:GetFindings",
            "guardduty:ListDetectors",
            "guardduty:ListFindings",
            "guardduty:UnarchiveFindings",
        ],
        resources: &["arn:{partition}:guardduty:*:{account}:detector/*"],
        condition: Condition::None,
    },
    Permission {
        sid: "DisableUsers",
        purpose: Purpose::Cognito,
        actions: &[
            "cognito-idp:AdminDisableUser",
            "cognito-idp:AdminEnableUser",
            "cognito-idp:AdminGetUser",
            "cognito-idp:AdminUserGlobalSignOut",
        ],
        resources: &["arn:{partition}:cognito-idp:*:{account}:userpool/{cognito_pool}"],
        condition: Condition::None,
    },
    Permission {
        sid: "KeepTheJournal",
        purpose: Purpose::Journal,
        actions: &[
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ],
        resources: &[
            "arn:{partition}:dynamodb:*:{account}:table/{journal_table}",
            "arn:{partition}:dynamodb:*:{account}:table/{journal_table}/index/*",
        ],
        condition: Condition::None,
    },
    Permission {
        sid: "SendMail",
        purpose: Purpose::Notices,
        actions: &["ses:SendEmail"],
        resources: &["arn:{partition}:ses:*:{account}:identity/*"],
        condition: Condition::Sender,
    },
    Permission {
        sid: "Publish",
        purpose: Purpose::Notices,
        actions: &["sns:Publish"],
        resources: &["arn:{partition}:sns:*:{account}:{sns_topic}"],
        condition: Condition::None,
    },
    Permission {
        sid: "ReadSecrets",
        purpose: Purpose::Notices,
        actions: &["secretsmanager:GetSecretValue"],
        resources: &["arn:{partition}:secretsmanager:*:{account}:secret:{secrets}"],
        condition: Condition::None,
    },
    Permission {
        sid: "ReadTheQueue",
        purpose: Purpose::Queue,
        actions: &[
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        ],
        resources: &["arn:{partition}:sqs:*:{account}:{queue}"],
        condition: Condition::None,
    },
    Permission {
        sid: "EnterOtherAccounts",
        purpose: Purpose::Accounts,
        actions: &["sts:AssumeRole"],
        resources: &["arn:{partition}:iam::*:role/{role}"],
        condition: Condition::None,
    },
];

/// What the placeholders of [`PERMISSIONS`] stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `aws`, `aws-cn` or `aws-us-gov`, or a CloudFormation reference.
    pub partition: String,
    /// The account, or `*`.
    pub account: String,
    /// The journal's table.
    pub journal_table: String,
    /// The names of secrets, a pattern.
    pub secrets: String,
    /// The SNS topic's name.
    pub sns_topic: String,
    /// The queue's name.
    pub queue: String,
    /// The role in other accounts.
    pub role: String,
    /// The Cognito pool.
    pub cognito_pool: String,
    /// The SSM document.
    pub memory_document: String,
    /// The sender of mails, a pattern.
    pub sender: String,
}

impl Default for Names {
    fn default() -> Self {
        let any = || "*".to_owned();
        Self {
            partition: "aws".to_owned(),
            account: any(),
            journal_table: "davylamp-journal".to_owned(),
            secrets: "davylamp/*".to_owned(),
            sns_topic: "davylamp-*".to_owned(),
            queue: "davylamp-*".to_owned(),
            role: "davylamp-responder".to_owned(),
            cognito_pool: any(),
            memory_document: any(),
            sender: any(),
        }
    }
}

impl Names {
    fn fill(&self, pattern: &str) -> String {
        [
            ("{partition}", &self.partition),
            ("{account}", &self.account),
            ("{journal_table}", &self.journal_table),
            ("{secrets}", &self.secrets),
            ("{sns_topic}", &self.sns_topic),
            ("{queue}", &self.queue),
            ("{role}", &self.role),
            ("{cognito_pool}", &self.cognito_pool),
            ("{memory_document}", &self.memory_document),
        ]
        .iter()
        .fold(pattern.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }
}

/// The IAM policy document for some purposes.
///
/// Whatever is allowed, three things are denied always: destroying evidence, touching what is
/// protected, and taking the protection away.
pub fn policy(purposes: &[Purpose], names: &Names) -> Value {
    let mut statements: Vec<Value> = PERMISSIONS
        .iter()
        .filter(|permission| purposes.contains(&permission.purpose))
        .map(|permission| statement(permission, names))
        .collect();
    statements.push(json!({
        "Sid": "NeverDestroyEvidence",
        "Effect": "Deny",
        "Action": ["ec2:DeleteSnapshot", "ec2:DeleteVolume"],
        "Resource": "*",
    }));
    statements.push(json!({
        "Sid": "NeverTakeProtectionAway",
        "Effect": "Deny",
        "Action": ["ec2:CreateTags", "ec2:DeleteTags"],
        "Resource": "*",
        "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": [PROTECTED_TAG]}},
    }));
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn statement(permission: &Permission, names: &Names) -> Value {
    let mut statement = json!({
        "Sid": permission.sid,
        "Effect": "Allow",
        "Action": permission.actions,
        "Resource": permission
            .resources
            .iter()
            .map(|pattern| names.fill(pattern))
            .collect::<Vec<_>>(),
    });
    let condition = match permission.condition {
        Condition::None => None,
        Condition::Unprotected => Some(json!({
            "Null": {format!("aws:ResourceTag/{PROTECTED_TAG}"): "true"},
        })),
        Condition::TaggedByUs => Some(json!({
            "Null": {format!("aws:RequestTag/{INCIDENT_TAG}"): "false"},
        })),
        Condition::CreatedBy(calls) => Some(json!({
            "StringEquals": {"ec2:CreateAction": calls},
        })),
        Condition::Ours => Some(json!({
            "Null": {format!("aws:ResourceTag/{INCIDENT_TAG}"): "false"},
        })),
        Condition::OurTagKeys => Some(json!({
            "ForAllValues:StringLike": {"aws:TagKeys": ["davylamp:*"]},
        })),
        Condition::Sender => Some(json!({
            "StringLike": {"ses:FromAddress": [names.sender]},
        })),
    };
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    statement
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_statement_is_named_once_and_every_purpose_has_one() {
        let sids: BTreeSet<_> = PERMISSIONS.iter().map(|one| one.sid).collect();
        assert_eq!(sids.len(), PERMISSIONS.len());
        for (purpose, name) in Purpose::ALL {
            assert!(
                PERMISSIONS.iter().any(|one| one.purpose == *purpose),
                "{name}"
            );
        }
    }

    #[test]
    fn every_placeholder_is_filled() {
        let all: Vec<_> = Purpose::ALL.iter().map(|(purpose, _)| *purpose).collect();
        let text = policy(&all, &Names::default()).to_string();
        for permission in PERMISSIONS {
            for pattern in permission.resources {
                let filled = Names::default().fill(pattern);
                assert!(!filled.contains(['{', '}']), "{filled}");
            }
        }
        assert!(text.contains("NeverDestroyEvidence"));
    }

    #[test]
    fn nothing_is_allowed_by_a_wildcard_call() {
        for action in PERMISSIONS.iter().flat_map(|one| one.actions) {
            assert!(!action.contains('*') && action.contains(':'), "{action}");
        }
    }

    #[test]
    fn what_destroys_evidence_is_never_allowed() {
        for action in PERMISSIONS.iter().flat_map(|one| one.actions) {
            assert!(
                !["ec2:DeleteSnapshot", "ec2:DeleteVolume"].contains(action),
                "{action}"
            );
        }
    }
}
