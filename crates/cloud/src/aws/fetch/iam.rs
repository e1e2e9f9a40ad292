//! Users, roles and keys.

use aws_sdk_iam::Client;
use davylamp_model::ids::{AccessKeyId, Arn, IamUserName, RoleName};
use davylamp_model::inventory::{IamRole, IamUser, Reading};

use super::{Read, tags};
use crate::aws::read::ReadError;
use crate::missed::Missed;

fn unread<T>(error: ReadError) -> Read<T> {
    if error.is_absent() {
        Read::Absent
    } else {
        Read::Unread(error.into())
    }
}

/// A user, with keys, tags and whether there is a password.
pub async fn user(client: &Client, name: &IamUserName) -> Read<IamUser> {
    let found = match client.get_user().user_name(name.as_str()).send().await {
        Ok(answer) => answer.user,
        Err(error) => return unread(ReadError::of("iam:GetUser", &error)),
    };
    let Some(found) = found else {
        return Read::Unread(Missed::for_good("iam:GetUser answered with no user"));
    };
    let mut keys = Vec::new();
    let mut pages = client
        .list_access_keys()
        .user_name(name.as_str())
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => keys.extend(page.access_key_metadata().iter().filter_map(|key| {
                let active = key.status().is_none_or(|it| it.as_str() == "Active");
                Some((AccessKeyId::from(key.access_key_id()?), active))
            })),
            Err(error) => return unread(ReadError::of("iam:ListAccessKeys", &error)),
        }
    }
    let login = client
        .get_login_profile()
        .user_name(name.as_str())
        .send()
        .await;
    let login_profile = match login {
        Ok(_) => Reading::Known(true),
        Err(error) => match ReadError::of("iam:GetLoginProfile", &error) {
            error if error.is_absent() => Reading::Known(false),
            error => Reading::Unknown {
                why: error.to_string(),
            },
        },
    };
    Read::Found(IamUser {
        name: name.clone(),
        keys,
        login_profile,
        tags: tags(
            found
                .tags()
                .iter()
                .map(|tag| (Some(tag.key()), Some(tag.value()))),
        ),
    })
}

/// A role.
pub async fn role(client: &Client, name: &RoleName) -> Read<IamRole> {
    match client.get_role().role_name(name.as_str()).send().await {
        Ok(answer) => match answer.role() {
            Some(role) => Read::Found(IamRole {
                name: name.clone(),
                arn: Some(Arn::from(role.arn())),
                path: role.path().to_owned(),
                tags: tags(
                    role.tags()
                        .iter()
                        .map(|tag| (Some(tag.key()), Some(tag.value()))),
                ),
            }),
            None => Read::Unread(Missed::for_good("iam:GetRole answered with no role")),
        },
        Err(error) => unread(ReadError::of("iam:GetRole", &error)),
    }
}

/// The role of an instance profile.
pub async fn profile_role(client: &Client, profile: &str) -> Read<RoleName> {
    let answer = client
        .get_instance_profile()
        .instance_profile_name(profile)
        .send()
        .await;
    match answer {
        Ok(answer) => answer
            .instance_profile()
            .and_then(|profile| profile.roles().first())
            .map_or(Read::Absent, |role| {
                Read::Found(RoleName::from(role.role_name()))
            }),
        Err(error) => unread(ReadError::of("iam:GetInstanceProfile", &error)),
    }
}

/// The user that a long-lived key belongs to.
pub async fn key_user(client: &Client, key: &AccessKeyId) -> Read<IamUserName> {
    let answer = client
        .get_access_key_last_used()
        .access_key_id(key.as_str())
        .send()
        .await;
    match answer {
        Ok(answer) => answer
            .user_name()
            .map_or(Read::Absent, |user| Read::Found(IamUserName::from(user))),
        Err(error) => unread(ReadError::of("iam:GetAccessKeyLastUsed", &error)),
    }
}
