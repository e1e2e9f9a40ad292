//! Users, their keys, passwords and second factors, groups, roles and policies.

use aws_sdk_iam::types::{self, EntityType};
use davylamp_model::recording::Thing;
use serde_json::{Map, Value};

use super::state::{document, list, one, pages, put, state, tags, word};
use super::{each, thing};
use crate::aws::read::{ReadConfig, ReadError};

const PAGE: i32 = 1000;

type Read = Result<Vec<Thing>, ReadError>;

async fn user_list(config: &ReadConfig) -> Result<Vec<types::User>, ReadError> {
    let client = config.iam();
    let question = client.list_users().max_items(PAGE);
    Ok(pages!(question, "iam:ListUsers", |page| page.users))
}

/// With their groups and policies, and when their password was used last.
pub(super) async fn users(config: &ReadConfig) -> Read {
    let listed = user_list(config).await?;
    let client = config.iam();
    let question = client
        .get_account_authorization_details()
        .filter(EntityType::User);
    let details = pages!(question, "iam:GetAccountAuthorizationDetails", |page| page
        .user_detail_list
        .unwrap_or_default());
    let all = details.iter().filter_map(|it| {
        let used = listed
            .iter()
            .find(|user| Some(user.user_name()) == it.user_name())
            .and_then(|user| user.password_last_used.as_ref());
        let state = state! {
            "Arn": &it.arn,
            "AttachedManagedPolicies": list(&it.attached_managed_policies, attached),
            "CreateDate": &it.create_date,
            "Groups": &it.group_list,
            "PasswordLastUsed": used,
            "Path": &it.path,
            "PermissionsBoundary": one(&it.permissions_boundary, boundary),
            "Tags": iam_tags(&it.tags),
            "UserId": &it.user_id,
            "UserName": &it.user_name,
            "UserPolicyList": list(&it.user_policy_list, policy_detail),
        };
        thing(&it.user_name, state)
    });
    Ok(all.collect())
}

pub(super) async fn groups(config: &ReadConfig) -> Read {
    let client = config.iam();
    let question = client
        .get_account_authorization_details()
        .filter(EntityType::Group);
    Ok(pages!(
        question,
        "iam:GetAccountAuthorizationDetails",
        |page| {
            let all = page.group_detail_list().iter().filter_map(|it| {
                let state = state! {
                    "Arn": &it.arn,
                    "AttachedManagedPolicies": list(&it.attached_managed_policies, attached),
                    "CreateDate": &it.create_date,
                    "GroupId": &it.group_id,
                    "GroupName": &it.group_name,
                    "GroupPolicyList": list(&it.group_policy_list, policy_detail),
                    "Path": &it.path,
                };
                thing(&it.group_name, state)
            });
            all.collect::<Vec<_>>()
        }
    ))
}

/// With who may assume them and what they may do.
pub(super) async fn roles(config: &ReadConfig) -> Read {
    let client = config.iam();
    let question = client
        .get_account_authorization_details()
        .filter(EntityType::Role);
    Ok(pages!(
        question,
        "iam:GetAccountAuthorizationDetails",
        |page| {
            let each = page.role_detail_list().iter();
            each.filter_map(|it| thing(&it.role_name, role(it)))
                .collect::<Vec<_>>()
        }
    ))
}

fn role(it: &types::RoleDetail) -> Value {
    state! {
        "Arn": &it.arn,
        "AssumeRolePolicyDocument": document(&it.assume_role_policy_document),
        "AttachedManagedPolicies": list(&it.attached_managed_policies, attached),
        "CreateDate": &it.create_date,
        "InstanceProfileList": list(&it.instance_profile_list, |profile| state! {
            "Arn": profile.arn(),
            "InstanceProfileName": profile.instance_profile_name(),
        }),
        "Path": &it.path,
        "PermissionsBoundary": one(&it.permissions_boundary, boundary),
        "RoleId": &it.role_id,
        "RoleLastUsed": one(&it.role_last_used, |used| state! {
            "LastUsedDate": &used.last_used_date,
            "Region": &used.region,
        }),
        "RoleName": &it.role_name,
        "RolePolicyList": list(&it.role_policy_list, policy_detail),
        "Tags": iam_tags(&it.tags),
    }
}

/// Those of the account itself, each with its default version.
pub(super) async fn policies(config: &ReadConfig) -> Read {
    let client = config.iam();
    let question = client
        .get_account_authorization_details()
        .filter(EntityType::LocalManagedPolicy);
    Ok(pages!(
        question,
        "iam:GetAccountAuthorizationDetails",
        |page| {
            let each = page.policies().iter();
            each.filter_map(|it| thing(&it.arn, policy(it)))
                .collect::<Vec<_>>()
        }
    ))
}

fn policy(it: &types::ManagedPolicyDetail) -> Value {
    let versions = it.policy_version_list.as_ref().map(|all| {
        let default = all.iter().filter(|version| version.is_default_version);
        default.cloned().collect::<Vec<_>>()
    });
    state! {
        "Arn": &it.arn,
        "AttachmentCount": &it.attachment_count,
        "CreateDate": &it.create_date,
        "DefaultVersionId": &it.default_version_id,
        "Path": &it.path,
        "PolicyId": &it.policy_id,
        "PolicyName": &it.policy_name,
        "PolicyVersionList": list(&versions, |version| state! {
            "CreateDate": &version.create_date,
            "Document": document(&version.document),
            "IsDefaultVersion": version.is_default_version,
            "VersionId": &version.version_id,
        }),
        "UpdateDate": &it.update_date,
    }
}

/// With when and where each was used last.
pub(super) async fn access_keys(config: &ReadConfig) -> Read {
    let client = &config.iam();
    let users = user_list(config).await?;
    let keys = each(users, async |user| {
        let question = client.list_access_keys().user_name(user.user_name());
        Ok(pages!(question, "iam:ListAccessKeys", |page| page
            .access_key_metadata))
    });
    let keys = keys.await?.into_iter().flatten();
    let all = each(keys, async |key| {
        let id = key.access_key_id().unwrap_or_default();
        let answer = client.get_access_key_last_used().access_key_id(id).send();
        let answer = answer
            .await
            .map_err(|error| ReadError::of("iam:GetAccessKeyLastUsed", &error))?;
        let state = state! {
            "AccessKeyId": &key.access_key_id,
            "AccessKeyLastUsed": one(&answer.access_key_last_used, |used| state! {
                "LastUsedDate": &used.last_used_date,
                "Region": used.region(),
                "ServiceName": used.service_name(),
            }),
            "CreateDate": &key.create_date,
            "Status": word(&key.status),
            "UserName": &key.user_name,
        };
        Ok(thing(&key.access_key_id, state))
    });
    Ok(all.await?.into_iter().flatten().collect())
}

/// Passwords of users: that there is one, not which.
pub(super) async fn login_profiles(config: &ReadConfig) -> Read {
    let client = &config.iam();
    let users = user_list(config).await?;
    let all = each(users, async |user| {
        let answer = client
            .get_login_profile()
            .user_name(user.user_name())
            .send();
        let answer = answer
            .await
            .map_err(|error| ReadError::of("iam:GetLoginProfile", &error))?;
        Ok(answer.login_profile.map(|it| Thing {
            id: it.user_name.clone(),
            state: state! {
                "CreateDate": &it.create_date,
                "PasswordResetRequired": it.password_reset_required,
                "UserName": &it.user_name,
            },
        }))
    });
    Ok(all.await?.into_iter().flatten().collect())
}

pub(super) async fn mfa_devices(config: &ReadConfig) -> Read {
    let client = &config.iam();
    let users = user_list(config).await?;
    let all = each(users, async |user| {
        let question = client.list_mfa_devices().user_name(user.user_name());
        Ok(pages!(question, "iam:ListMFADevices", |page| {
            let each = page.mfa_devices().iter().map(|it| Thing {
                id: it.serial_number.clone(),
                state: state! {
                    "EnableDate": &it.enable_date,
                    "SerialNumber": &it.serial_number,
                    "UserName": &it.user_name,
                },
            });
            each.collect::<Vec<_>>()
        }))
    });
    Ok(all.await?.into_iter().flatten().collect())
}

/// How many of what there are, and whether the root user has keys and a second factor.
pub(super) async fn account_summary(config: &ReadConfig) -> Read {
    let answer = config.iam().get_account_summary().send().await;
    let answer = answer.map_err(|error| ReadError::of("iam:GetAccountSummary", &error))?;
    let mut members = Map::new();
    for (name, value) in answer.summary_map.iter().flatten() {
        put(&mut members, name.as_str(), value);
    }
    Ok(vec![Thing {
        id: "account-summary".to_owned(),
        state: Value::Object(members),
    }])
}

/// None where none is set.
pub(super) async fn password_policy(config: &ReadConfig) -> Read {
    let answer = config.iam().get_account_password_policy().send().await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => match ReadError::of("iam:GetAccountPasswordPolicy", &error) {
            error if error.is_absent() => return Ok(Vec::new()),
            error => return Err(error),
        },
    };
    let all = answer.password_policy.iter().map(|it| Thing {
        id: "password-policy".to_owned(),
        state: state! {
            "AllowUsersToChangePassword": it.allow_users_to_change_password,
            "ExpirePasswords": it.expire_passwords,
            "HardExpiry": &it.hard_expiry,
            "MaxPasswordAge": &it.max_password_age,
            "MinimumPasswordLength": &it.minimum_password_length,
            "PasswordReusePrevention": &it.password_reuse_prevention,
            "RequireLowercaseCharacters": it.require_lowercase_characters,
            "RequireNumbers": it.require_numbers,
            "RequireSymbols": it.require_symbols,
            "RequireUppercaseCharacters": it.require_uppercase_characters,
        },
    });
    Ok(all.collect())
}

fn attached(it: &types::AttachedPolicy) -> Value {
    state! {"PolicyArn": &it.policy_arn, "PolicyName": &it.policy_name}
}

fn policy_detail(it: &types::PolicyDetail) -> Value {
    state! {
        "PolicyDocument": document(&it.policy_document),
        "PolicyName": &it.policy_name,
    }
}

fn boundary(it: &types::AttachedPermissionsBoundary) -> Value {
    state! {
        "PermissionsBoundaryArn": &it.permissions_boundary_arn,
        "PermissionsBoundaryType": word(&it.permissions_boundary_type),
    }
}

fn iam_tags(list: &Option<Vec<types::Tag>>) -> Vec<Value> {
    let pairs = list.iter().flatten();
    tags(pairs.map(|tag| (Some(tag.key()), Some(tag.value()))))
}
