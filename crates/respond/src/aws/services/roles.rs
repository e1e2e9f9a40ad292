//! IAM roles: everything is denied to the sessions that were issued before a moment.
//!
//! Where the instance is known, only to those of that instance: its credentials carry its ARN
//! wherever they are used, so the rest of the fleet with the same role goes on.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html>

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use davylamp_model::ids::RoleName;
use davylamp_plan::action::Action;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::iam::parsed;
use super::{PROTECTED_TAG, already, done, failed, failure, impossible, needed, not_ours};
use crate::actuator::{ActError, Checked, Verified};

/// Roles below this path are AWS's own: it lets nobody change their policies.
const SERVICE_ROLES: &str = "/aws-service-role/";

/// A denial: the role, the name of the inline policy, and its document.
struct Denial<'a> {
    role: &'a RoleName,
    name: String,
    document: Value,
}

impl<'a> Denial<'a> {
    fn of(action: &'a Action) -> Result<Self, ActError> {
        let Action::DenyRoleSessions {
            role,
            before,
            instance,
        } = action
        else {
            return Err(not_ours(action));
        };
        let condition = match instance {
            // Whenever it was issued: the machine gets new credentials every few hours, and its
            // network being cut does not keep them from it.
            Some(instance) => json!({ "ArnEquals": { "ec2:SourceInstanceARN": instance } }),
            // Issue times have whole seconds.
            None => json!({
                "DateLessThan": {
                    "aws:TokenIssueTime": before.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                },
            }),
        };
        let mut document = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "Davylamp",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": condition,
            }],
        });
        // Two denials to one role, for two instances, are two policies. A build keeps members in
        // another order than the next, by what else is in it.
        document.sort_all_objects();
        let digest = hex::encode(Sha256::digest(document.to_string().as_bytes()));
        Ok(Self {
            role,
            name: format!("davylamp-deny-{}", &digest[..16]),
            document,
        })
    }

    /// Whether it is there as it should be; `None` where the policy is not there at all.
    async fn stands(&self, iam: &Client) -> Result<Option<bool>, ActError> {
        match iam
            .get_role_policy()
            .role_name(self.role.as_str())
            .policy_name(&self.name)
            .send()
            .await
        {
            Ok(answer) => Ok(Some(parsed(answer.policy_document()) == self.document)),
            Err(error) if failure::is_absent(&error) => Ok(None),
            Err(error) => Err(failure::of("iam:GetRolePolicy", &error)),
        }
    }
}

/// Why a role is left alone; `Ok(None)` inside where it may be touched, `None` where it is gone.
async fn untouchable(iam: &Client, role: &RoleName) -> Result<Option<Option<String>>, ActError> {
    let answer = match iam.get_role().role_name(role.as_str()).send().await {
        Ok(answer) => answer,
        Err(error) if failure::is_absent(&error) => return Ok(None),
        Err(error) => return Err(failure::of("iam:GetRole", &error)),
    };
    let Some(found) = answer.role() else {
        return Err(failure::refused(
            "iam:GetRole",
            "AWS describes no role in its answer",
        ));
    };
    if found.path().starts_with(SERVICE_ROLES) {
        return Ok(Some(Some("the role belongs to an AWS service".to_owned())));
    }
    let is_protected = found.tags().iter().any(|tag| tag.key() == PROTECTED_TAG);
    Ok(Some(
        is_protected.then(|| "the role is protected by its tag".to_owned()),
    ))
}

pub(super) async fn check(config: &SdkConfig, action: &Action) -> Result<Checked, ActError> {
    let iam = Client::new(config);
    let denial = Denial::of(action)?;
    match untouchable(&iam, denial.role).await? {
        None => return already("the role is gone"),
        Some(Some(why)) => return impossible(why),
        Some(None) => {}
    }
    if denial.stands(&iam).await? == Some(true) {
        return already(format!("the inline policy {} is there", denial.name));
    }
    needed(json!({ "policy": denial.name }))
}

pub(super) async fn act(config: &SdkConfig, action: &Action) -> Result<(), ActError> {
    let iam = Client::new(config);
    let denial = Denial::of(action)?;
    match untouchable(&iam, denial.role).await? {
        None => return Ok(()),
        Some(Some(why)) => return Err(failure::refused("iam:PutRolePolicy", why)),
        Some(None) => {}
    }
    iam.put_role_policy()
        .role_name(denial.role.as_str())
        .policy_name(&denial.name)
        .policy_document(denial.document.to_string())
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("iam:PutRolePolicy", &error))
}

pub(super) async fn verify(config: &SdkConfig, action: &Action) -> Result<Verified, ActError> {
    let iam = Client::new(config);
    let denial = Denial::of(action)?;
    if untouchable(&iam, denial.role).await?.is_none() {
        return done("the role is gone");
    }
    if denial.stands(&iam).await? == Some(true) {
        done(format!(
            "the inline policy {} denies everything to those sessions",
            denial.name
        ))
    } else {
        failed(format!("the inline policy {} is not there", denial.name))
    }
}

pub(super) async fn undo(config: &SdkConfig, action: &Action) -> Result<(), ActError> {
    let iam = Client::new(config);
    let denial = Denial::of(action)?;
    if denial.stands(&iam).await?.is_none() {
        return Ok(());
    }
    match iam
        .delete_role_policy()
        .role_name(denial.role.as_str())
        .policy_name(&denial.name)
        .send()
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if failure::is_absent(&error) => Ok(()),
        Err(error) => Err(failure::of("iam:DeleteRolePolicy", &error)),
    }
}
