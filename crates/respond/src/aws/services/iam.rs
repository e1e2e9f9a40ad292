//! IAM users: keys, an inline policy that denies everything, the console password.
//!
//! `before`: for a key `{"status": "Active"}`; for the policy and the password what the report
//! may want to know.

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::types::StatusType;
use davylamp_model::ids::{AccessKeyId, IamUserName};
use davylamp_plan::action::Action;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    PROTECTED_TAG, already, done, failed, failure, impossible, irreversible, needed, not_ours,
};
use crate::actuator::{ActError, Checked, Verified};

/// The inline policy that denies a user everything.
const DENY: &str = "davylamp-deny";

/// What it says.
fn deny_document() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Sid": "Davylamp", "Effect": "Deny", "Action": "*", "Resource": "*" }],
    })
}

pub(super) async fn check(config: &SdkConfig, action: &Action) -> Result<Checked, ActError> {
    let iam = Client::new(config);
    let user = user_of(action)?;
    match standing(&iam, user).await? {
        Standing::Gone => return already("the user is gone"),
        Standing::Protected => return impossible("the user is protected by its tag"),
        Standing::Open => {}
    }
    match action {
        Action::DeactivateKey { key, .. } => match status(&iam, user, key).await? {
            None => already("the key is gone"),
            Some(StatusType::Active) => needed(json!({ "status": "Active" })),
            Some(other) => already(format!("the key is {}", other.as_str())),
        },
        Action::DenyUser { .. } => {
            let there = document(&iam, user).await?;
            if there == Some(deny_document()) {
                already("everything is denied to the user")
            } else {
                needed(json!({ "policy": there }))
            }
        }
        _ => match created(&iam, user).await? {
            None => already("the user has no console password"),
            Some(created) => needed(json!({ "created": created })),
        },
    }
}

pub(super) async fn act(config: &SdkConfig, action: &Action) -> Result<(), ActError> {
    let iam = Client::new(config);
    let user = user_of(action)?;
    match standing(&iam, user).await? {
        Standing::Gone => return Ok(()),
        Standing::Protected => {
            return Err(failure::refused(
                action.verb(),
                "the user is protected by its tag",
            ));
        }
        Standing::Open => {}
    }
    match action {
        Action::DeactivateKey { key, .. } => {
            set_status(&iam, user, key, StatusType::Inactive).await
        }
        Action::DenyUser { .. } => iam
            .put_user_policy()
            .user_name(user.as_str())
            .policy_name(DENY)
            .policy_document(deny_document().to_string())
            .send()
            .await
            .map(drop)
            .map_err(|error| failure::of("iam:PutUserPolicy", &error)),
        _ => match iam
            .delete_login_profile()
            .user_name(user.as_str())
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if failure::is_absent(&error) => Ok(()),
            Err(error) => Err(failure::of("iam:DeleteLoginProfile", &error)),
        },
    }
}

pub(super) async fn verify(config: &SdkConfig, action: &Action) -> Result<Verified, ActError> {
    let iam = Client::new(config);
    let user = user_of(action)?;
    if matches!(standing(&iam, user).await?, Standing::Gone) {
        return done("the user is gone");
    }
    match action {
        Action::DeactivateKey { key, .. } => match status(&iam, user, key).await? {
            Some(StatusType::Active) => failed("the key is active"),
            _ => done("the key is not active"),
        },
        Action::DenyUser { .. } => {
            if document(&iam, user).await? == Some(deny_document()) {
                done(format!(
                    "the inline policy {DENY} denies everything to the user"
                ))
            } else {
                failed(format!("the inline policy {DENY} is not there"))
            }
        }
        _ => match created(&iam, user).await? {
            None => done("the user has no console password"),
            Some(_) => failed("the user has a console password"),
        },
    }
}

pub(super) async fn undo(
    config: &SdkConfig,
    action: &Action,
    before: &Value,
) -> Result<(), ActError> {
    let iam = Client::new(config);
    let user = user_of(action)?;
    if matches!(standing(&iam, user).await?, Standing::Gone) {
        return Ok(());
    }
    match action {
        Action::DeactivateKey { key, .. } => {
            let now = status(&iam, user, key).await?;
            if before["status"] == "Active" && now == Some(StatusType::Inactive) {
                set_status(&iam, user, key, StatusType::Active).await
            } else {
                Ok(())
            }
        }
        Action::DenyUser { .. } => {
            if document(&iam, user).await? != Some(deny_document()) {
                return Ok(());
            }
            match iam
                .delete_user_policy()
                .user_name(user.as_str())
                .policy_name(DENY)
                .send()
                .await
            {
                Ok(_) => Ok(()),
                Err(error) if failure::is_absent(&error) => Ok(()),
                Err(error) => Err(failure::of("iam:DeleteUserPolicy", &error)),
            }
        }
        _ => Err(irreversible(action)),
    }
}

/// Whether a user may be touched.
enum Standing {
    Gone,
    Protected,
    Open,
}

fn user_of(action: &Action) -> Result<&IamUserName, ActError> {
    match action {
        Action::DeactivateKey { user, .. }
        | Action::DenyUser { user }
        | Action::DeleteLoginProfile { user } => Ok(user),
        _ => Err(not_ours(action)),
    }
}

async fn standing(iam: &Client, user: &IamUserName) -> Result<Standing, ActError> {
    let answer = match iam.list_user_tags().user_name(user.as_str()).send().await {
        Ok(answer) => answer,
        Err(error) if failure::is_absent(&error) => return Ok(Standing::Gone),
        Err(error) => return Err(failure::of("iam:ListUserTags", &error)),
    };
    let is_protected = answer.tags().iter().any(|tag| tag.key() == PROTECTED_TAG);
    Ok(if is_protected {
        Standing::Protected
    } else {
        Standing::Open
    })
}

async fn status(
    iam: &Client,
    user: &IamUserName,
    key: &AccessKeyId,
) -> Result<Option<StatusType>, ActError> {
    // A user has two keys at most, which is one page.
    let answer = iam
        .list_access_keys()
        .user_name(user.as_str())
        .send()
        .await
        .map_err(|error| failure::of("iam:ListAccessKeys", &error))?;
    Ok(answer
        .access_key_metadata()
        .iter()
        .find(|listed| listed.access_key_id() == Some(key.as_str()))
        .and_then(|listed| listed.status().cloned()))
}

async fn set_status(
    iam: &Client,
    user: &IamUserName,
    key: &AccessKeyId,
    status: StatusType,
) -> Result<(), ActError> {
    match iam
        .update_access_key()
        .user_name(user.as_str())
        .access_key_id(key.as_str())
        .status(status)
        .send()
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if failure::is_absent(&error) => Ok(()),
        Err(error) => Err(failure::of("iam:UpdateAccessKey", &error)),
    }
}

async fn document(iam: &Client, user: &IamUserName) -> Result<Option<Value>, ActError> {
    match iam
        .get_user_policy()
        .user_name(user.as_str())
        .policy_name(DENY)
        .send()
        .await
    {
        Ok(answer) => Ok(Some(parsed(answer.policy_document()))),
        Err(error) if failure::is_absent(&error) => Ok(None),
        Err(error) => Err(failure::of("iam:GetUserPolicy", &error)),
    }
}

/// IAM gives documents percent-encoded. One that is none is kept as text.
pub(super) fn parsed(document: &str) -> Value {
    let text = percent_decode_str(document).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or_else(|_| json!(text))
}

/// When the user's console password was made, if there is one.
async fn created(iam: &Client, user: &IamUserName) -> Result<Option<String>, ActError> {
    match iam
        .get_login_profile()
        .user_name(user.as_str())
        .send()
        .await
    {
        Ok(answer) => Ok(Some(
            answer
                .login_profile()
                .map_or_else(String::new, |profile| profile.create_date().to_string()),
        )),
        Err(error) if failure::is_absent(&error) => Ok(None),
        Err(error) => Err(failure::of("iam:GetLoginProfile", &error)),
    }
}
