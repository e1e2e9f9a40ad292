//! Cognito: a user of a pool is disabled, and every session ended.
//!
//! Tokens that are checked without asking Cognito hold until they expire, an hour by default.

use aws_config::SdkConfig;
use aws_sdk_cognitoidentityprovider::Client;
use davylamp_model::ids::HubUser;
use davylamp_plan::action::Action;
use serde_json::json;

use super::{already, done, failed, failure, irreversible, needed, not_ours};
use crate::actuator::{ActError, Checked, Verified};

pub(super) async fn check(config: &SdkConfig, action: &Action) -> Result<Checked, ActError> {
    let (pool, user) = target_of(action)?;
    match enabled(&Client::new(config), pool, user).await? {
        None => already("the pool has no such user"),
        Some(false) if matches!(action, Action::DisableCognitoUser { .. }) => {
            already("the user is disabled")
        }
        Some(enabled) => needed(json!({ "enabled": enabled })),
    }
}

pub(super) async fn act(config: &SdkConfig, action: &Action) -> Result<(), ActError> {
    let cognito = Client::new(config);
    let (pool, user) = target_of(action)?;
    if enabled(&cognito, pool, user).await?.is_none() {
        return Ok(());
    }
    match action {
        Action::DisableCognitoUser { .. } => cognito
            .admin_disable_user()
            .user_pool_id(pool)
            .username(user.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| failure::of("cognito-idp:AdminDisableUser", &error)),
        _ => cognito
            .admin_user_global_sign_out()
            .user_pool_id(pool)
            .username(user.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| failure::of("cognito-idp:AdminUserGlobalSignOut", &error)),
    }
}

pub(super) async fn verify(config: &SdkConfig, action: &Action) -> Result<Verified, ActError> {
    let (pool, user) = target_of(action)?;
    if matches!(action, Action::SignOutCognitoUser { .. }) {
        return done("Cognito took the request; it does not show sessions");
    }
    match enabled(&Client::new(config), pool, user).await? {
        None => done("the pool has no such user"),
        Some(false) => done("the user is disabled"),
        Some(true) => failed("the user is enabled"),
    }
}

pub(super) async fn undo(config: &SdkConfig, action: &Action) -> Result<(), ActError> {
    let Action::DisableCognitoUser { pool, user } = action else {
        return Err(irreversible(action));
    };
    let cognito = Client::new(config);
    if enabled(&cognito, pool, user).await? != Some(false) {
        return Ok(());
    }
    cognito
        .admin_enable_user()
        .user_pool_id(pool)
        .username(user.as_str())
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("cognito-idp:AdminEnableUser", &error))
}

fn target_of(action: &Action) -> Result<(&str, &HubUser), ActError> {
    match action {
        Action::DisableCognitoUser { pool, user } | Action::SignOutCognitoUser { pool, user } => {
            Ok((pool, user))
        }
        _ => Err(not_ours(action)),
    }
}

/// Whether the user is enabled; `None` where the pool has no such user. A pool that does not exist
/// is an error.
async fn enabled(cognito: &Client, pool: &str, user: &HubUser) -> Result<Option<bool>, ActError> {
    match cognito
        .admin_get_user()
        .user_pool_id(pool)
        .username(user.as_str())
        .send()
        .await
    {
        Ok(answer) => Ok(Some(answer.enabled())),
        Err(error) if failure::is_code(&error, &["UserNotFoundException"]) => Ok(None),
        Err(error) => Err(failure::of("cognito-idp:AdminGetUser", &error)),
    }
}
