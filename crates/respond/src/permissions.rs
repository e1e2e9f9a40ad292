//! Which AWS calls the responder makes, on what, under which condition: the one table that the IAM
//! policy, the documentation and the tests are made from.
//!
//! Source of names, resource types and condition keys: the service authorization reference.
//! Tests compare the table with the calls that the sources make and with that reference, and run
//! responses under the policy.

use davylamp_plan::action::{ISOLATION_PURPOSE, PURPOSE_TAG};
use serde_json::{Value, json};

mod table;

pub use table::PERMISSIONS;

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
    /// The journal in tags, where there is no table.
    JournalTags,
    /// Notices through SNS, and secrets.
    Notices,
    /// Mails through SES.
    Mail,
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
        (Self::JournalTags, "journal-tags"),
        (Self::Notices, "notices"),
        (Self::Mail, "mail"),
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
///
/// A condition on a resource's tags is only worth something where the service hands these tags to
/// IAM. [`Condition::Unprotected`] fails open where it does not: an absent tag is what it asks for.
/// It is the second line; the first is the gate, which looks at the tags itself.
/// [`Condition::Ours`] and its like fail closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    None,
    /// Unless the resource has the tag that protects it.
    Unprotected,
    /// Only while the call tags with our incident.
    TaggedByUs,
    /// Only while the call tags the new group as one of ours for isolation.
    TaggedForIsolation,
    /// Only tagging of what one of these calls creates.
    CreatedBy(&'static [&'static str]),
    /// Only on what has our incident's tag.
    Ours,
    /// Only tags whose keys are ours, and at least one: a removal that names none removes all.
    OurTagKeys,
    /// Only tags whose keys are ours, on what has our incident's tag.
    OurTagKeysOnOurs,
    /// Only mails from the configured sender.
    Sender,
    /// Only what EC2 does with a key on our behalf.
    ThroughEc2,
    /// Only grants to AWS, asked for by EC2 on our behalf.
    GrantThroughEc2,
}

/// The tag that protects what has it.
pub const PROTECTED_TAG: &str = "davylamp:protected";
/// The tag that names the incident.
pub const INCIDENT_TAG: &str = "davylamp:incident";

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
            memory_document: "davylamp-*".to_owned(),
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
/// Whatever is allowed, two things are denied always: destroying evidence, and giving or taking the
/// tag that protects.
pub fn policy(purposes: &[Purpose], names: &Names) -> Value {
    let mut statements = statements(purposes, names);
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

/// The IAM policy document of the flight recorder, which only reads. `role` is the role that it assumes in
/// other accounts, where there is one.
pub fn recording(role: Option<&str>) -> Value {
    let mut statements = vec![json!({
        "Sid": "LookAtTheAccount",
        "Effect": "Allow",
        "Action": davylamp_cloud::aws::record::permissions(),
        "Resource": "*",
    })];
    if let Some(role) = role {
        statements.push(json!({
            "Sid": "LookAtOtherAccounts",
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": format!("arn:*:iam::*:role/{role}"),
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// As [`policy`], without what is denied always: for a second policy beside a whole one.
pub fn allowed(purposes: &[Purpose], names: &Names) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements(purposes, names)})
}

fn statements(purposes: &[Purpose], names: &Names) -> Vec<Value> {
    PERMISSIONS
        .iter()
        .filter(|permission| purposes.contains(&permission.purpose))
        .map(|permission| statement(permission, names))
        .collect()
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
    let is_there = |key: String| json!({"Null": {key: "false"}});
    let our_keys = json!({"aws:TagKeys": ["davylamp:*"]});
    let ec2 = json!({"kms:ViaService": ["ec2.*.amazonaws.com", "ec2.*.amazonaws.com.cn"]});
    let condition = match permission.condition {
        Condition::None => None,
        Condition::Unprotected => Some(json!({
            "Null": {format!("aws:ResourceTag/{PROTECTED_TAG}"): "true"},
        })),
        Condition::TaggedByUs => Some(is_there(format!("aws:RequestTag/{INCIDENT_TAG}"))),
        Condition::TaggedForIsolation => Some(json!({
            "StringEquals": {format!("aws:RequestTag/{PURPOSE_TAG}"): ISOLATION_PURPOSE},
        })),
        Condition::CreatedBy(calls) => Some(json!({
            "StringEquals": {"ec2:CreateAction": calls},
        })),
        Condition::Ours => Some(is_there(format!("aws:ResourceTag/{INCIDENT_TAG}"))),
        Condition::OurTagKeys => Some(json!({
            "ForAllValues:StringLike": our_keys,
            "Null": {"aws:TagKeys": "false"},
        })),
        Condition::OurTagKeysOnOurs => Some(json!({
            "ForAllValues:StringLike": our_keys,
            "Null": {
                "aws:TagKeys": "false",
                format!("aws:ResourceTag/{INCIDENT_TAG}"): "false",
            },
        })),
        Condition::Sender => Some(json!({
            "StringLike": {"ses:FromAddress": [names.sender]},
        })),
        Condition::ThroughEc2 => Some(json!({"StringLike": ec2})),
        Condition::GrantThroughEc2 => Some(json!({
            "Bool": {"kms:GrantIsForAWSResource": "true"},
            "StringLike": ec2,
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
